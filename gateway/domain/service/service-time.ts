/** So many answers are remembered, the older the less. */
const ANSWERS_MAX = 100;

/** Fewer say nothing. */
const ANSWERS_MIN = 5;

/** What was learned holds for so long after the last answer. */
const KNOWN_FOR_MS = 600_000;

/** Answers vary by so much of their mean, however little they did so far. */
const VARIATION_MIN = 0.5;

/** How sure a least must be, in standard deviations. */
const SURENESS = 2;

/** How long a call occupies an instance. */
export interface ServiceTimes {
  readonly meanMs: number;
  /** Of so many calls, one after the other: less than this they hardly take. 0 where that cannot be said. */
  leastMs(calls: number): number;
}

/** What was learned of how long calls occupy an instance, over the last hundred or so. */
export interface ServiceTime {
  note(durationMs: number, nowMs: number): void;
  /** Undefined until a few were noted, or when the last is long ago. */
  known(nowMs: number): ServiceTimes | undefined;
}

/**
 * Mean and variance, both weighted towards the newest.
 *
 * What is refused for them must not have had a chance: so a least allows for what calls differ by (of a few long and
 * many short ones ahead, all may be short) and for how little the mean is known.
 */
export function createServiceTime(): ServiceTime {
  let answers = 0;
  let meanMs = 0;
  let variance = 0;
  let notedMs = -Infinity;

  const leastMs = (calls: number) => {
    const deviationMs = Math.sqrt(variance);
    const doubtMs = (SURENESS * Math.max(deviationMs, VARIATION_MIN * meanMs)) / Math.sqrt(answers);
    return Math.max(0, calls * (meanMs - doubtMs) - SURENESS * deviationMs * Math.sqrt(calls));
  };

  return {
    note(durationMs, nowMs) {
      if (nowMs - notedMs > KNOWN_FOR_MS) answers = 0;
      notedMs = nowMs;
      answers = Math.min(answers + 1, ANSWERS_MAX);
      const share = 1 / answers;
      const differenceMs = durationMs - meanMs;
      meanMs += share * differenceMs;
      variance = (1 - share) * (variance + share * differenceMs ** 2);
    },
    known: nowMs => (answers < ANSWERS_MIN || nowMs - notedMs > KNOWN_FOR_MS ? undefined : { meanMs, leastMs }),
  };
}
