import type { Random } from '../ports.ts';

const BASE_MS = 25;
const WAIT_MS_MAX = 250;

/**
 * How long to wait before the given retry (1 is the first).
 *
 * Full jitter: anything from nothing up to a limit that doubles each time, so that requests that failed together do not
 * come back together.
 */
export function fullJitterDelayMs(retry: number, random: Random): number {
  return random.below(Math.min(WAIT_MS_MAX, BASE_MS * 2 ** (retry - 1)) + 1);
}
