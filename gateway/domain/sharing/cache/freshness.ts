import type { GatewayError } from '../../errors.ts';
import type { Answer } from '../../exchange.ts';
import { fieldOf, hasField, listOf, type RawFields } from '../../http/fields.ts';
import { parseHttpDate } from '../../http/http-date.ts';
import type { CachePolicy } from '../../route.ts';
import { directivesOf, millisecondsOf, type Directives, type Wish } from './cache-control.ts';

/** When an answer was asked for and when it came, by the steady clock, and the date at which it came. */
export interface Exchanged {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly answeredWallMs: number;
}

/** How long an answer may serve. */
export interface Term {
  /** By the steady clock: when it was of no age. */
  readonly bornMs: number;
  /** Until this age it is fresh. */
  readonly freshMs: number;
  /** For so long past its time it serves where R gives none. */
  readonly staleIfErrorMs: number;
  /** Whether a caller who takes stale answers may have it. */
  readonly mayBeStale: boolean;
}

/** An answer whose body is in. */
export type WholeAnswer = Answer & { readonly body: Buffer };

/** Successful, and whole: 206 is a part of an answer, 201 and 202 tell of what was done once. */
const REMEMBERED_STATUSES: ReadonlySet<number> = new Set([200, 203, 204]);

/** RFC 9111 §5.2.2.7, §5.2.2.5; with §5.2.2.4 in place of validation, which R does not know. */
const FORBIDS_KEEPING = ['private', 'no-store', 'no-cache'];

/** True for an answer that may serve those who ask later, as far as it says so itself. */
export function isForAll(answer: Answer): answer is WholeAnswer {
  return REMEMBERED_STATUSES.has(answer.status) && mayServeSeveral(answer);
}

/**
 * True for an answer that may serve others than the one who asked: only what could be stored (RFC 9111 §4).
 *
 * `Set-Cookie` is meant for one. What `Vary` names is in the key or was not sent to R; `*` says that there is more
 * (§4.1).
 */
export function mayServeSeveral(answer: Answer): answer is WholeAnswer {
  const { rawHeaders, body } = answer;
  if (!Buffer.isBuffer(body)) return false;
  if (hasField(rawHeaders, 'set-cookie') || listOf(rawHeaders, 'vary').includes('*')) return false;
  const said = directivesOf(rawHeaders);
  return !FORBIDS_KEEPING.some(name => said.has(name));
}

/** How long an answer that is for all may serve; undefined: it is not worth keeping. */
export function termOf(policy: CachePolicy, rawHeaders: RawFields, when: Exchanged): Term | undefined {
  const said = directivesOf(rawHeaders);
  const isHttp = policy.ttlMs === 'http';
  const freshMs = policy.ttlMs === 'http' ? lifetimeOf(rawHeaders, said, when) : policy.ttlMs;
  if (freshMs === undefined) return undefined;
  const ageMs = isHttp ? initialAgeOf(rawHeaders, when) : 0;
  const staleIfErrorMs = staleIfErrorOf(policy, said);
  if (ageMs >= freshMs + staleIfErrorMs) return undefined;
  return { bornMs: when.answeredMs - ageMs, freshMs, staleIfErrorMs, mayBeStale: mayBeStale(said) };
}

/**
 * The freshness lifetime (RFC 9111 §4.2.1): `s-maxage`, `max-age`, or `Expires`. One that cannot be read is over; where
 * R says none there is none: nothing is guessed (§4.2.2).
 */
function lifetimeOf(fields: RawFields, said: Directives, { answeredWallMs }: Exchanged): number | undefined {
  const byDirective = millisecondsOf(said, 's-maxage', 0) ?? millisecondsOf(said, 'max-age', 0);
  if (byDirective !== undefined) return byDirective;
  const expires = fieldOf(fields, 'expires');
  if (expires === undefined) return undefined;
  const endsMs = parseHttpDate(expires) ?? 0; // §5.3: `0` above all
  return Math.max(0, endsMs - (dateOf(fields) ?? answeredWallMs));
}

/** RFC 9111 §4.2.3: how old the answer was when it came, by its own word and by how long it took. */
function initialAgeOf(fields: RawFields, { askedMs, answeredMs, answeredWallMs }: Exchanged): number {
  const apparentMs = Math.max(0, answeredWallMs - (dateOf(fields) ?? answeredWallMs));
  const statedMs = /^\d+$/.exec(fieldOf(fields, 'age')?.trim() ?? '');
  const correctedMs = Number(statedMs?.[0] ?? 0) * 1000 + (answeredMs - askedMs);
  return Math.max(apparentMs, correctedMs);
}

function dateOf(fields: RawFields): number | undefined {
  return parseHttpDate(fieldOf(fields, 'date') ?? '');
}

/** RFC 9111 §4.2.4; §5.2.2.10: `s-maxage` says `proxy-revalidate` as well. */
function mayBeStale(said: Directives): boolean {
  return !said.has('must-revalidate') && !said.has('proxy-revalidate') && !said.has('s-maxage');
}

/** RFC 5861 §4: R's own word on it goes before the operator's, where R's freshness counts. */
function staleIfErrorOf({ ttlMs, staleIfErrorMs }: CachePolicy, said: Directives): number {
  if (said.has('must-revalidate') || said.has('proxy-revalidate')) return 0;
  const byAnswer = ttlMs === 'http' ? millisecondsOf(said, 'stale-if-error', 0) : undefined;
  return byAnswer ?? (mayBeStale(said) ? staleIfErrorMs : 0);
}

/**
 * What an answer that is remembered is to a caller.
 *
 *   fits      may be given
 *   unwished  is fresh, but the caller would have another
 *   stale     is past its time
 */
export type Fitness = 'fits' | 'unwished' | 'stale';

/** Whether an answer may be given without asking R (RFC 9111 §4.2, §5.2.1). */
export function fitnessOf(term: Term, wish: Wish, nowMs: number): Fitness {
  const ageMs = nowMs - term.bornMs;
  const leftMs = term.freshMs - ageMs;
  const isWished = !wish.isNoCache && !wish.isNoStore && ageMs <= wish.ageMsMax;
  if (leftMs > 0) return isWished && leftMs >= wish.freshMsMin ? 'fits' : 'unwished';
  return isWished && term.mayBeStale && -leftMs < wish.staleMsMax ? 'fits' : 'stale';
}

/** Whether an answer may be given where R gave none: not to a caller who said how fresh it must be. */
export function isBetterThanNone(term: Term, wish: Wish, nowMs: number): boolean {
  const isAnyWelcome = !wish.isNoCache && !wish.isNoStore && wish.ageMsMax === Infinity && wish.freshMsMin === 0;
  return isAnyWelcome && nowMs - term.bornMs < term.freshMs + term.staleIfErrorMs;
}

/** RFC 5861 §4: what counts as no answer. A 500 does, since the same input once had a good answer. */
const NO_ANSWER: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** True for a status in whose place a remembered answer serves, though it is R's own. */
export function isNoAnswer(status: number): boolean {
  return NO_ANSWER.has(status);
}

/** True for a failure that means that R gave no answer, or was not reached: not for what the caller or the gateway did. */
export function isFailureOfR({ status, code }: GatewayError): boolean {
  return isNoAnswer(status) && code !== 'INTERNAL';
}
