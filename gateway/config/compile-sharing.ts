import type { z } from 'zod';
import type { Sharing } from '../domain/route.ts';
import type { Complain, KeyPath } from './problem.ts';
import type { RoutePolicyKeys } from './schema/route-policy.ts';

type SharingKeys = Pick<z.output<typeof RoutePolicyKeys>, 'coalesce' | 'cache' | 'batch' | 'varyBy' | 'pure'>;
type SharingKey = 'coalesce' | 'cache' | 'batch' | 'varyBy';

interface SharingContext {
  readonly complain: Complain;
  /** Where a key was written: on the route, or among the defaults. */
  readonly placeOf: (key: SharingKey) => KeyPath;
  /** From the Method predicate; undefined: any. */
  readonly methods: readonly string[] | undefined;
}

/** What a route's callers share; undefined where they share nothing. */
export function compileSharing(written: SharingKeys, context: SharingContext): Sharing | undefined {
  const { coalesce, cache, batch, varyBy, pure } = written;
  if (!coalesce && cache === undefined && batch === undefined) return undefined;
  const methods = new Set(pure ? ['GET', 'HEAD', 'POST'] : ['GET', 'HEAD']);
  warnOfImpure(written, context);
  return {
    coalesce,
    cache: cache && {
      ttlMs: cache.ttl,
      entriesMax: cache.entriesMax,
      bytesMax: cache.bytesMax,
      staleIfErrorMs: cache.staleIfError,
      methods: new Set(
        cache.methods.filter(method => methods.has(method) && (cache.ttl !== 'http' || method !== 'POST')),
      ),
    },
    batch: batch && pure ? { sizeMax: batch.sizeMax, waitMsMax: batch.waitMax, rows: batch.rows } : undefined,
    varyBy,
    methods,
  };
}

/** POST is shared only where calling twice does no harm, which nobody but the operator can know. */
function warnOfImpure(
  { coalesce, cache, batch, pure }: SharingKeys,
  { complain, placeOf, methods }: SharingContext,
): void {
  if (pure || (methods !== undefined && !methods.includes('POST'))) return;
  const hint = 'write `pure: true` if calling the model twice does no harm';
  if (batch !== undefined) {
    complain({
      path: placeOf('batch'),
      severity: 'warning',
      message: 'has no effect: only POST is batched, and only where `pure: true`',
      hint,
    });
  }
  for (const key of ['coalesce', 'cache'] as const) {
    if (key === 'coalesce' ? !coalesce : cache === undefined) continue;
    complain({
      path: placeOf(key),
      severity: 'warning',
      message: 'does not share POST: that is done only where `pure: true`',
      hint,
    });
  }
}
