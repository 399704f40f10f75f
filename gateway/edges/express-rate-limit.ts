import type { ClientRateLimitInfo, Store } from 'express-rate-limit';
import { type CountLimit, limitName } from '../domain/admission/limits.ts';
import type { Clock } from '../domain/clock.ts';
import type { Limit } from '../domain/route.ts';
import { hash, randomBytes } from 'node:crypto';

/** A store of the package's kind that has counted when it returns. */
interface LocalStore extends Store {
  increment(key: string): WindowCount;
}

/** What the package's stores tell; a `Date` is made only where one is asked for. */
class WindowCount implements ClientRateLimitInfo {
  readonly totalHits: number;
  readonly resetMs: number;

  constructor({ hits, resetMs }: Count) {
    this.totalHits = hits;
    this.resetMs = resetMs;
  }

  get resetTime(): Date {
    return new Date(Math.ceil(this.resetMs));
  }
}

/** A limit's store, and what its keys begin with. */
interface LimitStore {
  readonly store: LocalStore;
  readonly routeId: string;
  readonly prefix: string;
}

/**
 * Counts with stores of express-rate-limit's kind: fixed windows, in one bounded table for all limits.
 *
 * The store is asked directly. The package's middleware asks it through some ten promises, and its fields and refusals
 * are the flow's here. A counter is known by its route and by what the limit says, so that it goes on counting through a
 * reload that leaves both as they were.
 */
export function createLimitCounter(options: {
  readonly table: CounterTable;
  readonly clock: Pick<Clock, 'nowMs'>;
}): CountLimit {
  const { table, clock } = options;
  const stores = new WeakMap<Limit, LimitStore>();

  function storeOf(limit: Limit, routeId: string): LimitStore {
    const known = stores.get(limit);
    if (known?.routeId === routeId) return known;
    const made = { store: createStore(limit, table), routeId, prefix: `${routeId}\n${limitName(limit)}\n` };
    stores.set(limit, made);
    return made;
  }

  return function countLimit(route, limit, key) {
    const { store, prefix } = storeOf(limit, route.id);
    const { totalHits, resetMs } = store.increment(prefix + key);
    return {
      limit,
      remaining: Math.max(0, limit.rate - totalHits),
      resetsInMs: Math.min(Math.ceil(resetMs) - clock.nowMs(), limit.perMs),
      isExceeded: totalHits > limit.rate,
    };
  };
}

function createStore(limit: Limit, table: CounterTable): LocalStore {
  return {
    increment(key) {
      return new WindowCount(table.hit(key, limit.perMs));
    },
    decrement: ignore, // asked for only where requests are skipped by how they ended: here they never are
    resetKey: ignore,
    localKeys: true,
  };
}

function ignore(): void {
  // See where it is used.
}

/** Keys of a table unless told otherwise: 40 MiB once all are in use. */
const KEYS_MAX = 2 ** 21;

/** Places a key may take: one cache line of each array. */
const WAYS = 16;

const HITS_MAX = 2 ** 32 - 1;

/** What a table asks. */
interface CounterTableOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly keysMax?: number;
}

/** What a window counts to, and when it ends. */
export interface Count {
  readonly hits: number;
  readonly resetMs: number;
}

/** Counts in fixed windows, for any number of keys, in memory that never grows. */
export interface CounterTable {
  /** Counts one hit of a key whose windows last `windowMs`, the first of them from its first hit on. */
  hit(key: string, windowMs: number): Count;
  readonly bytes: number;
}

/**
 * A table of numbers: a key is known by 64 bits of its hash, seeded anew in each process, so that no caller can choose keys
 * that meet. A million keys take as much as they take, however long they are, and the collector never looks at them.
 *
 * A key may stand in one of sixteen places. Where all are taken, windows that have ended go first, then the key with
 * the fewest hits, and of those the one whose window ends first. So a flood of new keys displaces its own, never a
 * heavy one, and no caller is refused for want of room.
 */
export function createCounterTable(options: CounterTableOptions): CounterTable {
  const { clock, keysMax = KEYS_MAX } = options;
  const sets = 2 ** Math.max(0, Math.round(Math.log2(keysMax / WAYS)));
  const seed = randomBytes(16).toString('latin1');
  const low = new Uint32Array(sets * WAYS);
  const high = new Uint32Array(sets * WAYS);
  const hits = new Uint32Array(sets * WAYS); // 0: the place is free
  const resets = new Float64Array(sets * WAYS);

  function hit(key: string, windowMs: number): Count {
    const now = clock.nowMs();
    const digest = hash('sha256', seed + key, 'latin1');
    const [a, b] = [wordAt(digest, 0), wordAt(digest, 4)];
    const first = (wordAt(digest, 8) & (sets - 1)) * WAYS;
    const known = find(first, a, b);
    if (known !== undefined && resets[known] !== undefined && resets[known] > now) {
      return tell(known, Math.min(HITS_MAX, (hits[known] ?? 0) + 1));
    }
    const place = known ?? placeFor(first, now);
    low[place] = a;
    high[place] = b;
    resets[place] = now + windowMs;
    return tell(place, 1);
  }

  function tell(place: number, count: number): Count {
    hits[place] = count;
    return { hits: count, resetMs: resets[place] ?? 0 };
  }

  function find(first: number, a: number, b: number): number | undefined {
    for (let place = first; place < first + WAYS; place++) {
      if (low[place] === a && high[place] === b && hits[place] !== 0) return place;
    }
    return undefined;
  }

  function placeFor(first: number, now: number): number {
    let lightest = first;
    for (let place = first; place < first + WAYS; place++) {
      if (hits[place] === 0 || (resets[place] ?? 0) <= now) return place;
      if (isLighter(place, lightest)) lightest = place;
    }
    return lightest;
  }

  function isLighter(place: number, other: number): boolean {
    const [some, others] = [hits[place] ?? 0, hits[other] ?? 0];
    return some === others ? (resets[place] ?? 0) < (resets[other] ?? 0) : some < others;
  }

  return { hit, bytes: low.byteLength + high.byteLength + hits.byteLength + resets.byteLength };
}

function wordAt(digest: string, at: number): number {
  const byte = (i: number) => digest.charCodeAt(at + i);
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}
