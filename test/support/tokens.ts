import { createHmac, generateKeyPairSync, sign as signWith, type KeyObject } from 'node:crypto';

/** Makes the third part of a token from the first two. */
export type Signer = (signingInput: string) => string;

/** A token of these parts, as well- or ill-formed as a test wants it. */
export function aToken(header: unknown, claims: unknown, signer: Signer): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`;
  return `${input}.${signer(input)}`;
}

/** A part of a token: base64url of JSON, or of a text as it is. */
export function encodePart(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}

/** Signs as HS256 and its like do. */
export function hmac(secret: string | Buffer, bits = 256): Signer {
  return input => createHmac(`sha${bits}`, secret).update(input).digest('base64url');
}

/** Signs as RS, PS and ES do, by this private key and these settings. */
export function asymmetric(key: KeyObject, bits: number, settings: object = {}): Signer {
  return input => signWith(`sha${bits}`, Buffer.from(input), { key, ...settings }).toString('base64url');
}

/** No signature at all. */
export const unsigned: Signer = () => '';

/** A key pair of RSA, and its public half as PEM. */
export function rsaPair(modulusLength = 2048) {
  return withPem(generateKeyPairSync('rsa', { modulusLength }));
}

/** A key pair on a curve, and its public half as PEM. */
export function ecPair(namedCurve: string) {
  return withPem(generateKeyPairSync('ec', { namedCurve }));
}

function withPem({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }) {
  return { privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }) };
}
