import type { BatchPolicy, CachePolicy, Sharing } from '../../gateway/domain/route.ts';
import type { Shared } from '../../gateway/domain/sharing/shared.ts';
import { aComplete, type RequestTraits } from './requests.ts';

/** The contract's defaults, but for what the test cares about. */
export function aCachePolicy(traits: Partial<CachePolicy> = {}): CachePolicy {
  return {
    ttlMs: 60_000,
    entriesMax: 1_024,
    bytesMax: 64 * 1024 * 1024,
    staleIfErrorMs: 0,
    methods: new Set(['GET', 'HEAD', 'POST']),
    ...traits,
  };
}

/** A route that shares nothing but what the test says. */
export function aSharing(traits: Partial<Sharing> = {}): Sharing {
  return {
    coalesce: false,
    cache: undefined,
    batch: undefined,
    varyBy: [],
    methods: new Set(['GET', 'HEAD', 'POST']),
    ...traits,
  };
}

/** The contract's defaults for `batch`, but for what the test cares about. */
export function aBatchPolicy(traits: Partial<BatchPolicy> = {}): BatchPolicy {
  return { sizeMax: 64, waitMsMax: 0, rows: 'array', recheckShare: 0.01, rowsIndependent: false, ...traits };
}

/** A request as R would see it, known by its path. */
export function aShared(sharing: Sharing, traits: RequestTraits & { readonly content?: Buffer } = {}): Shared {
  const complete = aComplete({ ...traits, policy: { ...traits.policy, sharing } });
  const { method, path: target, content: body } = complete;
  const message = { method, target, host: undefined, rawHeaders: [], body };
  return { complete, sharing, message, group: target, key: target };
}
