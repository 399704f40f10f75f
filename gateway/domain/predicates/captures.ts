import type { Captures } from '../routing/segment-pattern.ts';

/** Adds what was captured to a request's variables. Always true, so that a predicate can end with it. */
export function keepCaptures(captures: Captures, variables: Map<string, string>): true {
  for (let i = 0; i < captures.length; i += 2) variables.set(captures[i] ?? '', captures[i + 1] ?? '');
  return true;
}
