import type { GatewayError } from '../errors.ts';
import { fieldsOf, hasField, listOf, type RawFields, parseHttpDate } from '../http/fields.ts';
import type { CachePolicy } from '../route.ts';
import type { Answer } from '../upstream.ts';

/**
 * What a `Cache-Control` says, of a request or of an answer (RFC 9111 §5.2). Undefined: it was not said. A time that
 * cannot be read is 0; of several for one directive the strictest counts (§4.2.1).
 */
export interface Directives {
  isNoStore: boolean;
  isNoCache: boolean;
  isPrivate: boolean;
  isOnlyIfCached: boolean;
  isMustRevalidate: boolean;
  isProxyRevalidate: boolean;
  maxAgeMs: number | undefined;
  sharedMaxAgeMs: number | undefined;
  /** For so long from now an answer must still be fresh. */
  minFreshMs: number | undefined;
  /** An answer may be past its time by so much; Infinity: by any. */
  maxStaleMs: number | undefined;
  staleIfErrorMs: number | undefined;
}

type Flag = 'isNoStore' | 'isNoCache' | 'isPrivate' | 'isOnlyIfCached' | 'isMustRevalidate' | 'isProxyRevalidate';
type Time = Exclude<keyof Directives, Flag>;

const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ['no-store', 'isNoStore'],
  ['no-cache', 'isNoCache'],
  ['private', 'isPrivate'],
  ['only-if-cached', 'isOnlyIfCached'],
  ['must-revalidate', 'isMustRevalidate'],
  ['proxy-revalidate', 'isProxyRevalidate'],
]);

const TIMES: ReadonlyMap<string, Time> = new Map([
  ['max-age', 'maxAgeMs'],
  ['s-maxage', 'sharedMaxAgeMs'],
  ['min-fresh', 'minFreshMs'],
  ['max-stale', 'maxStaleMs'],
  ['stale-if-error', 'staleIfErrorMs'],
]);

/** What all lines of a message's `Cache-Control` say together. */
export function directivesOf(fields: RawFields): Readonly<Directives> {
  if (!hasField(fields, 'cache-control')) return NOTHING_SAID;
  const said = { ...NOTHING_SAID };
  for (const line of fieldsOf(fields, 'cache-control')) readLine(line, said);
  return said;
}

const NOTHING_SAID: Readonly<Directives> = {
  isNoStore: false,
  isNoCache: false,
  isPrivate: false,
  isOnlyIfCached: false,
  isMustRevalidate: false,
  isProxyRevalidate: false,
  maxAgeMs: undefined,
  sharedMaxAgeMs: undefined,
  minFreshMs: undefined,
  maxStaleMs: undefined,
  staleIfErrorMs: undefined,
};

const QUOTE = 0x22;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/**
 * Finds every directive outside quotes, even where something else than a comma parts them: what a sloppy server meant as
 * `no-store` is not to be missed. A value may be quoted where the grammar has a token, and the other way round (§5.2).
 */
function readLine(line: string, said: Directives): void {
  let at = 0;
  while (at < line.length) {
    const start = at;
    while (isTokenChar(line.charCodeAt(at))) at += 1;
    if (at === start) {
      at += 1;
      continue;
    }
    const name = line.slice(start, at).toLowerCase();
    if (line.charCodeAt(at) !== EQUALS) {
      note(said, name, undefined);
      continue;
    }
    const closing = closingQuote(line, at + 1);
    const valueStart = closing < 0 ? at + 1 : at + 2;
    const valueEnd = closing < 0 ? plainEnd(line, valueStart) : closing;
    note(said, name, line.slice(valueStart, valueEnd));
    at = closing < 0 ? valueEnd : closing + 1;
  }
}

function note(said: Directives, name: string, value: string | undefined): void {
  const flag = FLAGS.get(name);
  if (flag !== undefined) said[flag] = true; // `no-cache="Set-Cookie"` as well: fields are not kept one by one
  const time = TIMES.get(name);
  if (time === undefined) return;
  const isAnyAge = time === 'maxStaleMs' && value === undefined;
  const ms = isAnyAge ? Infinity : (millisecondsIn(value ?? '') ?? 0);
  const before = said[time] ?? ms;
  said[time] = time === 'minFreshMs' ? Math.max(before, ms) : Math.min(before, ms);
}

/** Where the quoted string ends that begins here; negative: none does. */
function closingQuote(line: string, start: number): number {
  if (line.charCodeAt(start) !== QUOTE) return -1;
  let at = start + 1;
  while (at < line.length) {
    const code = line.charCodeAt(at);
    if (code === QUOTE) return at;
    at += code === BACKSLASH ? 2 : 1;
  }
  return -1;
}

