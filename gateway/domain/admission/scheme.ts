import type { Call } from '../call.ts';
import type { Caller, ClientCertificate, SchemeName } from '../caller.ts';
import type { Auth, CredentialPlace } from '../route.ts';
import { type CredentialFault, badCredential, challenge } from './challenge.ts';
import { GatewayError } from '../errors.ts';
import { cookiesOf, fieldOf, lowerNameOf, type RawFields } from '../http/fields.ts';
import { claimAt, claimPathText, type ClaimPath, type Claims } from './token.ts';
import { protocolTokenOf } from './credential-places.ts';

/** What judging a credential came to. */
export type Finding =
  { readonly kind: 'valid'; readonly caller: Caller } | { readonly kind: 'refused'; readonly fault: CredentialFault };

/**
 * One way for callers to say who they are.
 *
 * What it found of a credential it caches, in bounded room and under a keyed hash, never under the credential, and
 * answers at once the next time; of a new credential it may promise an answer. A promise is rejected with a GatewayError
 * where nothing can be found out.
 */
export interface Scheme {
  readonly name: SchemeName;
  /** True for a credential of its form. */
  takes(credential: Credential): boolean;
  /** Whose the credential is, or why it is not taken. It never throws for what a credential contains. */
  identify(credential: Credential, call: Call): Finding | Promise<Finding>;
  /** Where it looked for scopes and roles of such a caller. */
  lookedFor?(caller: Caller): LookedFor | undefined;
  /** What a call brings of it elsewhere than in `Authorization`, which holds what was `said`: a field of its own, the connection's certificate. */
  brought?(call: Call, said: Credential): Credential | undefined;
  /** Counts only where the call brings nothing else that the route takes: a certificate is the connection's, and stands for each call over it. */
  readonly standsBack?: boolean;
}

/**
 * The schemes of a gateway. A credential belongs to the first that takes its form.
 *
 * The common way, one credential in `Authorization`, costs one look at the list.
 */
export class Schemes {
  readonly #all: readonly Scheme[];
  /** Those whose credentials may stand elsewhere; mostly none. */
  readonly #elsewhere: readonly Scheme[];

  constructor(schemes: readonly Scheme[]) {
    this.#all = schemes;
    this.#elsewhere = schemes.filter(scheme => 'brought' in scheme);
  }

  get names(): readonly SchemeName[] {
    return this.#all.map(({ name }) => name);
  }

  /** What a call presents to a route that takes these schemes. BAD_REQUEST where that would be a guess. */
  credentialOf(call: Call, auth: Auth): Credential {
    const said = auth.from === undefined ? readCredential(call.fields) : readFrom(call, auth.from);
    return this.#elsewhere.length === 0 ? said : this.#choose(said, call, auth);
  }

  /** Undefined: no scheme takes it. */
  of(credential: Credential): Scheme | undefined {
    for (const scheme of this.#all) if (scheme.takes(credential)) return scheme;
    return undefined;
  }

  /** Of what stands elsewhere, only what the route takes is looked at. */
  #choose(said: Credential, call: Call, auth: Auth): Credential {
    let chosen = said;
    let isTaken = said.kind !== 'none' && auth.allow.some(name => this.of(said)?.name === name);
    for (const scheme of this.#elsewhere) {
      if (!auth.allow.includes(scheme.name) || (scheme.standsBack === true && isTaken)) continue;
      const found = scheme.brought?.(call, said);
      if (found === undefined) continue;
      if (isTaken) throw ambiguous('The request has more than one credential that this route takes.');
      chosen = found;
      isTaken = true;
    }
    return chosen;
  }
}

/** What a caller presents to say who they are. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'api-key'; readonly key: string }
  /** User and password as they came: base64 (RFC 7617). */
  | { readonly kind: 'basic'; readonly encoded: string }
  | ClientCertificate
  /** An API key where logs and histories keep it. */
  | { readonly kind: 'key-in-url' }
  /** Of a scheme that means nothing here. */
  | { readonly kind: 'foreign' };

const CREDENTIAL = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?$/;
/** RFC 9110 §11.2. */
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
const NO_CREDENTIAL: Credential = { kind: 'none' };
const FOREIGN_CREDENTIAL: Credential = { kind: 'foreign' };

/**
 * What `Authorization` holds. Two of them are refused: which one was meant would be a guess, and another hop's guess
 * may differ.
 */
export function readCredential(fields: RawFields): Credential {
  const value = fieldOf(fields, 'authorization');
  if (value === undefined) return NO_CREDENTIAL;
  refuseSeveral(fields);
  const plain = value.startsWith('Bearer ') ? value.slice(7) : '';
  return TOKEN68.test(plain) ? { kind: 'bearer', token: plain } : readOther(value);
}

/**
 * What a call presents in the places that its route names: browsers cannot set `Authorization` for a stream. A cookie they
 * send along whatever a page asks: where the page says who it is itself, that counts.
 */
function readFrom(call: Call, places: readonly CredentialPlace[]): Credential {
  return (
    onlyOf(call, places.filter(isSaid)) ??
    onlyOf(
      call,
      places.filter(place => !isSaid(place)),
    ) ??
    NO_CREDENTIAL
  );
}

function isSaid({ kind }: CredentialPlace): boolean {
  return kind !== 'cookie';
}

