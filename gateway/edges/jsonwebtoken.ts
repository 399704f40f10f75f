import jwt from 'jsonwebtoken';
import type { CredentialFault } from '../domain/admission/challenge.ts';
import {
  type Credential,
  createFindingCache,
  type FindingCache,
  type Finding,
  type Scheme,
  lookedFor,
  rolesOf,
  scopesOf,
  type LookedFor,
} from '../domain/admission/scheme.ts';
import { claimAt, clientOf, isSubject, parseToken, type ParsedToken } from '../domain/admission/token.ts';
import type { Guessing } from '../domain/admission/guessing.ts';
import type { Call } from '../domain/call.ts';
import { knownCaller, type Caller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { keyedDigest } from './digest.ts';
import { toTrustedKeys, type TokenIssuer, type TrustedKey } from './token-keys.ts';

/** Tokens cached as good; one more displaces those not seen for longest. */
const TOKENS_CACHED_MAX = 10_000;

/** Keys that come from elsewhere and may change. */
export interface ChangingKeys {
  readonly keys: readonly TrustedKey[];
  /** Sees to it that they are there for a token that names one; undefined: nothing has to be waited for. */
  prepare(keyId: string | undefined): Promise<void> | undefined;
}

/** An issuer, with its keys where they are not in its own words. */
export interface TrustedIssuer extends TokenIssuer {
  readonly keySet?: ChangingKeys | undefined;
}

/** What verifying asks. */
interface JwtOptions {
  readonly issuers: readonly TrustedIssuer[];
  readonly tokenBytesMax: number;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly tokensCachedMax?: number;
  readonly guessing?: Guessing | undefined;
  /** A token is good but for the form in which its issuer's secret is written. */
  readonly onOtherSecret?: (issuer: string, hint: string) => void;
}

interface Trust extends TrustedIssuer {
  readonly ownKeys: readonly TrustedKey[];
  /** The secret, read as it is not written: for a hint, never to let in. */
  readonly otherKeys: readonly TrustedKey[];
}

/** The call that brings a token. */
type Presenting = Pick<Call, 'callerAddress' | 'wire'>;

/** A token to be judged. */
interface Presented {
  readonly token: string;
  readonly digest: string;
  readonly parsed: ParsedToken;
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
  readonly #options: JwtOptions;
  readonly #cache: FindingCache;
  readonly #digest = keyedDigest();
  /** The good token that a connection brought last: mostly it is brought again, and a digest is a good part of a call. */
  readonly #lastOn = new WeakMap<object, Pick<Presented, 'token' | 'digest'>>();

  constructor(options: JwtOptions) {
    this.#options = options;
    this.#trusts = options.issuers.map(issuer => ({
      ...issuer,
      ownKeys: toTrustedKeys(issuer),
      otherKeys: otherKeysOf(issuer),
    }));
    this.#cache = createFindingCache(options.tokensCachedMax ?? TOKENS_CACHED_MAX);
  }

  takes({ kind }: Credential): boolean {
    return kind === 'bearer';
  }

  identify(credential: Credential, call?: Presenting): Finding | Promise<Finding> {
    const token = credential.kind === 'bearer' ? credential.token : '';
    if (token.length > this.#options.tokenBytesMax) return refused('too-large');
    const digest = this.#digestOf(token, call);
    const known = this.#cache.find(digest, this.#options.clock.wallMs());
    if (known !== undefined) {
      const connection = call?.wire.connection;
      if (connection && this.#lastOn.get(connection)?.digest !== digest)
        this.#lastOn.set(connection, { token, digest });
      return known;
    }
    const { guessing } = this.#options;
    if (guessing === undefined || call === undefined) return this.#meet(token, digest);
    return guessing.judge({ address: call.callerAddress }, () => this.#meet(token, digest));
  }

  #digestOf(token: string, call: Presenting | undefined): string {
    const last = call?.wire.connection && this.#lastOn.get(call.wire.connection);
    return last?.token === token ? last.digest : this.#digest(token);
  }

  lookedFor({ issuer }: Caller): LookedFor | undefined {
    const trust = this.#trusts.find(each => each.issuer === issuer);
    return trust && lookedFor(trust.claims ?? {});
  }

  /** Forgets what these keys have signed. */
  forget(keys: ReadonlySet<TrustedKey>): void {
    this.#cache.forgetWhere(by => keys.has(by as TrustedKey));
  }

  #meet(token: string, digest: string): Finding | Promise<Finding> {
    const parsed = parseToken(token);
    if (typeof parsed === 'string') return refused(parsed);
    const presented = { token, digest, parsed };
    const trusts = this.#trusts.filter(({ issuer }) => issuer === parsed.issuer);
    if (trusts.length === 0) return refused('unknown-issuer');
    const waits = trusts.map(({ keySet }) => keySet?.prepare(parsed.keyId)).filter(wait => wait !== undefined);
    if (waits.length === 0) return this.#judge(presented, trusts);
    return Promise.all(waits).then(() => this.#judge(presented, trusts));
  }

  #judge(presented: Presented, trusts: readonly Trust[]): Finding {
    let fault: CredentialFault | undefined;
    for (const trust of trusts) {
      const found = this.#judgeBy(trust, presented);
      if (typeof found !== 'string') return found;
      fault = fault === undefined || fault === 'wrong-signature' ? found : fault;
    }
    return refused(fault ?? 'unknown-issuer');
  }

  #judgeBy(trust: Trust, presented: Presented): Finding | CredentialFault {
    const { parsed, token, digest } = presented;
    const keys = keysFor(parsed, trust);
    if (typeof keys === 'string') return keys;
    const mismatch = mismatchOf(parsed, trust);
    if (mismatch !== undefined) return mismatch;
    const wallMs = this.#options.clock.wallMs();
    let fault: CredentialFault = 'wrong-signature';
    for (const key of keys) {
      const found = check({ token, trust, key, wallMs });
      if (found === undefined) return this.#keep(callerOf(parsed, trust), { trust, parsed, digest, key });
      if (found !== 'wrong-signature') fault = found;
    }
    if (fault === 'wrong-signature') this.#lookAtOther(trust, token);
    return fault;
  }

  #keep(caller: Caller | undefined, { trust, parsed, digest, key }: Kept): Finding {
    if (caller === undefined) return refused('no-subject');
    const finding = { kind: 'valid', caller } as const;
    this.#cache.keep(digest, { finding, endsMs: parsed.expires * 1000 + trust.leewayMs, by: key });
    return finding;
  }

  /** Whether the secret would have been the right one, had it been read the other way. */
  #lookAtOther(trust: Trust, token: string): void {
    const { onOtherSecret } = this.#options;
    if (onOtherSecret === undefined) return;
    const wallMs = this.#options.clock.wallMs();
    if (trust.otherKeys.every(key => check({ token, trust, key, wallMs }) === 'wrong-signature')) return;
    onOtherSecret(
      trust.issuer,
      trust.isSecretBase64 === true
        ? 'the signature fits the secret as it is written: write it without `base64`'
        : 'the signature fits the decoded secret: write `secret: { base64: … }`',
    );
  }
}

