import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { Algorithm } from 'jsonwebtoken';
import type { ClaimPaths } from '../domain/admission/scheme.ts';

/** By what an issuer's tokens are known: a shared secret, public keys (one PEM text, one or more keys), or keys that are fetched. */
interface KeyMaterial {
  readonly algorithms: readonly string[];
  readonly secret?: string | undefined;
  /** The issuer signs with the bytes that the secret is the base64 of. */
  readonly isSecretBase64?: boolean;
  readonly publicKey?: string | undefined;
  /** Its keys come from elsewhere, later. */
  readonly isFetched?: boolean;
}

/** An issuer whose tokens are taken. */
export interface TokenIssuer extends KeyMaterial {
  readonly issuer: string;
  /** Undefined: any. */
  readonly audience?: string | undefined;
  /** The client a token must have been issued to; undefined: any. */
  readonly clientId?: string | undefined;
  readonly leewayMs: number;
  readonly claims?: ClaimPaths;
}

/** A key, and the algorithms it may be used with: never others, whatever a token says. */
export interface TrustedKey {
  readonly key: KeyObject;
  readonly algorithms: Algorithm[];
  /** By which name a token refers to it; undefined: any token may. */
  readonly id?: string | undefined;
}

const SECRET_BYTES_MIN: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const RSA_BITS_MIN = 2048;
const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const KNOWN: readonly string[] = [...Object.keys(SECRET_BYTES_MIN), ...RSA, ...Object.values(CURVE_ALGORITHMS)];
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** The keys of an issuer, each bound to the algorithms of its kind. Throws, without quoting a secret, what is unsound. */
export function toTrustedKeys(issuer: TokenIssuer): readonly TrustedKey[] {
  try {
    return trustedKeys(issuer);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : 'unusable';
    throw new Error(`identity.jwt, issuer ${JSON.stringify(issuer.issuer)}: ${problem}`, { cause });
  }
}

/** What is unsound about an issuer's keys, in words for the operator; undefined: nothing. */
export function keysProblem(issuer: KeyMaterial): string | undefined {
  try {
    trustedKeys(issuer);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'unusable';
  }
}

function trustedKeys(issuer: KeyMaterial): readonly TrustedKey[] {
  judgeAlgorithms(issuer);
  const { secret, publicKey, isFetched = false } = issuer;
  if (secret !== undefined && publicKey === undefined) return [trustedSecret(issuer, secret)];
  if (publicKey !== undefined && secret === undefined) return trustedPublicKeys(issuer, publicKey);
  if (isFetched && secret === undefined) return [];
  throw unsound('needs either a secret or a publicKey, and not both');
}

function judgeAlgorithms({ algorithms }: KeyMaterial): void {
  const unknown = algorithms.filter(algorithm => !KNOWN.includes(algorithm));
  if (algorithms.length === 0) throw unsound(`name its algorithms, of ${KNOWN.join(', ')}`);
  if (unknown.length > 0) throw unsound(`unknown algorithm ${unknown.join(', ')}; known: ${KNOWN.join(', ')}`);
}

function trustedSecret(issuer: KeyMaterial, secret: string): TrustedKey {
  const { algorithms } = issuer;
  const asymmetric = algorithms.filter(algorithm => !(algorithm in SECRET_BYTES_MIN));
  if (asymmetric.length > 0) throw unsound(`${asymmetric.join(', ')} needs a publicKey, not a secret`);
  if (secret.includes('-----BEGIN')) throw unsound('its secret is a PEM text: anyone may know a public key');
  const bytes = Buffer.from(secret, issuer.isSecretBase64 === true ? 'base64' : 'utf8');
  const bytesMin = Math.max(...algorithms.map(algorithm => SECRET_BYTES_MIN[algorithm] ?? 0));
  if (bytes.length < bytesMin) {
    throw unsound(`its secret has ${bytes.length} bytes; ${algorithms.join(', ')} needs at least ${bytesMin}`);
  }
  return { key: createSecretKey(bytes), algorithms: algorithms.filter(isAlgorithm) };
}

