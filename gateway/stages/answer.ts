import type { Stages } from '../domain/exchange.ts';

/** Replies without asking R where a filter of the route can, as a redirect; everything else goes on. */
export function createAnswer(): Stages['answer'] {
  return async function answer(complete, next) {
    for (const { onBehalf } of complete.route.filters) {
      if (onBehalf !== undefined) return onBehalf(complete);
    }
    return next();
  };
}
