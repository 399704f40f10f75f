import type { Matched } from '../domain/call.ts';
import { preflightAnswer } from '../domain/http/cors.ts';
import type { Answer } from '../domain/upstream.ts';

/** Answers a browser's preflight request, before it could have a credential; undefined: it is none. */
export type Preflight = (call: Matched) => Answer | undefined;

/** The answers of each route's `cors`. */
export function createPreflight(): Preflight {
  return function preflight(call) {
    const { cors } = call.route.policy;
    return call.isPreflight && cors !== undefined ? preflightAnswer(cors, call.fields) : undefined;
  };
}
