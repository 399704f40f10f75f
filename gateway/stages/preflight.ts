import { preflightAnswer } from '../domain/http/cors.ts';
import type { Stages } from '../domain/exchange.ts';

/** Answers a browser's question before it could have a credential; everything else goes on. */
export function createPreflight(): Stages['preflight'] {
  return async function preflight(matched, next) {
    const { cors } = matched.route.policy;
    if (!matched.isPreflight || cors === undefined) return next();
    return preflightAnswer(cors, matched.rawHeaders);
  };
}
