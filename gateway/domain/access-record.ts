import type { FailureCode } from './errors.ts';
import type { Via } from './upstream.ts';

/**
 * What a cache made of a call; the label of `penstock_cache_requests_total`.
 *
 *   hit      an answer that is fresh
 *   stale    one whose time is over, since R gave none
 *   miss     none was there
 *   bypass   the caller would not have one
 */
export type CacheResult = 'hit' | 'stale' | 'miss' | 'bypass';

/**
 * What the log line and the metrics tell of one call. Stages write it, and `observe` alone reads it: nothing is decided
 * by what stands here.
 */
export class AccessRecord {
  readonly arrivedMs: number;
  status = 0;
  code: FailureCode | null = null;
  bytesIn = 0;
  bytesOut = 0;
  /** Who answered, or failed to; null: no instance was asked. */
  via: Via | null = null;
  /** Null: the route has no cache for it. */
  cache: CacheResult | null = null;
  /** It shared the upstream request of another. */
  isCoalesced = false;

  constructor(arrivedMs: number) {
    this.arrivedMs = arrivedMs;
  }
}
