import type { Random } from './ports.ts';

/** How long to wait before trying again: doubling from `baseMs` up to `maxMs`. */
export interface DelayBounds {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * The wait after so many failures in a row. Half of it is left to chance, so that many who failed together do not come
 * back together.
 */
export function halfJitterDelayMs(failures: number, bounds: DelayBounds, random: Random): number {
  const doublings = Math.min(Math.max(0, failures - 1), 30);
  const fullMs = Math.min(bounds.maxMs, bounds.baseMs * 2 ** doublings);
  const halfMs = Math.floor(fullMs / 2);
  return fullMs - halfMs + random.below(halfMs + 1);
}
