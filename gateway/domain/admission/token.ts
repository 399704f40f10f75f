import type { CredentialFault } from './challenge.ts';

/** What a token says, after its signature was found good; nothing of it has a type yet. */
export type Claims = Readonly<Record<string, unknown>>;

/** A JWT taken apart; that it is well-formed says nothing of whether it is true. */
export interface ParsedToken {
  readonly algorithm: string;
  /** `kid`: which of its issuer's keys has signed it, by its own word. */
  readonly keyId: string | undefined;
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Seconds since 1970. */
  readonly expires: number;
  readonly claims: Claims;
}

/** Characters of a subject: more would only swell logs, and keys of limits. */
const SUBJECT_LENGTH_MAX = 256;

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/;

/** Takes a token apart, or tells what is wrong with its form. The signature is not looked at. */
export function parseToken(token: string): ParsedToken | CredentialFault {
  const [, headerPart = '', payloadPart = ''] = COMPACT.exec(token) ?? [];
  const [header, claims] = [objectIn(headerPart), objectIn(payloadPart)];
  if (header === undefined || claims === undefined) return 'malformed';
  if (header['crit'] !== undefined) return 'critical-header'; // RFC 7515 §4.1.11: understood by name, or refused
  const { alg: algorithm, kid, typ } = header;
  if (typeof algorithm !== 'string') return 'malformed';
  if (isOtherType(typ)) return 'wrong-type';
  return readClaims({ algorithm, keyId: typeof kid === 'string' ? kid : undefined }, claims);
}

/** A token of a declared type that is not an access token's (RFC 8725 §3.11, RFC 9068 §4), as a logout token's. */
function isOtherType(typ: unknown): boolean {
  return typeof typ === 'string' && /\+jwt$/i.test(typ) && !/^(?:application\/)?at\+jwt$/i.test(typ);
}

function readClaims(
  { algorithm, keyId }: Pick<ParsedToken, 'algorithm' | 'keyId'>,
  claims: Claims,
): ParsedToken | CredentialFault {
  const { iss: issuer, aud, exp: expires, nbf: notBefore } = claims;
  if (typeof issuer !== 'string') return 'unknown-issuer';
  if (expires === undefined) return 'no-expiry';
  if (typeof expires !== 'number' || !isNumberOrAbsent(notBefore)) return 'malformed';
  return { algorithm, keyId, issuer, audiences: audiencesIn(aud), expires, claims };
}

function objectIn(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // not JSON: a finding like any other
  }
}

/** The audiences that a claim names: one, or a list. */
export function audiencesIn(claim: unknown): string[] {
  const audiences: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return audiences.filter(audience => typeof audience === 'string');
}

function isNumberOrAbsent(claim: unknown): boolean {
  return claim === undefined || typeof claim === 'number';
}

/** The client a token was issued to, as OpenID Connect, RFC 9068, Okta and Entra ID's first version name it. */
export function clientOf(claims: Claims): unknown {
  return claims['azp'] ?? claims['client_id'] ?? claims['cid'] ?? claims['appid'];
}

/** True for what may name a caller: a subject of blanks, or with half a character, could be mistaken for another. */
export function isSubject(claim: unknown): claim is string {
  return (
    typeof claim === 'string' &&
    claim.trim() !== '' &&
    claim.length <= SUBJECT_LENGTH_MAX &&
    !/\p{Surrogate}/u.test(claim)
  );
}

/** Where in a token something stands: the names that lead there. */
export type ClaimPath = readonly string[];

/** A plain name, or one in brackets and quotes, which may hold anything else. */
const STEP = /(?:(?<=^|\.)([^.[\]'":/\s]+)|\['([^']+)'\]|\["([^"]+)"\])(?:\.(?=[^.[])|(?=\[|$))/y;

/**
 * `realm_access.roles`, or `['https://example.org/roles']` for names with dots, colons or slashes in them, or both after
 * one another; undefined for what is neither.
 */
export function parseClaimPath(text: string): ClaimPath | undefined {
  const names: string[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const step = STEP.exec(text);
    if (step === null) return undefined;
    names.push(step[1] ?? step[2] ?? step[3] ?? '');
  }
  return names.length === 0 ? undefined : names;
}

/** A path as it is written. */
export function claimPathText(path: ClaimPath): string {
  return path.map((name, i) => (/[.[\]'":/\s]/.test(name) ? `['${name}']` : `${i === 0 ? '' : '.'}${name}`)).join('');
}

/** What stands there; undefined where the path leads nowhere. */
export function claimAt(claims: unknown, path: ClaimPath): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
