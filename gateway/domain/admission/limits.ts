import type { Call, Complete, Matched } from '../call.ts';
import { addressGroup, type Caller } from '../caller.ts';
import { GatewayError } from '../errors.ts';
import type { Observe } from '../events.ts';
import { fieldsOf } from '../http/fields.ts';
import type { Limit, LimitKey, Route, RouteSpec } from '../route.ts';
import type { PaceQueues } from './pace.ts';

/** How one call stands with one limit, after it was counted. */
export interface Tally {
  readonly limit: Limit;
  /** Calls or rows that may still come now; 0 when none may, and when this one was too much. */
  readonly remaining: number;
  /** Milliseconds until there is more: the end of a window, the next free time of a pace. */
  readonly resetsInMs: number;
  /** It was too much, and was not counted. */
  readonly isExceeded: boolean;
  /** Milliseconds until its turn; 0 where calls are not paced. */
  readonly waitMs: number;
}

/** A limit of a route, with what its counters are known by: they outlive a reload that leaves both as they were. */
export interface RouteLimit {
  readonly limit: Limit;
  readonly routeId: string;
  /** Of a key, what stands before what a call is counted under. */
  readonly prefix: string;
}

/** Counts at once, in memory; `cost` is one call, or the rows in its body. */
export interface LimitCounter {
  /** How a key stands, and whether the call would be too much; counts nothing. */
  look(of: RouteLimit, key: string, cost: number): Tally;
  /** Counts the call, unless it is too much. */
  count(of: RouteLimit, key: string, cost: number): Tally;
  /** Takes back what was counted, of a call that does not go on. */
  giveBack(of: RouteLimit, key: string, cost: number): void;
}

/** The limits of a route, by when they are counted. */
export interface LimitPlan {
  /** Before the caller is authenticated, so that guessing is limited as well. */
  readonly early: readonly RouteLimit[];
  /** Once the caller is known. */
  readonly late: readonly RouteLimit[];
  /** Once the body is known. */
  readonly rows: readonly RouteLimit[];
}

/** When each of a route's limits is counted, each once. */
export function planLimits({ id, policy }: RouteSpec): LimitPlan {
  const all = inCountingOrder(policy.limits).map(limit => ({
    ...{ limit, routeId: id },
    prefix: `${id}\n${limitName(limit)}\n`,
  }));
  const isEarly = ({ by }: Limit) => by.kind === 'ip' || by.kind === 'header';
  const isOfRows = ({ cost }: Limit) => cost === 'rows';
  return {
    early: all.filter(({ limit }) => isEarly(limit)),
    late: all.filter(({ limit }) => !isEarly(limit) && !isOfRows(limit)),
    rows: all.filter(({ limit }) => isOfRows(limit)),
  };
}

/**
 * In the order they are counted, each once: windows before paces, since a call that waits is counted; what one caller
 * shares before what all share; short windows before long ones, so that a flood ends at the short one.
 */
export function inCountingOrder(limits: readonly Limit[]): readonly Limit[] {
  const enforcedLast = limits.toSorted((a, b) => Number(a.isEnforced) - Number(b.isEnforced));
  const distinct = new Map(enforcedLast.map(limit => [limitName(limit), limit]));
  return [...distinct.values()].sort((a, b) => rank(a) - rank(b) || a.perMs - b.perMs);
}

function rank({ pace, by }: Limit): number {
  return (pace === undefined ? 0 : 2) + (by.kind === 'route' ? 1 : 0);
}

