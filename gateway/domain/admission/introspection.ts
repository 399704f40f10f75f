import { type Caller, knownCaller } from '../caller.ts';
import { isRecord } from '../unknown-value.ts';
import { claimAt, type Claims, audiencesIn, isSubject } from './token.ts';
import { rolesOf, scopesOf, type ClaimPaths } from './scheme.ts';
import type { CredentialFault } from './challenge.ts';

/** What an introspected token must be, beside active. */
export interface IntrospectionRules {
  /** Undefined: any. */
  readonly audience: string | undefined;
  /** Whom a caller is of where the answer names no issuer. */
  readonly issuer: string;
  readonly claims: ClaimPaths;
}

/** What an answer says of a token. `endsMs` in milliseconds since 1970; Infinity where it says nothing of an end. */
export type Introspected =
  | { readonly kind: 'valid'; readonly caller: Caller; readonly endsMs: number }
  | { readonly kind: 'refused'; readonly fault: CredentialFault; readonly endsMs: number };

/** A longer issuer is none. */
const ISSUER_LENGTH_MAX = 1_024;

/**
 * Reads an answer of RFC 7662 §2.2; undefined where it is none, or cannot be understood in what it says of the token's
 * end or issuer. Whatever does not say `active: true` is not active, and a token of another use, as a refresh token, gives
 * no access.
 */
export function readIntrospection(
  answer: unknown,
  { audience, issuer, claims: paths }: IntrospectionRules,
  wallMs: number,
): Introspected | undefined {
  if (!isRecord(answer) || typeof answer['active'] !== 'boolean' || isTooLong(answer['iss'])) return undefined;
  const claims: Claims = answer;
  const endsMs = endOf(claims['exp']);
  if (endsMs === undefined) return undefined;
  const fault = faultOf(claims, audience) ?? (wallMs >= endsMs ? 'expired' : undefined);
  if (fault !== undefined) return { kind: 'refused', fault, endsMs: Infinity };
  const caller = callerOf(claims, issuer, paths);
  return caller === undefined
    ? { kind: 'refused', fault: 'no-subject', endsMs: Infinity }
    : { kind: 'valid', caller, endsMs };
}

function isTooLong(issuer: unknown): boolean {
  return typeof issuer === 'string' && issuer.length > ISSUER_LENGTH_MAX;
}

/** A number of seconds, which some providers write as text; undefined: it is said in a way that is not understood. */
function endOf(exp: unknown): number | undefined {
  if (exp === undefined || exp === null) return Infinity;
  const seconds = typeof exp === 'string' && /^\d{1,15}$/.test(exp) ? Number(exp) : exp;
  return typeof seconds === 'number' ? seconds * 1000 : undefined;
}

function callerOf(claims: Claims, issuer: string, paths: ClaimPaths): Caller | undefined {
  const { iss: named, sub, username, client_id: client } = claims;
  const subject = paths.subject === undefined ? (sub ?? username ?? client) : claimAt(claims, paths.subject);
  if (!isSubject(subject)) return undefined;
  return knownCaller('opaque', {
    issuer: typeof named === 'string' && named !== '' ? named : issuer,
    subject,
    scopes: scopesOf(claims, paths.scopes),
    roles: rolesOf(claims, paths.roles),
  });
}

function faultOf(claims: Claims, audience: string | undefined): CredentialFault | undefined {
  if (claims['active'] !== true) return 'unknown-token';
  if (isOtherUse(claims)) return 'wrong-type';
  return audience === undefined || audiencesIn(claims['aud']).includes(audience) ? undefined : 'wrong-audience';
}

/** By `token_type` as the RFC has it, `typ` as Keycloak and `token_use` as Cognito do. */
function isOtherUse(claims: Claims): boolean {
  const { token_type: type, typ, token_use: use } = claims;
  const isOther = (word: unknown, access: RegExp) => typeof word === 'string' && !access.test(word);
  return (
    isOther(type, /^(?:bearer|access_token)$/i) ||
    isOther(typ, /^(?:bearer|jwt|at\+jwt)$/i) ||
    isOther(use, /^access(?:_token)?$/i)
  );
}
