import type { PathPattern } from '../routing/path-pattern.ts';
import type { Predicate } from '../route.ts';
import { keepCaptures } from './captures.ts';

/** Holds for a path that one of the patterns matches; the first that does captures. */
export function path(text: string, patterns: readonly PathPattern[]): Predicate {
  return {
    name: 'Path',
    text,
    holds(asked, variables) {
      for (const pattern of patterns) {
        const captures = pattern.match(asked.path);
        if (captures !== undefined) return keepCaptures(captures, variables);
      }
      return false;
    },
  };
}
