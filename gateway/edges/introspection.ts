import type { Credential } from '../domain/admission/scheme.ts';
import { createFindingCache } from '../domain/admission/scheme.ts';
import type { Guessing } from '../domain/admission/guessing.ts';
import { readIntrospection, type IntrospectionRules } from '../domain/admission/introspection.ts';
import type { Finding, Scheme } from '../domain/admission/scheme.ts';
import { lookedFor, type LookedFor } from '../domain/admission/scheme.ts';
import { parseToken } from '../domain/admission/token.ts';
import type { Call } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { keyedDigest } from './digest.ts';
import { fetchFromProvider } from './provider-http.ts';

/** An endpoint that says of a token whether it is active. */
export interface IntrospectionEndpoint extends IntrospectionRules {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What its tokens begin with, or their `iss` where they are JWTs; undefined: all that are no JWT. */
  readonly match: string | undefined;
  readonly cacheMs: number;
}

interface OpaqueOptions {
  readonly endpoints: readonly IntrospectionEndpoint[];
  readonly tokenBytesMax: number;
  readonly clock: Clock;
  readonly guessing: Guessing | undefined;
  /** An endpoint gave no usable answer. */
  readonly onFailure: (url: string, problem: string) => void;
}

const CACHED_MAX = 10_000;
/** Tokens that are asked about at once. */
const UNDER_WAY_MAX = 1_000;
const TIMEOUT_MS = 5_000;
const BYTES_MAX = 64 * 1024;
/** After a failure an endpoint is left alone so long. */
const FAILED_MS = 1_000;

/**
 * Opaque tokens, by introspection (RFC 7662).
 *
 * One query at a time for a token, however many calls bring it; what was answered is cached until the token ends, or
 * for as long as the endpoint's `cacheFor`, a no as well as a yes, each in room of its own: guessing displaces no good
 * token. An answer that is none is IDENTITY_UNAVAILABLE, and never a yes.
 */
export class OpaqueScheme implements Scheme {
  readonly name = 'opaque';
  readonly #options: OpaqueOptions;
  readonly #good = createFindingCache(CACHED_MAX);
  readonly #bad = createFindingCache(CACHED_MAX);
  readonly #underWay = new Map<string, Promise<Finding>>();
  readonly #failedMs = new Map<string, number>(); // as many as there are endpoints
  readonly #digest = keyedDigest();

  constructor(options: OpaqueOptions) {
    this.#options = options;
  }

  takes(credential: Credential): boolean {
    return credential.kind === 'bearer' && this.#endpointFor(credential.token) !== undefined;
  }

  identify(credential: Credential, call: Call): Finding | Promise<Finding> {
    const token = credential.kind === 'bearer' ? credential.token : '';
    const { tokenBytesMax, clock, guessing } = this.#options;
    if (token.length > tokenBytesMax) return { kind: 'refused', fault: 'too-large' };
    const digest = this.#digest(token);
    const wallMs = clock.wallMs();
    const known = this.#good.find(digest, wallMs) ?? this.#bad.find(digest, wallMs);
    if (known !== undefined) return known;
    const introspect = () => this.#underWay.get(digest) ?? this.#begin(token, digest);
    return guessing === undefined ? introspect() : guessing.judge({ address: call.callerAddress }, introspect);
  }

  lookedFor({ issuer }: { readonly issuer: string | undefined }): LookedFor | undefined {
    const endpoint = this.#options.endpoints.find(each => each.issuer === issuer) ?? this.#options.endpoints[0];
    return endpoint && lookedFor(endpoint.claims);
  }

  #endpointFor(token: string): IntrospectionEndpoint | undefined {
    const isJwt = token.startsWith('eyJ') && token.split('.', 4).length === 3;
    for (const endpoint of this.#options.endpoints) {
      const { match } = endpoint;
      if (match === undefined ? !isJwt : token.startsWith(match) || (isJwt && issuerOf(token) === match))
        return endpoint;
    }
    return undefined;
  }

  #begin(token: string, digest: string): Promise<Finding> {
    const endpoint = this.#endpointFor(token);
    if (endpoint === undefined || this.#underWay.size >= UNDER_WAY_MAX)
      return Promise.reject(unavailable('too many tokens at once'));
    const introspected = this.#introspect(endpoint, token, digest).finally(() => this.#underWay.delete(digest));
    this.#underWay.set(digest, introspected);
    return introspected;
  }

  async #introspect(endpoint: IntrospectionEndpoint, token: string, digest: string): Promise<Finding> {
    const { clock, onFailure } = this.#options;
    if (clock.nowMs() - (this.#failedMs.get(endpoint.url) ?? -Infinity) < FAILED_MS) {
      throw unavailable(`${endpoint.url} failed a moment ago`);
    }
    try {
      const answer = await fetchFromProvider(requestOf(endpoint, token));
      const said = readIntrospection(answer, endpoint, clock.wallMs());
      if (said === undefined) throw new Error('its answer is no introspection');
      return this.#keep(digest, said, endpoint);
    } catch (error) {
      this.#failedMs.set(endpoint.url, clock.nowMs());
      const problem = error instanceof Error ? error.message : 'unknown';
      onFailure(endpoint.url, problem);
      throw unavailable(`${endpoint.url}: ${problem}`);
    }
  }

  #keep(
    digest: string,
    { endsMs, ...finding }: Finding & { readonly endsMs: number },
    { cacheMs }: IntrospectionEndpoint,
  ): Finding {
    const until = Math.min(endsMs, this.#options.clock.wallMs() + cacheMs);
    (finding.kind === 'valid' ? this.#good : this.#bad).keep(digest, { finding, endsMs: until });
    return finding;
  }
}

/** RFC 7662 §2.1, the client known by HTTP Basic as RFC 6749 §2.3.1 encodes it. */
function requestOf({ url, clientId, clientSecret }: IntrospectionEndpoint, token: string) {
  const pair = [clientId, clientSecret].map(formEncoded).join(':');
  return {
    url,
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
    timeoutMs: TIMEOUT_MS,
    bytesMax: BYTES_MAX,
  } as const;
}

function formEncoded(text: string): string {
  return new URLSearchParams({ a: text }).toString().slice(2);
}

/** By its own word, which chooses whom to ask and nothing else. */
function issuerOf(token: string): string | undefined {
  const parsed = parseToken(token);
  return typeof parsed === 'string' ? undefined : parsed.issuer;
}

function unavailable(message: string): GatewayError {
  return new GatewayError('IDENTITY_UNAVAILABLE', message, { retryAfterMs: FAILED_MS });
}
