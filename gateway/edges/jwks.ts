import type { Clock } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import { GatewayError } from '../domain/errors.ts';
import { fetchFromProvider } from './provider-http.ts';
import { toPublishedKeys, type TrustedKey } from './token-keys.ts';

/** Where an issuer's keys are to be had, and how long they may be used. */
export interface KeySetOptions {
  readonly issuer: string;
  readonly algorithms: readonly string[];
  /** Undefined: what the issuer's discovery document says. */
  readonly url: string | undefined;
  readonly staleMsMax: number;
  readonly clock: Clock;
  readonly observe: Observe;
  /** These are published no more: what they have signed is believed no more. */
  readonly onGone: (keys: ReadonlySet<TrustedKey>) => void;
}

const REFRESH_MS = 600_000;
/** A token may name any key: it makes the set be fetched so often at most. */
const UNKNOWN_KEY_MS = 30_000;
/** After a failure the next attempt waits so long. */
const FAILED_MS = 5_000;
const TIMEOUT_MS = 5_000;
const BYTES_MAX = 512 * 1024;

/**
 * The published keys of an issuer (RFC 7517).
 *
 * Fetched when a token first asks for them, and from then on every ten minutes beside the calls, one fetch at a time. A
 * token that names a key the set does not have makes it be fetched at once, at most once in thirty seconds. Where the
 * issuer cannot be reached, the keys it last published serve until they are too old.
 */
export class KeySet {
  readonly #options: KeySetOptions;
  #keys: readonly TrustedKey[] = [];
  /** By the clock; undefined: never. */
  #fetchedMs: number | undefined;
  #failedMs = -Infinity;
  #unknownMs = -Infinity;
  #fetching: Promise<void> | undefined;
  #isFailing = false;
  #isTooLarge = false;
  #cancel: () => void = () => undefined;
  #isClosed = false;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** The keys as they are known now. */
  get keys(): readonly TrustedKey[] {
    return this.#keys;
  }

  /** Since they were fetched; undefined: they never were. */
  get ageSeconds(): number | undefined {
    return this.#fetchedMs === undefined ? undefined : (this.#options.clock.nowMs() - this.#fetchedMs) / 1000;
  }

  /**
   * Sees to it that the keys are there for a token that names one. Undefined: they are, as far as can be. Rejects with
   * IDENTITY_UNAVAILABLE where there are none to be had.
   */
  prepare(keyId: string | undefined): Promise<void> | undefined {
    const nowMs = this.#options.clock.nowMs();
    if (this.#keys.length === 0) return this.#first(nowMs);
    if (this.#knows(keyId)) return undefined;
    if (this.#fetching === undefined && nowMs - this.#unknownMs < UNKNOWN_KEY_MS) {
      return this.#isFailing ? Promise.reject(this.#unavailable()) : undefined;
    }
    this.#unknownMs = nowMs;
    return this.#lookFor(keyId);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #knows(keyId: string | undefined): boolean {
    return keyId === undefined || this.#keys.some(({ id }) => id === undefined || id === keyId);
  }

  /** Whether a key is published cannot be said while the issuer does not answer. */
  async #lookFor(keyId: string | undefined): Promise<void> {
    await this.#fetch();
    if (this.#isFailing && !this.#knows(keyId)) throw this.#unavailable();
  }

  async #first(nowMs: number): Promise<void> {
    if (this.#fetching === undefined && nowMs - this.#failedMs < FAILED_MS) throw this.#unavailable();
    await (this.#fetching ?? this.#fetch());
    if (this.#keys.length === 0) throw this.#unavailable();
  }

  #unavailable(): GatewayError {
    return new GatewayError('IDENTITY_UNAVAILABLE', `no keys of ${this.#options.issuer}`, { retryAfterMs: FAILED_MS });
  }

  /** One at a time; never rejects. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#refresh().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async #refresh(): Promise<void> {
    this.#cancel();
    try {
      const { algorithms } = this.#options;
      const set = await fetchSet(this.#options.url ?? (await this.#discover()));
      const { keys, passedOver } = toPublishedKeys(set, algorithms);
      this.#report(passedOver);
      if (keys.length === 0) throw new Error(`it holds no key for ${algorithms.join(', ')}`);
      this.#succeeded(keys);
    } catch (error) {
      this.#failed(error);
    }
    if (!this.#isClosed) this.#again(this.#isFailing ? FAILED_MS : REFRESH_MS);
  }

  /** Once. */
  #report(passedOver: number): void {
    if (this.#isTooLarge || passedOver === 0) return;
    this.#isTooLarge = true;
    const { observe, issuer } = this.#options;
    const text = 'an issuer publishes more keys than are read: tokens that the last ones have signed are refused';
    observe({ kind: 'notice', level: 'warn', text, about: { issuer, passedOver } });
  }

  /** OpenID Connect Discovery 1.0 §4: the document must be the issuer's own. */
  async #discover(): Promise<string> {
    const { issuer } = this.#options;
    const said = await fetchSet(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { issuer: named, jwks_uri: url } = (typeof said === 'object' && said !== null ? said : {}) as Record<
      string,
      unknown
    >;
    if (named !== issuer) throw new Error('its discovery document is of another issuer');
    if (typeof url !== 'string' || !isNoWeaker(url, issuer))
      throw new Error('its discovery document names no usable jwks_uri');
    return url;
  }

  #succeeded(fetched: readonly TrustedKey[]): void {
    const { clock, observe, issuer, onGone } = this.#options;
    // A key that stays is the same object: what it has signed stays cached.
    const known = this.#keys;
    this.#keys = fetched.map(key => known.find(other => isSame(other, key)) ?? key);
    this.#fetchedMs = clock.nowMs();
    const gone = new Set(known.filter(key => !this.#keys.includes(key)));
    if (gone.size > 0) onGone(gone);
    if (!this.#isFailing) return;
    this.#isFailing = false;
    observe({ kind: 'notice', level: 'info', text: 'the keys of an issuer could be fetched again', about: { issuer } });
  }

  #failed(error: unknown): void {
    const { clock, observe, issuer, onGone, staleMsMax } = this.#options;
    this.#failedMs = clock.nowMs();
    const problem = error instanceof Error ? error.message : 'unknown';
    const ageSeconds = this.ageSeconds ?? null;
    if (!this.#isFailing) {
      const text = 'the keys of an issuer cannot be fetched: those known serve on';
      observe({ kind: 'notice', level: 'warn', text, about: { issuer, problem, ageSeconds } });
    }
    this.#isFailing = true;
    if (ageSeconds === null || ageSeconds * 1000 < staleMsMax || this.#keys.length === 0) return;
    const text = 'the keys of an issuer are too old to be used: its tokens are refused until it can be reached';
    observe({ kind: 'notice', level: 'error', text, about: { issuer, problem, ageSeconds } });
    const gone = new Set(this.#keys);
    this.#keys = [];
    onGone(gone);
  }

  #again(afterMs: number): void {
    this.#cancel = this.#options.clock.after(afterMs, () => void this.#fetch());
  }
}

function fetchSet(url: string): Promise<unknown> {
  return fetchFromProvider({ url, timeoutMs: TIMEOUT_MS, bytesMax: BYTES_MAX });
}

/** An issuer that is reached by TLS has its keys reached by TLS. */
function isNoWeaker(url: string, issuer: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && issuer.toLowerCase().startsWith('http:'));
}

function isSame(a: TrustedKey, b: TrustedKey): boolean {
  return a.id === b.id && a.algorithms.join() === b.algorithms.join() && a.key.equals(b.key);
}