interface Kept {
  readonly trust: Trust;
  readonly parsed: ParsedToken;
  readonly digest: string;
  readonly key: TrustedKey;
}

/** The keys that may have signed it: its issuer's, of its algorithm's kind, of the name it gives. */
function keysFor({ algorithm, keyId }: ParsedToken, trust: Trust): readonly TrustedKey[] | CredentialFault {
  const all = trust.keySet?.keys ?? trust.ownKeys;
  const named = all.filter(({ id }) => id === undefined || keyId === undefined || id === keyId);
  if (named.length === 0 && trust.keySet !== undefined && trust.algorithms.includes(algorithm)) return 'unknown-key';
  const fitting = named.filter(({ algorithms }) => algorithms.some(name => name === algorithm));
  return fitting.length === 0 ? 'wrong-algorithm' : fitting;
}

/** Whom it is for, and to whom it was issued. */
function mismatchOf({ audiences, claims }: ParsedToken, { audience, clientId }: Trust): CredentialFault | undefined {
  if (audience !== undefined && !audiences.includes(audience)) return 'wrong-audience';
  return clientId !== undefined && clientOf(claims) !== clientId ? 'wrong-client' : undefined;
}

/** The secret of an issuer the other way round: decoded where it is written as text, as text where it is to be decoded. */
function otherKeysOf(issuer: TrustedIssuer): readonly TrustedKey[] {
  if (issuer.secret === undefined) return [];
  try {
    return toTrustedKeys({ ...issuer, isSecretBase64: issuer.isSecretBase64 !== true });
  } catch {
    return []; // read so it would be no sound secret
  }
}

interface Checked {
  readonly token: string;
  readonly trust: Trust;
  readonly key: TrustedKey;
  readonly wallMs: number;
}

function check({ token, trust, key, wallMs }: Checked): CredentialFault | undefined {
  try {
    jwt.verify(token, key.key, {
      algorithms: key.algorithms,
      issuer: trust.issuer,
      ...(trust.audience === undefined ? {} : { audience: trust.audience }),
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

function callerOf({ issuer, claims }: ParsedToken, { claims: paths = {} }: Trust): Caller | undefined {
  const subject = claimAt(claims, paths.subject ?? SUBJECT);
  if (!isSubject(subject)) return undefined;
  const [scopes, roles] = [scopesOf(claims, paths.scopes), rolesOf(claims, paths.roles)];
  return knownCaller('jwt', { issuer, subject, scopes, roles });
}

const SUBJECT = ['sub'];

function refused(fault: CredentialFault): Finding {
  return { kind: 'refused', fault };
}
