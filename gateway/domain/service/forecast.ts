import { BoundedMap } from '../bounded-map.ts';
import type { Steady } from '../service.ts';
import { type Rank, LinkedList, type Linked, type Queue } from './queue.ts';
import type { ServiceCore } from './service-core.ts';

/** So many answers are kept, the older the less weighty. */
const ANSWERS_MAX = 100;

/** Fewer say nothing. */
const ANSWERS_MIN = 5;

/** What was learned holds for so long after the last answer. */
const KNOWN_FOR_MS = 600_000;

/** Answers vary by so much of their mean, however little they did so far. */
const VARIATION_MIN = 0.5;

/** How sure a least must be, in standard deviations. */
const SURENESS = 2;

/**
 * How long calls occupy an instance, learned from the last hundred or so: mean and variance, both weighted towards the
 * newest.
 *
 * What is refused for them must not have had a chance: so a least allows for what calls differ by (of a few long and
 * many short ones ahead, all may be short) and for how little the mean is known.
 */
export class ServiceTime {
  meanMs = 0;
  #answers = 0;
  #variance = 0;
  #notedMs = -Infinity;

  note(durationMs: number, nowMs: number): void {
    if (nowMs - this.#notedMs > KNOWN_FOR_MS) this.#answers = 0;
    this.#notedMs = nowMs;
    this.#answers = Math.min(this.#answers + 1, ANSWERS_MAX);
    const share = 1 / this.#answers;
    const differenceMs = durationMs - this.meanMs;
    this.meanMs += share * differenceMs;
    this.#variance = (1 - share) * (this.#variance + share * differenceMs ** 2);
  }

  /** False until a few were noted, and when the last is long ago: then nothing can be said. */
  isKnown(nowMs: number): boolean {
    return this.#answers >= ANSWERS_MIN && nowMs - this.#notedMs <= KNOWN_FOR_MS;
  }

  /** Of so many calls, one after the other: less than this they hardly take. 0 where that cannot be said. */
  leastMs(calls: number): number {
    const deviationMs = Math.sqrt(this.#variance);
    const doubtMs = (SURENESS * Math.max(deviationMs, VARIATION_MIN * this.meanMs)) / Math.sqrt(this.#answers);
    return Math.max(0, calls * (this.meanMs - doubtMs) - SURENESS * deviationMs * Math.sqrt(calls));
  }
}

/** A call that occupies an instance. */
interface Work<W> extends Linked<W> {
  readonly instance: { readonly isEligible: boolean };
  readonly sinceMs: number;
}

/** What a service's instances work on, whether or not a caller still waits for it, and how long such work takes. */
export class WorkInHand<W extends Work<W>> {
  readonly time = new ServiceTime();
  readonly #oldestFirst = new LinkedList<W>();

  begin(work: W): void {
    this.#oldestFirst.add(work);
  }

  end(work: W): void {
    this.#oldestFirst.remove(work);
  }

  /** Since when the call is under way that is the `nth` oldest of those whose place can be given on. */
  sinceMs(nth: number): number | undefined {
    let left = nth;
    for (let work = this.#oldestFirst.first; work !== undefined; work = work.next) {
      if (work.instance.isEligible) left -= 1;
      if (left === 0) return work.sinceMs;
    }
    return undefined;
  }
}

/** How long a newcomer to the queue would have to wait. */
export interface Forecast {
  /** As things go. */
  readonly likelyMs: number;
  /** It will hardly be less. */
  readonly leastMs: number;
  /** Nor will its own answer take less, once it has a permit. */
  readonly ownMsLeast: number;
  /** How long one call takes. */
  readonly callMs: number;
}

interface Foreseen<W extends Work<W>> {
  readonly core: ServiceCore;
  readonly queue: Queue;
  readonly work: WorkInHand<W>;
}

/**
 * Foresees the wait from how long calls take, the permits in rotation, what is in hand, and the turns that come first.
 * Undefined: too little is known yet, or each call waits for an instance of its own.
 *
 * The newcomer gets the permit that becomes free when all before it have one. Permits are taken to become free in the
 * order in which they were taken; calls that leave the queue, and those that come after but have their turn before, are
 * left out.
 */
export function forecast<W extends Work<W>>({ core, queue, work }: Foreseen<W>, newcomer: Rank): Forecast | undefined {
  const nowMs = core.look();
  const { time } = work;
  const permits = permitsOf(core);
  if (!time.isKnown(nowMs) || permits === 0 || core.balance.ownerOf !== undefined) return undefined;
  const servedBefore = queue.servedBefore(newcomer);
  const wholeCalls = Math.floor(servedBefore / permits);
  const sinceMs = work.sinceMs((servedBefore % permits) + 1);
  const restMs = (callMs: number) => (sinceMs === undefined ? 0 : Math.max(0, callMs - (nowMs - sinceMs)));
  return {
    likelyMs: restMs(time.meanMs) + wholeCalls * time.meanMs,
    leastMs: restMs(time.leastMs(1)) + time.leastMs(wholeCalls),
    ownMsLeast: time.leastMs(1),
    callMs: time.meanMs,
  };
}

/** How many calls the instances in rotation may have in hand. */
function permitsOf({ instances }: ServiceCore): number {
  let permits = 0;
  for (const { isEligible, isOnProbation, address } of instances.values()) {
    if (isEligible) permits += isOnProbation ? 1 : address.permits;
  }
  return permits;
}

/** So many calls of a route are kept. */
const CALLS = 64;

const ROUTES_MAX = 1_000;

/** Fewer say nothing; and after so many more they are looked through again. */
const CALLS_MIN = 32;
const LOOK_EVERY = 8;

/** What was learned holds for so long after the last call. */
const STEADY_FOR_MS = 60_000;

/** Only where a call is shorter does it matter that R waits for the next. */
const USUAL_MS_MAX = 20;

/** Nineteen of twenty calls take less than so many times the usual. */
const SPREAD_MAX = 2;

/** Nine of ten take more than this part of the usual. */
const QUICK_PART_MIN = 1 / 3;

/** Learns by route whether calls are short and steady. */
export class SteadyTimes {
  readonly #routes = new BoundedMap<string, RouteTimes>(ROUTES_MAX);

  note(routeId: string, durationMs: number, nowMs: number): void {
    const known = this.#routes.get(routeId);
    const times = known ?? new RouteTimes();
    if (known === undefined) this.#routes.set(routeId, times);
    times.note(durationMs, nowMs);
  }

  /** Undefined where they are not, or not yet known to be. */
  of(routeId: string, nowMs: number): Steady | undefined {
    return this.#routes.get(routeId)?.steady(nowMs);
  }
}

class RouteTimes {
  readonly #durations = new Float64Array(CALLS);
  #calls = 0;
  #notedMs = -Infinity;
  #steady: Steady | undefined = undefined;

  note(durationMs: number, nowMs: number): void {
    if (nowMs - this.#notedMs > STEADY_FOR_MS) this.#calls = 0;
    this.#notedMs = nowMs;
    this.#durations[this.#calls % CALLS] = durationMs;
    this.#calls += 1;
    if (this.#calls < CALLS_MIN) this.#steady = undefined;
    else if (this.#calls % LOOK_EVERY === 0) this.#look();
  }

  steady(nowMs: number): Steady | undefined {
    return nowMs - this.#notedMs <= STEADY_FOR_MS ? this.#steady : undefined;
  }

  #look(): void {
    const known = Math.min(this.#calls, CALLS);
    const sorted = this.#durations.slice(0, known).sort();
    const p10Ms = sorted[Math.floor(known * 0.1)] ?? Infinity;
    const p50Ms = sorted[Math.floor(known * 0.5)] ?? Infinity;
    const p95Ms = sorted[Math.floor(known * 0.95)] ?? Infinity;
    const isSteady = p95Ms < SPREAD_MAX * p50Ms && p10Ms > QUICK_PART_MIN * p50Ms;
    this.#steady = isSteady && p50Ms < USUAL_MS_MAX ? { p10Ms, p50Ms, p95Ms } : undefined;
  }
}
