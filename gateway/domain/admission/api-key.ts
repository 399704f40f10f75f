import type { Call } from '../call.ts';
import { knownCaller, type Caller } from '../caller.ts';
import type { Clock } from '../clock.ts';
import { fieldOf, fieldsOf } from '../http/fields.ts';
import { ambiguous, type Credential } from './scheme.ts';
import { readQuery } from '../http/request-target.ts';
import type { Guessing } from './guessing.ts';
import type { Finding, Scheme } from './scheme.ts';

/** An API key as the gateway knows it: the key itself stands nowhere. */
export interface ApiKey {
  readonly id: string;
  /** Of the key, in hexadecimal. */
  readonly sha256: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  /** Milliseconds since 1970; Infinity: never. */
  readonly expiresMs: number;
}

/** Digests, as an edge makes and compares them. */
export interface KeyDigests {
  /** SHA-256, in hexadecimal. */
  sha256(text: string): string;
  /** Under a key of this process's own. */
  keyed(text: string): string;
  /** In constant time. */
  isEqual(a: string, b: string): boolean;
}

interface ApiKeyOptions {
  readonly keys: readonly ApiKey[];
  /** The field that a key may stand in, beside `Authorization: ApiKey`; in lower case. */
  readonly field: string;
  readonly keyBytesMax: number;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly digests: KeyDigests;
  readonly guessing: Guessing | undefined;
  /** A call had a key in its URL, where logs and histories keep it. */
  readonly onKeyInUrl: (call: Call) => void;
}

interface Known {
  readonly sha256: string;
  readonly expiresMs: number;
  readonly finding: Finding;
}

/** Names of parameters under which people put keys into URLs. */
const KEY_PARAMETER = /^(?:x[-_]?)?(?:api[-_]?key|access[-_]?token)$/i;
/** As `penstock key create` makes them. */
const KEY_OF_OURS = /^penstock_[\w-]{43}$/;
const UNKNOWN_KEY: Known = {
  sha256: '0'.repeat(64),
  expiresMs: Infinity,
  finding: { kind: 'refused', fault: 'unknown-key-text' },
};

/**
 * API keys, of which a file has the digests.
 *
 * A key is looked up by a digest under this process's own key and then compared in constant time, so that neither tells
 * a known key from an unknown one by its time. That is as quick as a cache would be: nothing is cached.
 */
export class ApiKeyScheme implements Scheme {
  readonly name = 'api-key';
  readonly #options: ApiKeyOptions;
  /** The field's name, as a parameter may be called. */
  readonly #fieldName: string;
  #known: ReadonlyMap<string, Known>;

  constructor(options: ApiKeyOptions) {
    this.#options = options;
    this.#fieldName = fieldNameOf(options.field);
    this.#known = this.#index(options.keys);
  }

  /** From here on these keys count, and no others. */
  replace(keys: readonly ApiKey[]): void {
    this.#known = this.#index(keys);
  }

  takes({ kind }: Credential): boolean {
    return kind === 'api-key' || kind === 'key-in-url';
  }

  brought(call: Call, said: Credential): Credential | undefined {
    const { field } = this.#options;
    const key = fieldOf(call.fields, field);
    if (key !== undefined) {
      if (fieldsOf(call.fields, field).length > 1) throw ambiguous('The request has more than one API key.');
      return { kind: 'api-key', key };
    }
    return said.kind === 'none' && this.#isInUrl(call.query) ? KEY_IN_URL : undefined;
  }

  #isInUrl(query: string): boolean {
    return readQuery(query).some(
      ([name, value = '']) =>
        KEY_PARAMETER.test(name) || fieldNameOf(name) === this.#fieldName || KEY_OF_OURS.test(value),
    );
  }

  identify(credential: Credential, call: Call): Finding {
    const { guessing, onKeyInUrl } = this.#options;
    if (credential.kind !== 'api-key') {
      onKeyInUrl(call);
      return { kind: 'refused', fault: 'key-in-url' };
    }
    const finding = this.#look(credential.key);
    return guessing === undefined ? finding : guessing.note(call.callerAddress, finding);
  }

  #look(key: string): Finding {
    const { digests, clock, keyBytesMax } = this.#options;
    if (key.length > keyBytesMax) return UNKNOWN_KEY.finding;
    const sha256 = digests.sha256(key);
    const known = this.#known.get(digests.keyed(sha256)) ?? UNKNOWN_KEY;
    if (!digests.isEqual(known.sha256, sha256)) return UNKNOWN_KEY.finding;
    return clock.wallMs() < known.expiresMs ? known.finding : EXPIRED;
  }

  #index(keys: readonly ApiKey[]): ReadonlyMap<string, Known> {
    const { digests } = this.#options;
    return new Map(
      keys.map(key => [
        digests.keyed(key.sha256),
        { sha256: key.sha256, expiresMs: key.expiresMs, finding: { kind: 'valid', caller: toCaller(key) } },
      ]),
    );
  }
}

function fieldNameOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

const KEY_IN_URL: Credential = { kind: 'key-in-url' };
const EXPIRED: Finding = { kind: 'refused', fault: 'expired-key' };

function toCaller({ subject, scopes, roles }: ApiKey): Caller {
  return knownCaller('api-key', { issuer: 'api-key', subject, scopes, roles });
}
