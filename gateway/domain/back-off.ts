import type { Random } from './clock.ts';

/** How long to wait before trying again: doubling from `baseMs` up to `maxMs`. */
export interface DelayBounds {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** What repeats wait: little, since a caller waits for them. */
const REPEAT: DelayBounds = { baseMs: 25, maxMs: 250 };

/**
 * The wait before the given retry of a request (1 is the first). Anything from nothing up to the limit (full jitter), so
 * that requests that failed together do not come back together.
 */
export function fullJitterDelayMs(retry: number, random: Random): number {
  return random.below(backOffMs(retry, REPEAT) + 1);
}

/** The wait of background work after so many failures in a row. Half of it is left to chance. */
export function halfJitterDelayMs(failures: number, bounds: DelayBounds, random: Random): number {
  const fullMs = backOffMs(failures, bounds);
  const halfMs = Math.floor(fullMs / 2);
  return fullMs - halfMs + random.below(halfMs + 1);
}

/** The wait before the given try, of which chance takes nothing: `baseMs` before the first. */
export function backOffMs(times: number, { baseMs, maxMs }: DelayBounds): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(0, times - 1), 30));
}
