import type { Caller } from '../caller.ts';
import type { Auth } from '../route.ts';
import { claimAt, claimPathText, type ClaimPath } from './claim-path.ts';

/** What a token says, after its signature was found good; nothing of it has a type yet. */
export type Claims = Readonly<Record<string, unknown>>;

/** Where an issuer's tokens say what they grant, and to whom; undefined: where most do. */
export interface ClaimPaths {
  readonly scopes?: ClaimPath | undefined;
  readonly roles?: ClaimPath | undefined;
  readonly subject?: ClaimPath | undefined;
}

const SCOPE_CLAIMS = ['scope', 'scp', 'scopes'];
const ROLES: ClaimPath = ['roles'];

/** The scopes a token grants: `scope` as RFC 8693 §4.2 writes it, or `scp` and `scopes` as others do; or where its issuer says. */
export function scopesOf(claims: Claims, path?: ClaimPath): readonly string[] {
  if (path !== undefined) return [...new Set(membersOf(claimAt(claims, path)))];
  return [...new Set(SCOPE_CLAIMS.flatMap(name => membersOf(claims[name])))];
}

/** The roles a token grants. */
export function rolesOf(claims: Claims, path: ClaimPath = ROLES): readonly string[] {
  return [...new Set(membersOf(claimAt(claims, path)))];
}

/** Where scopes and roles were looked for, in words. */
export interface LookedFor {
  readonly scopes: string;
  readonly roles: string;
}

/** In words, where scopes and roles are looked for in such tokens. */
export function lookedFor({ scopes, roles = ROLES }: ClaimPaths): LookedFor {
  return {
    scopes: scopes === undefined ? 'scope, scp and scopes' : claimPathText(scopes),
    roles: claimPathText(roles),
  };
}

/** What a caller lacks for a route, as the caller is told; undefined: nothing. */
export function lackOf(auth: Auth, caller: Caller, where: LookedFor | undefined): string | undefined {
  const missing = auth.scopes.filter(scope => !caller.scopes.includes(scope));
  if (missing.length > 0) {
    if (caller.scopes.length === 0) return `The credential carries no scopes at all${placeText(where?.scopes)}.`;
    return `The credential lacks ${missing.length === 1 ? 'the scope' : 'the scopes'} ${missing.join(' ')}.`;
  }
  if (auth.roles.length === 0 || auth.roles.some(role => caller.roles.includes(role))) return undefined;
  if (caller.roles.length === 0) return `The credential carries no roles at all${placeText(where?.roles)}.`;
  return `The credential carries none of the roles ${auth.roles.join(', ')}.`;
}

function placeText(place: string | undefined): string {
  return place === undefined ? '' : `; they were looked for in ${place}`;
}

/** True when a caller holds all scopes that a route names, and one of its roles where it names any. */
export function isPermitted(auth: Auth, caller: Caller): boolean {
  if (!auth.scopes.every(scope => caller.scopes.includes(scope))) return false;
  return auth.roles.length === 0 || auth.roles.some(role => caller.roles.includes(role));
}

/** What makes a route's `auth` impossible, in words for the operator; undefined when it is sound. */
export function authProblem(auth: Auth): string | undefined {
  if (auth.allow.includes('anonymous') && auth.scopes.length + auth.roles.length > 0) {
    return '`anonymous` callers hold no scopes and no roles: with either asked for, none of them is ever admitted';
  }
  return undefined;
}

/** A list, or words in one text. What is neither grants nothing. */
function membersOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ').filter(isMember);
  return Array.isArray(claim) ? claim.filter(isMember) : [];
}

function isMember(member: unknown): member is string {
  return typeof member === 'string' && member !== '';
}
