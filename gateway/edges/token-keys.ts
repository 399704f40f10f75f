import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { Algorithm } from 'jsonwebtoken';

/** An issuer whose tokens are taken: by a shared secret, or by public keys (one PEM text, one or more keys). */
export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly secret?: string | undefined;
  readonly publicKey?: string | undefined;
  readonly leewayMs: number;
}

/** A key, and the algorithms it may be used with: never others, whatever a token says. */
export interface TrustedKey {
  readonly key: KeyObject;
  readonly algorithms: Algorithm[];
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
  const { algorithms, secret, publicKey } = issuer;
  const unknown = algorithms.filter(algorithm => !KNOWN.includes(algorithm));
  if (algorithms.length === 0) throw unsound(issuer, `name its algorithms, of ${KNOWN.join(', ')}`);
  if (unknown.length > 0) throw unsound(issuer, `unknown algorithm ${unknown.join(', ')}; known: ${KNOWN.join(', ')}`);
  if (secret !== undefined && publicKey === undefined) return [trustedSecret(issuer, secret)];
  if (publicKey !== undefined && secret === undefined) return trustedPublicKeys(issuer, publicKey);
  throw unsound(issuer, 'needs either a secret or a publicKey, and not both');
}

function trustedSecret(issuer: TokenIssuer, secret: string): TrustedKey {
  const { algorithms } = issuer;
  const asymmetric = algorithms.filter(algorithm => !(algorithm in SECRET_BYTES_MIN));
  if (asymmetric.length > 0) throw unsound(issuer, `${asymmetric.join(', ')} needs a publicKey, not a secret`);
  if (secret.includes('-----BEGIN')) throw unsound(issuer, 'its secret is a PEM text: anyone may know a public key');
  const bytes = Buffer.from(secret, 'utf8');
  const bytesMin = Math.max(...algorithms.map(algorithm => SECRET_BYTES_MIN[algorithm] ?? 0));
  if (bytes.length < bytesMin) {
    throw unsound(issuer, `its secret has ${bytes.length} bytes; ${algorithms.join(', ')} needs at least ${bytesMin}`);
  }
  return { key: createSecretKey(bytes), algorithms: algorithms.filter(isAlgorithm) };
}

function trustedPublicKeys(issuer: TokenIssuer, text: string): readonly TrustedKey[] {
  if (text.includes('PRIVATE KEY-----')) throw unsound(issuer, 'its publicKey is a private key: give the public one');
  const blocks = text.match(PEM_BLOCK);
  if (blocks === null) throw unsound(issuer, 'its publicKey is not a PEM text');
  return blocks.map(block => trustedPublicKey(issuer, block));
}

function trustedPublicKey(issuer: TokenIssuer, block: string): TrustedKey {
  const key = readPublicKey(issuer, block);
  const fitting = algorithmsFor(issuer, key);
  const algorithms = issuer.algorithms.filter(algorithm => fitting.includes(algorithm)).filter(isAlgorithm);
  if (algorithms.length > 0) return { key, algorithms };
  throw unsound(
    issuer,
    `its publicKey is of type ${describe(key)}, which none of ${issuer.algorithms.join(', ')} uses`,
  );
}

function readPublicKey(issuer: TokenIssuer, block: string): KeyObject {
  try {
    return createPublicKey(block);
  } catch (cause) {
    throw unsound(issuer, 'its publicKey cannot be read', cause);
  }
}

function algorithmsFor(issuer: TokenIssuer, { asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject) {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails;
  if (asymmetricKeyType === 'ec') return [CURVE_ALGORITHMS[namedCurve] ?? ''];
  if (asymmetricKeyType !== 'rsa' && asymmetricKeyType !== 'rsa-pss') return [];
  if (modulusLength < RSA_BITS_MIN) {
    throw unsound(issuer, `its RSA key has ${modulusLength} bits; at least ${RSA_BITS_MIN} are needed`);
  }
  return RSA.filter(algorithm => asymmetricKeyType === 'rsa' || algorithm.startsWith('PS'));
}

function describe({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string {
  return [asymmetricKeyType, details?.namedCurve].filter(part => part !== undefined).join(' ');
}

function isAlgorithm(algorithm: string): algorithm is Algorithm {
  return KNOWN.includes(algorithm);
}

function unsound({ issuer }: TokenIssuer, problem: string, cause?: unknown): Error {
  return new Error(`identity.jwt, issuer ${JSON.stringify(issuer)}: ${problem}`, { cause });
}
