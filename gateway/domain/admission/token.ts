import type { CredentialFault } from './challenge.ts';
import type { Claims } from './scopes.ts';

/** A JWT taken apart; that it is well-formed says nothing of whether it is true. */
export interface ParsedToken {
  readonly algorithm: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly subject: string;
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
  const { alg: algorithm } = header;
  if (typeof algorithm !== 'string') return 'malformed';
  return readClaims(algorithm, claims);
}

function readClaims(algorithm: string, claims: Claims): ParsedToken | CredentialFault {
  const { iss: issuer, aud, exp: expires, nbf: notBefore, sub: subject } = claims;
  if (typeof issuer !== 'string') return 'unknown-issuer';
  if (expires === undefined) return 'no-expiry';
  if (typeof expires !== 'number' || !isNumberOrAbsent(notBefore)) return 'malformed';
  if (!isSubject(subject)) return 'no-subject';
  return { algorithm, issuer, audiences: audiencesIn(aud), subject, expires, claims };
}

function objectIn(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // not JSON: a finding like any other
  }
}

function audiencesIn(claim: unknown): string[] {
  const audiences: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return audiences.filter(audience => typeof audience === 'string');
}

function isNumberOrAbsent(claim: unknown): boolean {
  return claim === undefined || typeof claim === 'number';
}

/** A subject of blanks, or with half a character, could be mistaken for another. */
function isSubject(claim: unknown): claim is string {
  return (
    typeof claim === 'string' &&
    claim.trim() !== '' &&
    claim.length <= SUBJECT_LENGTH_MAX &&
    !/\p{Surrogate}/u.test(claim)
  );
}
