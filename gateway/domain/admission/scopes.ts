import type { Caller } from '../caller.ts';
import type { Auth } from '../route.ts';

/** What a token says, after its signature was found good; nothing of it has a type yet. */
export type Claims = Readonly<Record<string, unknown>>;

/** The scopes a token grants: `scope` as RFC 8693 §4.2 writes it, or `scp` and `scopes` as others do. */
export function scopesOf(claims: Claims): readonly string[] {
  return [...new Set([...membersOf(claims['scope']), ...membersOf(claims['scp']), ...membersOf(claims['scopes'])])];
}

/** The roles a token grants. */
export function rolesOf(claims: Claims): readonly string[] {
  return [...new Set(membersOf(claims['roles']))];
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
