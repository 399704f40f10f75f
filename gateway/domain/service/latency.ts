/** An average older than this says nothing any more. */
const FRESH_FOR_MS = 10_000;

const NEWEST_SHARE = 0.2;

/** A moving average of how long answers take. */
export interface Latency {
  note(durationMs: number, nowMs: number): void;
  /** Undefined until one was noted, or when the last is long ago. */
  averageMs(nowMs: number): number | undefined;
}

/** An average in which each answer counts for a fifth. */
export function createLatency(): Latency {
  let averageMs: number | undefined;
  let notedMs = -Infinity;

  return {
    note(durationMs, nowMs) {
      const knownMs = nowMs - notedMs <= FRESH_FOR_MS ? averageMs : undefined;
      averageMs = knownMs === undefined ? durationMs : knownMs + NEWEST_SHARE * (durationMs - knownMs);
      notedMs = nowMs;
    },
    averageMs: nowMs => (nowMs - notedMs <= FRESH_FOR_MS ? averageMs : undefined),
  };
}
