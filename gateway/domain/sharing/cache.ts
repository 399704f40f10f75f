import type { CacheLookup, CacheResult } from '../call.ts';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { CachePolicy } from '../route.ts';
import {
  fromEntry,
  isWrite,
  leftMsOf,
  toEntry,
  type CacheEntry,
  type RouteCache,
  type RouteCaches,
} from './cache-entries.ts';
import {
  freshnessOf,
  isBypassed,
  isErrorOfR,
  isFailureOfR,
  mayBeStored,
  mayServeOnError,
  verdictOn,
} from './freshness.ts';
import type { Digest, SharedCall } from './shared-call.ts';
import { type Answer, dropBody, type Via } from '../upstream.ts';

/** What looking into caches takes. */
export interface CachePorts {
  readonly caches: RouteCaches;
  readonly clock: Clock;
  readonly digest: Digest;
}

/**
 * Why R is asked though there is a cache (RFC 9211 §2.2).
 *
 *   uri-miss  nothing is stored that answers it
 *   stale     what is stored is past its time
 *   request   what is stored is fresh, and the caller would not have it
 *   bypass    the caller would have nothing to do with the cache
 */
type Forwarded = 'uri-miss' | 'stale' | 'request' | 'bypass';

/**
 * A stored answer for this call. Undefined: R is to be asked, and the call has a lookup for what comes back. Throws
 * NOT_CACHED where the caller would not have R asked (RFC 9111 §5.2.1.7).
 */
export function lookUp(shared: SharedCall, policy: CachePolicy, ports: CachePorts): Answer | undefined {
  const { call, directives } = shared;
  const cache = ports.caches.of(call.route, policy);
  const nowMs = ports.clock.nowMs();
  let why: Forwarded = 'bypass';
  if (!isBypassed(directives)) {
    const entry = cache.get(shared.key);
    const verdict = entry === undefined ? 'uri-miss' : verdictOn(entry.freshness, directives, nowMs);
    if (entry !== undefined && verdict === 'hit') {
      call.record.cache = 'hit';
      return fromEntry(entry, { nowMs, cacheStatus: hitStatus(leftMsOf(entry, nowMs)), via: null });
    }
    why = verdict === 'hit' ? 'uri-miss' : verdict;
  }
  if (directives.isOnlyIfCached) throw notCached(shared);
  call.lookup = new Lookup({ shared, policy, ports, cache, why, requestedMs: nowMs });
  return undefined;
}

function notCached({ call }: SharedCall): GatewayError {
  call.record.cache = 'miss';
  return new GatewayError('NOT_CACHED', 'only-if-cached, and nothing that fits is stored', {
    fields: ['Cache-Status', 'Penstock; detail=only-if-cached'],
  });
}

interface LookupParts {
  readonly shared: SharedCall;
  readonly policy: CachePolicy;
  readonly ports: CachePorts;
  readonly cache: RouteCache;
  readonly why: Forwarded;
  readonly requestedMs: number;
}

/**
 * A call to a route with a cache that found nothing there: stores what R answers, or gives what is stored where R gives
 * no answer. It is used once on the way back; each answer says in `Cache-Status` what the cache made of it (RFC 9211),
 * failures too.
 */
class Lookup implements CacheLookup {
  readonly #parts: LookupParts;
  /** As the key has them. */
  readonly #versions: string;
  /** The answer was offered to the cache: by this call, or by one that shared its flight. */
  #isOffered = false;
  #stored: CacheEntry | undefined = undefined;
  #isCollapsed = false;

  constructor(parts: LookupParts) {
    this.#parts = parts;
    this.#versions = parts.shared.call.route.service.versions;
  }

  /** Takes an answer that comes when its callers are gone; undefined: nothing is to be stored of this call. */
  get keepLate(): ((answer: Answer) => void) | undefined {
    return this.mayStore ? answer => this.store(answer) : undefined;
  }

  get mayStore(): boolean {
    return this.#parts.why !== 'bypass';
  }