/** Whether a call of so much can ever pass: a window never holds more than `rate`. */
function isEverPossible({ rate, pace }: Limit, cost: number): boolean {
  return pace !== undefined || cost <= rate;
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

/** What is said of a limit, made once. */
interface LimitTexts {
  readonly name: string;
  readonly policy: string;
}

const texts = new WeakMap<Limit, LimitTexts>();

function textsOf(limit: Limit): LimitTexts {
  const known = texts.get(limit);
  if (known !== undefined) return known;
  const { rate, perMs, by, cost, pace } = limit;
  const { ms, unit } = UNITS.find(candidate => perMs % candidate.ms === 0) ?? { ms: 1, unit: 'ms' };
  const key = by.kind === 'header' ? `header-${by.name.toLowerCase()}` : by.kind;
  const isRows = cost === 'rows';
  const name = `${rate}${isRows ? '-rows' : ''}-per-${perMs / ms}${unit}-by-${key}${pace === undefined ? '' : '-paced'}`;
  const made = { name, policy: `"${name}";q=${rate}${isRows ? ';qu="rows"' : ''};w=${toSeconds(perMs)}` };
  texts.set(limit, made);
  return made;
}

/** A limit in a word, as `100-per-1s-by-caller`: unique among a route's, and its name in the `RateLimit` fields. */
export function limitName(limit: Limit): string {
  return textsOf(limit).name;
}

/**
 * `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-11 has them: every limit that the call was
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

/** Rounded up: a caller who waits so long has waited long enough. */
function toSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** How a call stands with a limit that gateways share. */
export interface SharedTally extends Tally {
  /** So much was not used. */
  readonly giveBack: (cost: number) => void;
}

/** Counts where all gateways do. */
export interface SharedCounter {
  /** Counts the call; undefined: it goes on uncounted. Rejects with LIMITS_UNAVAILABLE. Always within a bounded time. */
  count(of: RouteLimit, key: string, cost: number): Promise<SharedTally | undefined>;
}

interface LimitPorts {
  readonly counter: LimitCounter;
  /** Undefined: limits are this gateway's own. */
  readonly shared?: SharedCounter | undefined;
  readonly queues: Pick<PaceQueues, 'wait'>;
  readonly observe: Observe;
}

/** Of a call, what it is counted against now. */
interface Counting {
  readonly call: Matched;
  readonly limits: readonly RouteLimit[];
  /** Counted so far. */
  readonly before: readonly Tally[];
  readonly caller?: Caller | undefined;
  readonly cost?: number;
}

/**
 * Holds calls to the limits of their routes, and lets those wait that are to be spread.
 *
 * A call that is refused by one of several limits is counted against none of them, and told to come back when all of them
 * have room. What was counted is told to the caller, however the call ends.
 */
export class Limits {
  readonly #ports: LimitPorts;
  readonly #plans = new WeakMap<Route, LimitPlan>();
  /** What was counted before the body is known. */
  readonly #kept = new WeakMap<Call, readonly Tally[]>();

  constructor(ports: LimitPorts) {
    this.#ports = ports;
  }

  planOf(route: Route): LimitPlan {
    const known = this.#plans.get(route);
    if (known !== undefined) return known;
    const made = planLimits(route);
    this.#plans.set(route, made);
    return made;
  }

  /** Counts the call, against all of these or none. Throws RATE_LIMITED; a promise where it has to wait for its turn. */
  count(counting: Counting): readonly Tally[] | Promise<readonly Tally[]> {
    if (this.#ports.shared !== undefined) return this.#countShared(counting, this.#ports.shared);
    const { call, limits, before, caller, cost = 1 } = counting;
    if (limits.length > 1) this.#refuseOverAny(counting);
    let tallies = before;
    try {
      let i = 0;
      for (const of of limits) {
        i += 1;
        const key = limitKey(of.limit.by, call, caller);
        const tally = this.#ports.counter.count(of, key, cost);
        if (tally.isExceeded) this.#exceeded(of);
        if (!of.limit.isEnforced) continue;
        tallies = withTally(tallies, tally);
        if (tally.isExceeded) throw tooMuch(tally, of, cost);
        if (tally.waitMs === 0) continue;
        const giveBack = (unused: number) => this.#ports.counter.giveBack(of, key, unused);
        const rest = { ...counting, limits: limits.slice(i), before: tallies };
        return this.#waitAtPace(call, { of, key, cost, waitMs: tally.waitMs, giveBack }).then(() => this.count(rest));
      }
      return tallies;
    } finally {
      setRateLimitFields(call, tallies);
    }
  }

  /** Keeps what was counted until the body is known. */
  keep(call: Call, tallies: readonly Tally[]): void {
    this.#kept.set(call, tallies);
  }

  /** Counts the rows of a call, and goes on with it. */
  countRows(call: Complete, next: (call: Complete) => void): void {
    const { caller, content } = call;
    const { rows: limits } = this.planOf(call.route);
    const before = this.#kept.get(call) ?? NO_TALLIES;
    const counted = this.count({ call, limits, before, caller, cost: rowsIn(content) });
    if (counted instanceof Promise) call.awaits(counted, () => next(call));
    else next(call);
  }

  /** Where one of them has no room, nothing is counted. */
  #refuseOverAny({ call, limits, before, caller, cost = 1 }: Counting): void {
    let stands = before;
    let worst: { readonly of: RouteLimit; readonly tally: Tally } | undefined;
    for (const of of limits) {
      if (!of.limit.isEnforced) continue;
      const tally = this.#ports.counter.look(of, limitKey(of.limit.by, call, caller), cost);
      stands = withTally(stands, tally);
      if (tally.isExceeded && tally.resetsInMs > (worst?.tally.resetsInMs ?? 0)) worst = { of, tally };
    }
    if (worst === undefined) return;
    setRateLimitFields(call, stands);
    this.#exceeded(worst.of);
    throw tooMuch(worst.tally, worst.of, cost);
  }

  /** One after the other, since each has to be asked elsewhere; what a refused call was counted against is given back. */
  async #countShared(counting: Counting, shared: SharedCounter): Promise<readonly Tally[]> {
    const { call, limits, before, cost = 1 } = counting;
    const counted: SharedTally[] = [];
    let tallies = before;
    try {
      for (const of of limits) {
        const tally = await this.#countOneShared(of, counting, shared);
        if (tally === undefined) continue;
        tallies = withTally(tallies, tally);
        setRateLimitFields(call, tallies);
        if (tally.isExceeded) throw tooMuch(tally, of, cost);
        if (tally.waitMs > 0) await this.#paceShared(call, of, { counting, tally });
        else counted.push(tally);
      }
      return tallies;
    } catch (error) {
      for (const tally of counted) tally.giveBack(cost);
      throw error;
    }
  }

  /** How the call stands with one of them; undefined: it is not held to it. */
  async #countOneShared(of: RouteLimit, { call, caller, cost = 1 }: Counting, shared: SharedCounter) {
    const tally = await shared.count(of, limitKey(of.limit.by, call, caller), cost);
    if (tally?.isExceeded === true) this.#exceeded(of);
    return of.limit.isEnforced ? tally : undefined;
  }

  /** A caller who left while it was reserved does not take it. */
  async #paceShared(
    call: Matched,
    of: RouteLimit,
    { counting: { caller, cost = 1 }, tally }: SharedCount,
  ): Promise<void> {
    const { waitMs, giveBack } = tally;
    if (call.isReplied) giveBack(cost);
    else await this.#waitAtPace(call, { of, key: limitKey(of.limit.by, call, caller), cost, waitMs, giveBack });
  }

  async #waitAtPace(call: Matched, { of, key, ...reservation }: PacedCall): Promise<void> {
    await new Promise<void>(resolve => {
      const whole = { key: of.prefix + key, routeId: of.routeId, ...reservation };
      call.waitsFor = this.#ports.queues.wait(whole, resolve);
    });
    call.waitsFor = undefined;
  }

  #exceeded({ limit, routeId }: RouteLimit): void {
    const { isEnforced } = limit;
    this.#ports.observe({ kind: 'limit-exceeded', route: routeId, limit: limitName(limit), isEnforced });
  }
}