function plainEnd(line: string, start: number): number {
  let at = start;
  while (at < line.length) {
    const code = line.charCodeAt(at);
    if (code <= 0x20 || code === COMMA || code === QUOTE) break;
    at += 1;
  }
  return at;
}

/** True for what a directive's name is made of (RFC 9110 §5.6.2); NaN, beyond the end, is none. */
function isTokenChar(code: number): boolean {
  return TOKEN_CHARS[code] === 1;
}

const TOKEN_CHARS = new Uint8Array(128);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  TOKEN_CHARS[char.charCodeAt(0)] = 1;
}

/** More seconds than any cache lives (RFC 9111 §1.2.2). */
const SECONDS_MAX = 2 ** 31;

/** A whole number of seconds, as milliseconds; undefined for anything else. */
function millisecondsIn(text: string): number | undefined {
  if (text === '') return undefined;
  const end = digitsEnd(text, 0);
  return end === text.length ? Math.min(Number(text), SECONDS_MAX) * 1000 : undefined;
}

function digitsEnd(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39) at += 1;
  return at;
}

/** When an answer was asked for and when it came, by the steady clock, and the date at which it came. */
export interface Exchanged {
  readonly requestedMs: number;
  readonly answeredMs: number;
  readonly answeredWallMs: number;
}

/** How long an answer may serve. */
export interface Freshness {
  /** By the steady clock: when it was of no age. */
  readonly bornMs: number;
  /** Until this age it is fresh (RFC 9111 §4.2.1). */
  readonly lifetimeMs: number;
  /** For so long past its time it serves where R gives none. */
  readonly staleIfErrorMs: number;
  /** Whether a caller who takes stale answers may have it. */
  readonly mayBeStale: boolean;
}

/** An answer whose body is in. */
export type WholeAnswer = Answer & { readonly body: Buffer };

/**
 * True for an answer that may serve other callers than the one who asked: only what could be stored (RFC 9111 §4).
 *
 * `Set-Cookie` is meant for one. What `Vary` names is in the key or was not sent to R; `*` says that there is more
 * (§4.1). `no-cache` asks for validation, which R does not know (§5.2.2.4).
 */
export function mayServeSeveral(answer: Answer): answer is WholeAnswer {
  const { fields, body } = answer;
  if (!Buffer.isBuffer(body) || hasField(fields, 'set-cookie')) return false;
  if (hasField(fields, 'vary') && listOf(fields, 'vary').includes('*')) return false;
  const said = directivesOf(fields);
  return !said.isPrivate && !said.isNoStore && !said.isNoCache;
}

/** Successful, and whole: 206 is a part of an answer, 201 and 202 report what was done once. */
const STORED_STATUSES: ReadonlySet<number> = new Set([200, 203, 204]);

/** True for an answer that may serve later callers, as far as it says so itself. */
export function mayBeStored(answer: Answer): answer is WholeAnswer {
  return STORED_STATUSES.has(answer.status) && mayServeSeveral(answer);
}

/** How long an answer that may be stored may serve; undefined: it is not worth storing. */
export function freshnessOf(policy: CachePolicy, fields: RawFields, when: Exchanged): Freshness | undefined {
  const said = directivesOf(fields);
  const isHttp = policy.ttlMs === 'http';
  const lifetimeMs = policy.ttlMs === 'http' ? lifetimeOf(fields, said, when) : policy.ttlMs;
  if (lifetimeMs === undefined) return undefined;
  const ageMs = isHttp ? initialAgeOf(fields, when) : 0;
  const staleIfErrorMs = staleIfErrorOf(policy, said);
  if (ageMs >= lifetimeMs + staleIfErrorMs) return undefined;
  return { bornMs: when.answeredMs - ageMs, lifetimeMs, staleIfErrorMs, mayBeStale: mayBeStale(said) };
}

/**
 * The freshness lifetime (RFC 9111 §4.2.1): `s-maxage`, `max-age`, or `Expires`. One that cannot be read is over; where
 * R says none there is none: nothing is guessed (§4.2.2).
 */
function lifetimeOf(fields: RawFields, said: Directives, { answeredWallMs }: Exchanged): number | undefined {
  const byDirective = said.sharedMaxAgeMs ?? said.maxAgeMs;
  if (byDirective !== undefined) return byDirective;
  const expires = fieldsOf(fields, 'expires');
  if (expires.length === 0) return undefined;
  const endsMs = Math.min(...expires.map(value => parseHttpDate(value) ?? 0)); // §5.3: `0` above all
  return Math.max(0, endsMs - (dateOf(fields) ?? answeredWallMs));
}