  /**
   * Stores an answer of R's; `requestedMs`: when R was asked, if that was before this call came. What may not be stored still
   * shows that what was is over, but for a failure, which shows nothing.
   */
  store(answer: Answer, requestedMs = this.#parts.requestedMs): void {
    this.#isOffered = true;
    const { shared, policy, cache, ports } = this.#parts;
    const { clock, digest } = ports;
    if (shared.call.route.service.versions !== this.#versions) return; // it may be of a version not in the key
    const when = { requestedMs, answeredMs: clock.nowMs(), answeredWallMs: clock.wallMs() };
    const whole = mayBeStored(answer) ? answer : undefined;
    const freshness = whole && freshnessOf(policy, whole.fields, when);
    if (whole === undefined || freshness === undefined) {
      if (answer.status < 500) cache.delete(shared.key);
      return;
    }
    const entry = toEntry(whole, { requestedMs, freshness, target: shared.message.target, digest });
    if (cache.set(shared.key, entry)) this.#stored = entry;
  }

  /** Another call that shared the flight has offered the answer already. */
  follow(other: Lookup): void {
    if (other === this) return;
    this.#isOffered = true;
    this.#stored = other.#stored;
    this.#isCollapsed = true;
  }

  /** R's answer as the caller gets it, or a stored one in its place where it is an error. */
  answered(answer: Answer): Answer {
    const { shared, ports } = this.#parts;
    const { call } = shared;
    call.lookup = undefined;
    if (!this.#isOffered && this.mayStore && Buffer.isBuffer(answer.body)) this.store(answer);
    const instead = isErrorOfR(answer.status) ? this.#instead(`fwd-status=${answer.status}`, answer.via) : undefined;
    if (instead !== undefined) {
      dropBody(answer);
      return instead;
    }
    if (isWrite(call.method, answer.status)) ports.caches.invalidate(call.route.service.name, shared.message.target);
    call.record.cache = this.#result;
    const tag = this.#stored?.addedTag;
    if (tag !== undefined) answer.fields.push('ETag', tag);
    answer.fields.push('Cache-Status', this.#forwardStatus);
    return answer;
  }

  /** A stored answer in the place of a failure of R's; undefined: the caller gets the failure. */
  failed(failure: GatewayError): Answer | undefined {
    const { call } = this.#parts.shared;
    call.lookup = undefined;
    const instead = isFailureOfR(failure) ? this.#instead(`detail=${failure.code}`, call.record.via) : undefined;
    if (instead !== undefined) return instead;
    call.record.cache = this.#result;
    call.addReplyField('Cache-Status', this.#forwardStatus);
    return undefined;
  }

  /** Looked up anew: while R was asked, another answer may have come, or all have been purged. */
  #instead(reason: string, via: Via | null): Answer | undefined {
    const { shared, cache, ports } = this.#parts;
    const entry = cache.get(shared.key);
    const nowMs = ports.clock.nowMs();
    if (entry === undefined || !mayServeOnError(entry.freshness, shared.directives, nowMs)) return undefined;
    const leftMs = leftMsOf(entry, nowMs);
    shared.call.record.cache = leftMs > 0 ? 'hit' : 'stale';
    const cacheStatus = leftMs > 0 ? hitStatus(leftMs) : staleStatus(leftMs, reason);
    return fromEntry(entry, { nowMs, cacheStatus, via });
  }

  get #result(): CacheResult {
    const { shared, why } = this.#parts;
    return shared.directives.isNoCache || why === 'request' || why === 'bypass' ? 'bypass' : 'miss';
  }

  /** `Cache-Status` of an answer for which R was asked (RFC 9211 §2.5, §2.6). */
  get #forwardStatus(): string {
    if (this.#stored === undefined) return `Penstock; fwd=${this.#parts.why}`;
    return `Penstock; fwd=${this.#parts.why}; stored${this.#isCollapsed ? '; collapsed' : ''}`;
  }
}

/** `Cache-Status` of a stored answer; past its time where `leftMs` is negative (RFC 9211 §2.4). */
function hitStatus(leftMs: number): string {
  return `Penstock; hit; ttl=${Math.floor(leftMs / 1000)}`;
}

/** `Cache-Status` of an answer past its time, given because R gave none. */
function staleStatus(leftMs: number, reason: string): string {
  return `Penstock; fwd=stale; ttl=${Math.floor(leftMs / 1000)}; ${reason}`;
}
