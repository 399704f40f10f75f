import type { ServiceCore } from './service-core.ts';
import type { TurnTaker } from './turns.ts';

/** How long a newcomer to the queue would have to wait. */
export interface Forecast {
  /** As things go. */
  readonly likelyMs: number;
  /** It will hardly be less. */
  readonly leastMs: number;
  /** Nor will its own answer take less, once it has a place. */
  readonly ownMsLeast: number;
  /** How long one call takes. */
  readonly callMs: number;
}

/**
 * Foresees the wait from how long calls take, the places in rotation, what is in hand, and the turns that come first.
 * Undefined: too little is known yet.
 *
 * The newcomer gets the place that becomes free when all before it have one. Places are taken to become free in the order
 * in which they were taken; those who leave the queue, and those who come after but have their turn before, are left out.
 */
export function forecast(core: ServiceCore, newcomer: TurnTaker): Forecast | undefined {
  const { work, queue } = core;
  const nowMs = core.look();
  const times = work.time.known(nowMs);
  const places = placesOf(core);
  if (times === undefined || places === 0) return undefined;
  const turnsBefore = queue.turnsBefore(newcomer);
  const wholeCalls = Math.floor(turnsBefore / places);
  const sinceMs = work.sinceMs((turnsBefore % places) + 1);
  const restMs = (callMs: number) => (sinceMs === undefined ? 0 : Math.max(0, callMs - (nowMs - sinceMs)));
  return {
    likelyMs: restMs(times.meanMs) + wholeCalls * times.meanMs,
    leastMs: restMs(times.leastMs(1)) + times.leastMs(wholeCalls),
    ownMsLeast: times.leastMs(1),
    callMs: times.meanMs,
  };
}

/** How many calls the instances in rotation may have in hand. */
function placesOf({ instances }: ServiceCore): number {
  let places = 0;
  for (const { isEligible, isOnTrial, address } of instances.values()) {
    if (isEligible) places += isOnTrial ? 1 : address.permits;
  }
  return places;
}