/** RFC 9111 §4.2.3: how old the answer was when it came, by its own word and by how long it took. */
function initialAgeOf(fields: RawFields, { requestedMs, answeredMs, answeredWallMs }: Exchanged): number {
  const apparentMs = Math.max(0, answeredWallMs - (dateOf(fields) ?? answeredWallMs));
  return Math.max(apparentMs, statedAgeOf(fields) + (answeredMs - requestedMs));
}

/**
 * `Age`, in milliseconds. It is one number; where a list came of it the greatest counts, so that no answer is fresh for
 * longer than any cache behind us says, and what is no number says nothing (RFC 9111 §5.1).
 */
function statedAgeOf(fields: RawFields): number {
  let statedMs = 0;
  for (const member of listOf(fields, 'age')) {
    statedMs = Math.max(statedMs, millisecondsIn(member.slice(0, digitsEnd(member, 0))) ?? 0);
  }
  return statedMs;
}

/** Of several the earliest; what is no date is none (RFC 9110 §6.6.1). */
function dateOf(fields: RawFields): number | undefined {
  const dates = fieldsOf(fields, 'date').flatMap(value => parseHttpDate(value) ?? []);
  return dates.length === 0 ? undefined : Math.min(...dates);
}

/** RFC 9111 §4.2.4; §5.2.2.10: `s-maxage` says `proxy-revalidate` as well. */
function mayBeStale({ isMustRevalidate, isProxyRevalidate, sharedMaxAgeMs }: Directives): boolean {
  return !isMustRevalidate && !isProxyRevalidate && sharedMaxAgeMs === undefined;
}

/** RFC 5861 §4: R's own word on it goes before the operator's, where R's freshness counts. */
function staleIfErrorOf({ ttlMs, staleIfErrorMs }: CachePolicy, said: Directives): number {
  if (said.isMustRevalidate || said.isProxyRevalidate) return 0;
  const byAnswer = ttlMs === 'http' ? said.staleIfErrorMs : undefined;
  return byAnswer ?? (mayBeStale(said) ? staleIfErrorMs : 0);
}

/**
 * What a stored answer is to a request, in the words of `Cache-Status` (RFC 9211 §2.1, §2.2).
 *
 *   hit      it may be given
 *   request  it is fresh, but the caller would have another
 *   stale    it is past its time
 */
export type Verdict = 'hit' | 'request' | 'stale';

/** Whether a stored answer may be given without asking R (RFC 9111 §4.2, §5.2.1). */
export function verdictOn(freshness: Freshness, said: Directives, nowMs: number): Verdict {
  const ageMs = nowMs - freshness.bornMs;
  const leftMs = freshness.lifetimeMs - ageMs;
  const { minFreshMs = 0, maxStaleMs = 0 } = said;
  const isWanted = mayAnswer(said, ageMs);
  if (leftMs > 0) return isWanted && leftMs >= minFreshMs ? 'hit' : 'request';
  return isWanted && freshness.mayBeStale && -leftMs < maxStaleMs ? 'hit' : 'stale';
}

/** Whether a stored answer may be given where R gave none: not to a caller who said how fresh it must be. */
export function mayServeOnError(freshness: Freshness, said: Directives, nowMs: number): boolean {
  const isAnyWelcome = mayAnswer(said, 0) && said.maxAgeMs === undefined && (said.minFreshMs ?? 0) === 0;
  return isAnyWelcome && nowMs - freshness.bornMs < freshness.lifetimeMs + freshness.staleIfErrorMs;
}

function mayAnswer(said: Directives, ageMs: number): boolean {
  return !said.isNoCache && !isBypassed(said) && ageMs <= (said.maxAgeMs ?? Infinity);
}

/** True for a request of which nothing is to be stored, and which nothing stored answers (RFC 9111 §5.2.1.5). */
export function isBypassed({ isNoStore, isPrivate }: Directives): boolean {
  return isNoStore || isPrivate; // `private` need not be obeyed in a request; but the caller means it
}

/** RFC 5861 §4: what counts as no answer. A 500 does, since the same input once had a good answer. */
const ERROR_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** True for a status in whose place a stored answer serves, though it is R's own. */
export function isErrorOfR(status: number): boolean {
  return ERROR_STATUSES.has(status);
}

/** True for a failure that means that R gave no answer, or was not reached: not for what the caller or the gateway did. */
export function isFailureOfR({ status, code }: GatewayError): boolean {
  return isErrorOfR(status) && code !== 'INTERNAL';
}
