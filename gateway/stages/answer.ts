import type { Stages } from '../domain/exchange.ts';
import { dress } from '../domain/http/dress.ts';
import { questionOf } from '../domain/question.ts';

/** Replies without asking R where a filter of the route can, as a redirect; everything else is put to R. */
export function createAnswer(): Stages['answer'] {
  return async function answer(complete, ask) {
    for (const { onBehalf } of complete.route.filters) {
      if (onBehalf !== undefined) return onBehalf(complete);
    }
    return dress(await ask(questionOf(complete)), complete);
  };
}
