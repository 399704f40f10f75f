import type { HostPattern } from '../routing/host-pattern.ts';
import type { Predicate } from '../route.ts';
import { keepCaptures } from './captures.ts';

interface HostArgs {
  readonly patterns: readonly HostPattern[];
  /** True: the pattern is compared with host and port, as the caller sent them. */
  readonly includePort: boolean;
}

/** Holds for a host that one of the patterns matches; the first that does captures. */
export function host(text: string, { patterns, includePort }: HostArgs): Predicate {
  return {
    name: 'Host',
    text,
    holds(asked, variables) {
      const name = includePort ? asked.host : asked.host.replace(/:\d*$/, '');
      for (const pattern of patterns) {
        const captures = pattern.match(name);
        if (captures !== undefined) return keepCaptures(captures, variables);
      }
      return false;
    },
  };
}