function trustedPublicKeys(issuer: KeyMaterial, text: string): readonly TrustedKey[] {
  if (text.includes('PRIVATE KEY-----')) throw unsound('its publicKey is a private key: give the public one');
  const blocks = text.match(PEM_BLOCK);
  if (blocks === null) throw unsound('its publicKey is not a PEM text');
  return blocks.map(block => trustedPublicKey(issuer, block));
}

function trustedPublicKey(issuer: KeyMaterial, block: string): TrustedKey {
  const key = readPublicKey(block);
  const fitting = algorithmsFor(key);
  const algorithms = issuer.algorithms.filter(algorithm => fitting.includes(algorithm)).filter(isAlgorithm);
  if (algorithms.length > 0) return { key, algorithms };
  throw unsound(`its publicKey is of type ${describe(key)}, which none of ${issuer.algorithms.join(', ')} uses`);
}

function readPublicKey(block: string): KeyObject {
  try {
    return createPublicKey(block);
  } catch (cause) {
    throw unsound('its publicKey cannot be read', cause);
  }
}

/** Keys of a published set (RFC 7517) that an issuer may sign with; what is of no use here is left out, and what is too much. */
export function toPublishedKeys(set: unknown, algorithms: readonly string[]): PublishedKeys {
  const members = typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) ? set.keys : [];
  const offered = members.map(toJwk).filter(isForSignatures);
  const keys = offered.slice(0, PUBLISHED_KEYS_MAX).flatMap(jwk => publishedKey(jwk, algorithms) ?? []);
  return { keys, passedOver: Math.max(0, offered.length - PUBLISHED_KEYS_MAX) };
}

interface PublishedKeys {
  readonly keys: readonly TrustedKey[];
  /** So many more were published than are read. */
  readonly passedOver: number;
}

const PUBLISHED_KEYS_MAX = 100;

function toJwk(member: unknown): Readonly<Record<string, unknown>> {
  return (typeof member === 'object' && member !== null ? member : {}) as Readonly<Record<string, unknown>>;
}

function publishedKey(jwk: Readonly<Record<string, unknown>>, algorithms: readonly string[]): TrustedKey | undefined {
  const { alg, kid } = jwk;
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const fitting = algorithmsFor(key).filter(name => alg === undefined || alg === name);
    const usable = algorithms.filter(name => fitting.includes(name)).filter(isAlgorithm);
    return usable.length === 0 ? undefined : { key, algorithms: usable, id: typeof kid === 'string' ? kid : undefined };
  } catch {
    return undefined; // unreadable or too weak: a token signed with it finds no key
  }
}

/** RFC 7517 §4.1 to 4.3; a secret that is published is none. */
function isForSignatures({ kty, use, key_ops: uses }: Readonly<Record<string, unknown>>): boolean {
  if (kty !== 'RSA' && kty !== 'EC') return false;
  return (use === undefined || use === 'sig') && (!Array.isArray(uses) || uses.includes('verify'));
}

function algorithmsFor({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject) {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails;
  if (asymmetricKeyType === 'ec') return [CURVE_ALGORITHMS[namedCurve] ?? ''];
  if (asymmetricKeyType !== 'rsa' && asymmetricKeyType !== 'rsa-pss') return [];
  if (modulusLength < RSA_BITS_MIN) {
    throw unsound(`its RSA key has ${modulusLength} bits; at least ${RSA_BITS_MIN} are needed`);
  }
  return RSA.filter(algorithm => asymmetricKeyType === 'rsa' || algorithm.startsWith('PS'));
}

function describe({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string {
  return [asymmetricKeyType, details?.namedCurve].filter(part => part !== undefined).join(' ');
}

function isAlgorithm(algorithm: string): algorithm is Algorithm {
  return KNOWN.includes(algorithm);
}

function unsound(problem: string, cause?: unknown): Error {
  return new Error(problem, { cause });
}
