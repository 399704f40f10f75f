import type { Random } from '../domain/clock.ts';

/** Chance good enough for choosing and for jitter, not for secrets. */
export const systemRandom: Random = {
  below: limit => Math.floor(Math.random() * limit),
};
