import jwt from 'jsonwebtoken';
import type { CredentialFault } from '../domain/admission/challenge.ts';
import type { Credential } from '../domain/admission/credential.ts';
import { createFindingCache, type FindingCache } from '../domain/admission/finding-cache.ts';
import type { Finding, Scheme } from '../domain/admission/scheme.ts';
import { rolesOf, scopesOf } from '../domain/admission/scopes.ts';
import { parseToken, type ParsedToken } from '../domain/admission/token.ts';
import { knownCaller, type Caller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { keyedDigest } from './digest.ts';
import { toTrustedKeys, type TokenIssuer, type TrustedKey } from './token-keys.ts';

/** Tokens cached as good; one more displaces those not seen for longest. */
const TOKENS_CACHED_MAX = 10_000;

/** What verifying asks. */
interface JwtOptions {
  readonly issuers: readonly TokenIssuer[];
  readonly tokenBytesMax: number;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly tokensCachedMax?: number;
}

interface Trust extends TokenIssuer {
  readonly keys: readonly TrustedKey[];
}

/** A key that may have signed a token, with the rules of the issuer it belongs to. */
interface Candidate {
  readonly trust: Trust;
  readonly key: TrustedKey;
}

/**
 * Verifies JWTs of the configured issuers with jsonwebtoken; throws at once when an issuer's keys are unsound.
 *
 * A token chooses among the keys of the issuer it names, and only those made for its algorithm: the type of a key, not
 * the token, says how a signature is checked. What was verified is cached by its hash until it expires, so that a
 * caller's second call costs no signature; what was refused is not, so that guessing fills no memory.
 */
export class JwtScheme implements Scheme {
  readonly name = 'jwt';
  readonly #trusts: readonly Trust[];
  readonly #tokenBytesMax: number;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #cache: FindingCache;
  readonly #digest = keyedDigest();

  constructor({ issuers, tokenBytesMax, clock, tokensCachedMax = TOKENS_CACHED_MAX }: JwtOptions) {
    this.#trusts = issuers.map((issuer): Trust => ({ ...issuer, keys: toTrustedKeys(issuer) }));
    this.#tokenBytesMax = tokenBytesMax;
    this.#clock = clock;
    this.#cache = createFindingCache(tokensCachedMax);
  }

  takes({ kind }: Credential): boolean {
    return kind === 'bearer';
  }

  identify(credential: Credential): Finding {
    const token = credential.kind === 'bearer' ? credential.token : '';
    if (token.length > this.#tokenBytesMax) return refused('too-large');
    const wallMs = this.#clock.wallMs();
    const digest = this.#digest(token);
    return this.#cache.find(digest, wallMs) ?? this.#verify(token, digest, wallMs);
  }

  #verify(token: string, digest: string, wallMs: number): Finding {
    const parsed = parseToken(token);
    if (typeof parsed === 'string') return refused(parsed);
    const candidates = candidatesFor(parsed, this.#trusts);
    if (typeof candidates === 'string') return refused(candidates);

    let fault: CredentialFault = 'wrong-signature';
    for (const { trust, key } of candidates) {
      const found = check({ token, trust, key, wallMs });
      if (found === undefined) {
        const finding = { kind: 'valid', caller: toCaller(parsed) } as const;
        this.#cache.keep(digest, { finding, endsMs: parsed.expires * 1000 + trust.leewayMs });
        return finding;
      }
      if (found !== 'wrong-signature') fault = found;
    }
    return refused(fault);
  }
}

/** The keys that may have signed it: its issuer's, for its audience, of its algorithm's kind. */
function candidatesFor(parsed: ParsedToken, trusts: readonly Trust[]): readonly Candidate[] | CredentialFault {
  const ofIssuer = trusts.filter(({ issuer }) => issuer === parsed.issuer);
  if (ofIssuer.length === 0) return 'unknown-issuer';
  const candidates = ofIssuer.flatMap(trust =>
    trust.keys.filter(key => key.algorithms.some(name => name === parsed.algorithm)).map(key => ({ trust, key })),
  );
  if (candidates.length === 0) return 'wrong-algorithm';
  const meant = candidates.filter(({ trust }) => parsed.audiences.includes(trust.audience));
  return meant.length === 0 ? 'wrong-audience' : meant;
}

function check(given: Candidate & { readonly token: string; readonly wallMs: number }): CredentialFault | undefined {
  const { token, trust, key, wallMs } = given;
  try {
    jwt.verify(token, key.key, {
      algorithms: key.algorithms,
      issuer: trust.issuer,
      audience: trust.audience,
      clockTimestamp: wallMs / 1000,
      clockTolerance: trust.leewayMs / 1000,
    });
    return undefined;
  } catch (error) {
    if (error instanceof jwt.TokenExpiredError) return 'expired';
    if (error instanceof jwt.NotBeforeError) return 'not-yet-valid';
    return 'wrong-signature'; // of what else the library refuses, all was checked before
  }
}

function toCaller({ issuer, subject, claims }: ParsedToken): Caller {
  return knownCaller('jwt', { issuer, subject, scopes: scopesOf(claims), roles: rolesOf(claims) });
}

function refused(fault: CredentialFault): Finding {
  return { kind: 'refused', fault };
}
