import type { Clock, Random } from '../domain/clock.ts';

/** What a timer of Node's holds at most; a longer one would ring at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  },
};

/** Chance good enough for choosing and for jitter, not for secrets. */
export const systemRandom: Random = {
  below: limit => Math.floor(Math.random() * limit),
};
