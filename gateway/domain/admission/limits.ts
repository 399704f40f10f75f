import { addressGroup, type Caller } from '../caller.ts';
import type { Call } from '../call.ts';
import { fieldsOf } from '../http/fields.ts';
import type { Limit, LimitKey, RouteSpec } from '../route.ts';

/** How one request stands with one limit, after it was counted. */
export interface Tally {
  readonly limit: Limit;
  /** Requests left in this window; 0 when none are, and when this one was too many. */
  readonly remaining: number;
  /** Milliseconds until the window ends. */
  readonly resetsInMs: number;
  readonly isExceeded: boolean;
}

/** Counted before the caller is authenticated, so that guessing is limited as well. The others count who got in. */
export function isEarly(limit: Limit): boolean {
  return limit.by.kind === 'ip' || limit.by.kind === 'header';
}

/**
 * In the order they are counted, each once: what one caller shares before what all share, since counting ends at the
 * first that is exceeded, and a flood from one address must not use up the whole route's limit.
 */
export function inCountingOrder(limits: readonly Limit[]): readonly Limit[] {
  const distinct = new Map(limits.map(limit => [limitName(limit), limit]));
  return [...distinct.values()].sort((a, b) => rank(a.by) - rank(b.by));
}

function rank(by: LimitKey): number {
  return by.kind === 'route' ? 1 : 0;
}

/** What a request is counted under. Requests without the header of a limit are counted together. */
export function limitKey(by: LimitKey, call: Call, caller: Caller | undefined): string {
  switch (by.kind) {
    case 'route':
      return '';
    case 'ip':
      return addressGroup(call.callerAddress);
    case 'caller':
      return caller?.id ?? addressGroup(call.callerAddress);
    case 'header': {
      const values = fieldsOf(call.fields, by.name.toLowerCase());
      return values.length === 0 ? 'absent' : `present ${values.join(', ')}`;
    }
  }
}

const UNITS = [
  { ms: 86_400_000, unit: 'd' },
  { ms: 3_600_000, unit: 'h' },
  { ms: 60_000, unit: 'm' },
  { ms: 1000, unit: 's' },
];

/** What is told of a limit, made once. */
interface LimitTexts {
  readonly name: string;
  readonly policy: string;
}

const texts = new WeakMap<Limit, LimitTexts>();

function textsOf(limit: Limit): LimitTexts {
  const known = texts.get(limit);
  if (known !== undefined) return known;
  const { rate, perMs, by } = limit;
  const { ms, unit } = UNITS.find(candidate => perMs % candidate.ms === 0) ?? { ms: 1, unit: 'ms' };
  const key = by.kind === 'header' ? `header-${by.name.toLowerCase()}` : by.kind;
  const name = `${rate}-per-${perMs / ms}${unit}-by-${key}`;
  const made = { name, policy: `"${name}";q=${rate};w=${toSeconds(perMs)}` };
  texts.set(limit, made);
  return made;
}

/** A limit in a word, as `100-per-1s-by-caller`: unique among a route's, and its name in the `RateLimit` fields. */
export function limitName(limit: Limit): string {
  return textsOf(limit).name;
}

/**
 * `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-08 has them: every limit that the call was
 * counted against, the one that leaves least first, since that is what simple callers read.
 */
export function rateLimitFields(tallies: readonly Tally[]): string[] {
  const [only] = tallies;
  if (only === undefined) return [];
  if (tallies.length === 1) return ['RateLimit', stand(only), 'RateLimit-Policy', policy(only)];
  const tightestFirst = tallies.toSorted((a, b) => a.remaining - b.remaining || b.resetsInMs - a.resetsInMs);
  return ['RateLimit', tightestFirst.map(stand).join(', '), 'RateLimit-Policy', tightestFirst.map(policy).join(', ')];
}

function stand({ limit, remaining, resetsInMs }: Tally): string {
  return `"${limitName(limit)}";r=${remaining};t=${toSeconds(resetsInMs)}`;
}

function policy({ limit }: Tally): string {
  return textsOf(limit).policy;
}

/** Rounded up: who waits so long has waited long enough. */
function toSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** Counts one request against one of a route's limits, under a key. */
export type CountLimit = (route: RouteSpec, limit: Limit, key: string) => Tally;