interface SharedCount {
  readonly counting: Counting;
  readonly tally: SharedTally;
}

/** A call's turn at a pace. */
interface PacedCall {
  readonly of: RouteLimit;
  readonly key: string;
  readonly cost: number;
  readonly waitMs: number;
  readonly giveBack: (cost: number) => void;
}

/** Nothing was counted. */
export const NO_TALLIES: readonly Tally[] = [];

/** Mostly it is one: room for more would be waste. */
function withTally(tallies: readonly Tally[], tally: Tally): readonly Tally[] {
  return tallies.length === 0 ? [tally] : [...tallies, tally];
}

/** In the place of what was told before. */
function setRateLimitFields(call: Call, tallies: readonly Tally[]): void {
  const fields = rateLimitFields(tallies);
  const { replyFields } = call;
  if (replyFields.length > 0) {
    for (let i = 0; i < replyFields.length; i += 2) {
      const [name = '', value = ''] = replyFields.slice(i, i + 2);
      if (!name.startsWith('RateLimit')) fields.push(name, value);
    }
  }
  call.replyFields = fields;
}

function tooMuch({ limit, resetsInMs }: Tally, { routeId }: RouteLimit, cost: number): GatewayError {
  const what = limit.cost === 'rows' ? 'rows' : 'requests';
  const message = `over ${limitName(limit)} of route ${routeId}`;
  if (!isEverPossible(limit, cost)) {
    const detail = `The body has ${cost} rows, and this limit (${limitName(limit)}) takes ${limit.rate} in one window: send fewer rows in one call.`;
    return new GatewayError('RATE_LIMITED', message, { detail });
  }
  const detail =
    limit.pace === undefined
      ? `More than ${limit.rate} ${what} in the window of this limit (${limitName(limit)}).`
      : `More ${what} than this limit lets wait (${limitName(limit)}).`;
  return new GatewayError('RATE_LIMITED', message, { retryAfterMs: resetsInMs, detail });
}