function onlyOf(call: Call, places: readonly CredentialPlace[]): Credential | undefined {
  const found = places.map(place => readAt(call, place)).filter(({ kind }) => kind !== 'none');
  if (found.length > 1) throw ambiguous('The request has credentials in more than one place.');
  return found[0];
}

function readAt(call: Call, place: CredentialPlace): Credential {
  if (place.kind !== 'cookie') {
    return place.kind === 'header' ? readCredential(call.fields) : bearerOf(protocolTokenOf(call));
  }
  const cookies = cookiesOf(call.fields, place.name);
  if (cookies.length > 1) throw ambiguous('The request has a credential cookie more than once.');
  if (cookies.length === 1) refuseOtherSites(call);
  return bearerOf(cookies[0]);
}

function bearerOf(token: string | undefined): Credential {
  if (token === undefined) return NO_CREDENTIAL;
  if (!TOKEN68.test(token)) throw badCredential('jwt', 'malformed');
  return { kind: 'bearer', token };
}

/**
 * A browser sends a cookie along with what any page asks: only pages of the route's `cors.origins`, and the gateway's
 * own, may ask with it. Where the browser does not say which page asks (`Origin`), it says from how far
 * (`Sec-Fetch-Site`); a request that says neither is refused.
 */
function refuseOtherSites(call: Call): void {
  if (isFromOtherSite(call) === false) return;
  throw new GatewayError('FORBIDDEN', 'a cookie from a page of another origin', {
    detail: 'The credential is a cookie, and the request does not come from a page that may use it.',
  });
}

/** Whether a page asks that is neither of the route's `cors.origins` nor the gateway's own; undefined: nothing is said of that. */
export function isFromOtherSite(call: Call): boolean | undefined {
  const { fields } = call;
  const origin = fieldOf(fields, 'origin');
  if (origin !== undefined) return !isKnown(origin, call);
  const site = fieldOf(fields, 'sec-fetch-site');
  return site === undefined ? undefined : !isNear(site);
}

function isNear(site: string): boolean {
  return site === 'same-origin' || site === 'none';
}

function isKnown(origin: string, { route, scheme, host }: Call): boolean {
  return origin === `${scheme}://${host}` || route?.policy.cors?.origins.has(origin) === true;
}

/** What is not spelled as most callers spell it, or is no bearer token. */
function readOther(value: string): Credential {
  const [, scheme = '', text = ''] = CREDENTIAL.exec(value.trim()) ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      if (!TOKEN68.test(text)) throw badCredential('jwt', 'malformed');
      return { kind: 'bearer', token: text };
    case 'apikey':
      return { kind: 'api-key', key: text };
    case 'basic':
      return { kind: 'basic', encoded: text };
    default:
      return FOREIGN_CREDENTIAL;
  }
}

/** 400 for a request that says twice who it is from. */
export function ambiguous(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail, fields: challenge('jwt', [['error', 'invalid_request']]) });
}

/** 400 for a request with more than one `Authorization`. */
export function refuseSeveral(fields: RawFields): void {
  let lines = 0;
  for (let i = 0; i < fields.length; i += 2) if (lowerNameOf(fields[i] ?? '') === 'authorization') lines += 1;
  if (lines > 1) throw ambiguous('The request has more than one Authorization field.');
}

interface Entry {
  readonly finding: Finding;
  readonly endsMs: number;
  /** By what it was found, where that may cease to count. */
  readonly by?: unknown;
}

/** What was found of credentials, by a keyed hash of each, until it ends: in bounded room. */
export interface FindingCache {
  find(digest: string, wallMs: number): Finding | undefined;
  keep(digest: string, entry: Entry): void;
  /** Forgets all that was found by what ceases to count. */
  forgetWhere(isGone: (by: unknown) => boolean): void;
  readonly size: number;
}

/**
 * Keeps up to `entriesMax` findings, those asked for lately.
 *
 * Two halves: newcomers and what is asked for again stand in the younger one; when it is full, the older one is
 * forgotten whole. So a lookup moves nothing on its way, and no timer is needed to forget.
 */
export function createFindingCache(entriesMax: number): FindingCache {
  const halfMax = Math.max(1, Math.floor(entriesMax / 2));
  let younger = new Map<string, Entry>();
  let older = new Map<string, Entry>();

  function keep(digest: string, entry: Entry): void {
    if (younger.size >= halfMax) {
      older = younger;
      younger = new Map();
    }
    older.delete(digest);
    younger.set(digest, entry);
  }

  return {
    keep,
    find(digest, wallMs) {
      const entry = younger.get(digest) ?? older.get(digest);
      if (entry === undefined) return undefined;
      if (wallMs >= entry.endsMs) {
        younger.delete(digest);
        older.delete(digest);
        return undefined;
      }
      if (!younger.has(digest)) keep(digest, entry);
      return entry.finding;
    },
    forgetWhere(isGone) {
      for (const half of [younger, older]) {
        for (const [digest, { by }] of half) if (isGone(by)) half.delete(digest);
      }
    },
    get size() {
      return younger.size + older.size;
    },
  };
}

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
  if (auth.allow.every(name => name === 'mtls') && auth.scopes.length + auth.roles.length > 0) {
    return 'callers with certificates (`mtls`) hold no scopes and no roles: with either asked for, none of them is ever admitted';
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
