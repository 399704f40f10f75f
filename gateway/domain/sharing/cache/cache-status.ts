/**
 * Why a request went to R though there is a cache (RFC 9211 §2.2).
 *
 *   uri-miss  nothing is remembered of what it asks
 *   stale     what is remembered is past its time
 *   request   what is remembered is fresh, and the caller would not have it
 *   bypass    the caller would have nothing to do with the cache
 */
export type Forwarded = 'uri-miss' | 'stale' | 'request' | 'bypass';

/** `Cache-Status` of an answer that was remembered; past its time where `leftMs` is negative (RFC 9211 §2.4). */
export function hitStatus(leftMs: number): string {
  return `Penstock; hit; ttl=${Math.floor(leftMs / 1000)}`;
}

/** What became of a request that went to R. */
interface ForwardedTraits {
  readonly isStored?: boolean;
  /** Another request had asked the same already. */
  readonly isCollapsed?: boolean;
}

/** `Cache-Status` of an answer for which R was asked (RFC 9211 §2.5, §2.6). */
export function forwardStatus(why: Forwarded, { isStored = false, isCollapsed = false }: ForwardedTraits = {}): string {
  return `Penstock; fwd=${why}${isStored ? '; stored' : ''}${isCollapsed ? '; collapsed' : ''}`;
}

/** `Cache-Status` of an answer past its time, given because R gave none: a status of its own, or a failure by its code. */
export function staleStatus(leftMs: number, failure: number | string): string {
  const reason = typeof failure === 'number' ? `fwd-status=${failure}` : `detail=${failure}`;
  return `Penstock; fwd=stale; ttl=${Math.floor(leftMs / 1000)}; ${reason}`;
}

/** `Cache-Status` of a refusal to a caller who would have a remembered answer or none. */
export const ONLY_IF_CACHED_STATUS = 'Penstock; detail=only-if-cached';