const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const [QUOTE, COMMA, BACKSLASH, SPACE] = [0x22, 0x2c, 0x5c, 0x20];

/**
 * How many rows a body counts as: the elements of a JSON array; of an object the longest of its lists, since R takes those
 * for columns; one for anything else.
 *
 * Nothing is parsed: a body that is no JSON has some number of rows as well, in one pass over its bytes.
 */
export function rowsIn(content: Buffer): number {
  const top = content.find((byte, at) => byte > SPACE && !(at < 3 && isMark(content)));
  if (top !== OPEN_ARRAY && top !== OPEN_OBJECT) return 1;
  return Math.max(1, longestList(content, top === OPEN_ARRAY ? 1 : 2));
}

/** A byte order mark, which R passes over. */
function isMark(content: Buffer): boolean {
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf;
}

/** The most elements of a list that stands at this depth. */
function longestList(content: Buffer, wanted: number): number {
  let [depth, elements, longest] = [0, 0, 0];
  let isList = false;
  for (let at = 0; at < content.length; at++) {
    const byte = content[at] ?? SPACE;
    if (byte <= SPACE) continue;
    if (isEnd(byte)) depth -= 1;
    else if (depth === wanted && isList) elements += beginAt(elements, byte);
    longest = Math.max(longest, elements);
    if (byte === QUOTE) at = endOfText(content, at);
    if (isBeginning(byte) && ++depth === wanted) [isList, elements] = [byte === OPEN_ARRAY, 0];
  }
  return longest;
}

/** An element begins with the first byte of a list, or a comma: how many begin here. */
function beginAt(elements: number, byte: number): number {
  return elements === 0 || byte === COMMA ? 1 : 0;
}

function isBeginning(byte: number): boolean {
  return byte === OPEN_ARRAY || byte === OPEN_OBJECT;
}

function isEnd(byte: number): boolean {
  return byte === CLOSE_ARRAY || byte === CLOSE_OBJECT;
}

/** Where the text ends that begins here; the end where it does not. */
function endOfText(content: Buffer, from: number): number {
  let at = from + 1;
  while (at < content.length && content[at] !== QUOTE) at += content[at] === BACKSLASH ? 2 : 1;
  return at;
}
