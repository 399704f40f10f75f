import type { z } from 'zod';
import type { CachePolicy, Sharing } from '../domain/route.ts';
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
  const shareable = shareableOf(written, context);
  const cache = cacheOf(written, shareable);
  const coalesce = written.coalesce && shareable.size > 0;
  const batch = shareable.has('POST') ? batchOf(written) : undefined;
  const methods = new Set([...(coalesce ? shareable : []), ...(cache?.methods ?? []), ...(batch ? ['POST'] : [])]);
  if (cache === undefined) warnOfEmptyCache(written, context);
  warnOfImpure({ ...written, cache: cache && written.cache }, context);
  warnOfNothing(written, methods, context);
  return methods.size === 0 ? undefined : { coalesce, cache, batch, varyBy: written.varyBy, methods };
}

/** GET and HEAD, and POST where calling twice does no harm, as far as the route takes them. */
function shareableOf({ pure }: SharingKeys, { methods }: SharingContext): Set<string> {
  const safe = pure ? ['GET', 'HEAD', 'POST'] : ['GET', 'HEAD'];
  const takes = (method: string) => methods === undefined || methods.includes(method);
  return new Set(safe.filter(method => takes(method) || (method === 'HEAD' && takes('GET'))));
}

function cacheOf({ cache }: SharingKeys, shareable: ReadonlySet<string>): CachePolicy | undefined {
  if (cache === undefined) return undefined;
  const { ttl: ttlMs, entriesMax, bytesMax, staleIfError: staleIfErrorMs } = cache;
  const isHttp = ttlMs === 'http';
  const methods = new Set(cache.methods.filter(method => shareable.has(method) && !(isHttp && method === 'POST')));
  return methods.size === 0 ? undefined : { ttlMs, entriesMax, bytesMax, staleIfErrorMs, methods };
}

function batchOf({ batch }: SharingKeys): Sharing['batch'] {
  if (batch === undefined) return undefined;
  const { sizeMax, waitMax: waitMsMax, rows, recheck: recheckShare, rowsIndependent } = batch;
  return { sizeMax, waitMsMax, rows, recheckShare, rowsIndependent };
}

function warnOfEmptyCache({ cache, pure }: SharingKeys, { complain, placeOf, methods }: SharingContext): void {
  if (cache === undefined) return;
  const path = placeOf('cache');
  const wantsPost = cache.methods.includes('POST') && (methods?.includes('POST') ?? true);
  let why = 'the route takes none of its methods';
  if (wantsPost && cache.ttl === 'http') why = '`ttl: http` is for GET and HEAD';
  else if (wantsPost && !pure) why = 'POST is cached only where `pure: true`';
  else if (path[0] === 'defaults') return; // it may be for others
  complain({ path, severity: 'warning', message: `has no effect: ${why}` });
}

/** POST is shared only where calling twice does no harm, which nobody but the operator can know. */
function warnOfImpure(
  { coalesce, cache, batch, pure }: SharingKeys,
  { complain, placeOf, methods }: SharingContext,
): void {
  if (pure || (methods !== undefined && !methods.includes('POST'))) return;
  const warn = (key: SharingKey, message: string) =>
    complain({
      path: placeOf(key),
      severity: 'warning',
      message,
      hint: 'write `pure: true` if calling the model twice does no harm',
    });
  if (batch !== undefined) warn('batch', 'has no effect: only POST is batched, and only where `pure: true`');
  if (coalesce) warn('coalesce', 'does not share POST: that is done only where `pure: true`');
  if (cache?.methods.includes('POST') === true && cache.ttl !== 'http') {
    warn('cache', 'does not store answers to POST: that is done only where `pure: true`');
  }
}

/** What was written for this very route, and does nothing there; among the defaults it may be for others. */
function warnOfNothing(
  { coalesce, batch, varyBy, pure }: SharingKeys,
  shared: ReadonlySet<string>,
  { complain, placeOf }: SharingContext,
): void {
  const warn = (key: SharingKey, message: string) => {
    const path = placeOf(key);
    if (path[0] !== 'defaults') complain({ path, severity: 'warning', message });
  };
  if (varyBy.length > 0 && shared.size === 0) warn('varyBy', 'has no effect: the route shares nothing');
  if (coalesce && shared.size === 0) warn('coalesce', 'has no effect: the route takes no method that is ever shared');
  if (batch !== undefined && pure && !shared.has('POST')) {
    warn('batch', 'has no effect: only POST is batched, and the route takes none');
  }
}
