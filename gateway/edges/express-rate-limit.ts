import type { ClientRateLimitInfo, Store } from 'express-rate-limit';
import type { LimitCounter, Tally } from '../domain/admission/limits.ts';
import { paceCall, paceStepMs } from '../domain/admission/pace.ts';
import type { Clock } from '../domain/clock.ts';
import type { Limit } from '../domain/route.ts';
import { hash, randomBytes } from 'node:crypto';

/** A store of the package's kind that has counted when it returns. It counts nothing beyond the limit. */
interface LocalStore extends Store {
  increment(key: string, cost?: number): WindowCount;
  get(key: string, cost?: number): WindowCount;
  decrement(key: string, cost?: number): void;
}

/** What the package's stores tell; a `Date` is made only where one is asked for. */
class WindowCount implements ClientRateLimitInfo {
  readonly totalHits: number;
  readonly resetMs: number;
  readonly isOver: boolean;

  constructor({ hits, resetMs, isOver }: Count) {
    this.totalHits = hits;
    this.resetMs = resetMs;
    this.isOver = isOver;
  }

  get resetTime(): Date {
    return new Date(Math.ceil(this.resetMs));
  }
}

/** Where counters stand. */
interface LimitTables {
  readonly table: CounterTable;
  /** Of windows that outlive the process; undefined: they stand with the others. */
  readonly lasting?: () => CounterTable | undefined;
}

/** Windows of this length and longer survive a restart. */
export const LASTING_MS = 3_600_000;

/**
 * Counts with stores of express-rate-limit's kind: fixed windows, in one bounded table for all limits. Paces stand in it
 * as well.
 *
 * The store is asked directly. The package's middleware asks it through some ten promises, and its fields and refusals
 * are the flow's here. A counter is known by its route and by what the limit says, so that it goes on counting through a
 * reload that leaves both as they were.
 */
export function createLimitCounter({ table, lasting = NONE_LASTING }: LimitTables): LimitCounter {
  const stores = new WeakMap<Limit, LocalStore>();
  const tableOf = ({ perMs }: Limit) => (perMs < LASTING_MS ? table : (lasting() ?? table));

  function storeOf(limit: Limit): LocalStore {
    const known = stores.get(limit);
    if (known !== undefined) return known;
    const made = createStore(limit, () => tableOf(limit));
    stores.set(limit, made);
    return made;
  }

  function tallyOf(limit: Limit, { totalHits, resetMs, isOver }: WindowCount): Tally {
    return {
      limit,
      remaining: Math.max(0, limit.rate - totalHits),
      resetsInMs: Math.min(Math.ceil(resetMs) - tableOf(limit).nowMs(), limit.perMs),
      isExceeded: isOver,
      waitMs: 0,
    };
  }

  return {
    look({ limit, prefix }, key, cost) {
      if (limit.pace === undefined) return tallyOf(limit, storeOf(limit).get(prefix + key, cost));
      const paces = tableOf(limit);
      return { limit, ...paceCall(limit, { doneMs: paces.until(prefix + key), nowMs: paces.nowMs(), cost: 0 }) };
    },
    count({ limit, prefix }, key, cost) {
      if (limit.pace === undefined) return tallyOf(limit, storeOf(limit).increment(prefix + key, cost));
      const paces = tableOf(limit);
      const stand = paceCall(limit, { doneMs: paces.until(prefix + key), nowMs: paces.nowMs(), cost });
      if (!stand.isExceeded) paces.setUntil(prefix + key, stand.doneMs);
      return { limit, ...stand };
    },
    giveBack({ limit, prefix }, key, cost) {
      const paces = tableOf(limit);
      if (limit.pace === undefined) storeOf(limit).decrement(prefix + key, cost);
      else paces.setUntil(prefix + key, paces.until(prefix + key) - cost * paceStepMs(limit));
    },
  };
}

const NONE_LASTING = () => undefined;

function createStore({ perMs, rate }: Limit, table: () => CounterTable): LocalStore {
  const window = { windowMs: perMs, hitsMax: rate };
  return {
    increment: (key, cost) => new WindowCount(table().hit(key, window, cost)),
    get: (key, cost) => new WindowCount(table().look(key, window, cost)),
    decrement: (key, cost = 1) => table().takeBack(key, cost),
    resetKey: ignore, // asked for only by those that know callers by name
    localKeys: true,
  };
}

function ignore(): void {
  // See where it is used.
}

/** Keys of a table unless told otherwise: 40 MiB once all are in use. */
const KEYS_MAX = 2 ** 21;

/** Slots a key may take: one cache line of each array. */
const WAYS = 16;

const HITS_MAX = 2 ** 32 - 1;

/** What a table asks. */
interface CounterTableOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly keysMax?: number;
  /** What was kept of the table before; undefined: it begins empty. */
  readonly kept?: KeptCounters | undefined;
}

/** What a window counts to, and when it ends. */
export interface Count {
  readonly hits: number;
  readonly resetMs: number;
  /** It would have been too much, and was not counted. */
  readonly isOver: boolean;
}

/** How a window counts. */
interface Window {
  readonly windowMs: number;
  /** What would be beyond is not counted. */
  readonly hitsMax?: number;
}

/** One counter, as it is kept in a file. */
export interface KeptCounter {
  readonly low: number;
  readonly high: number;
  readonly hits: number;
  readonly resetMs: number;
}

/** Counters as they were kept. */
export interface KeptCounters {
  /** What the keys were hashed with. */
  readonly seed: string;
  readonly counters: readonly KeptCounter[];
}

/** A key as it is known: 64 bits of its hash. */
type Hashed = Pick<KeptCounter, 'low' | 'high'>;

/**
 * Counts in fixed windows, for any number of keys, in memory that never grows.
 *
 * A table of numbers: a key is known by 64 bits of its hash, seeded anew in each process, so that no caller can choose keys
 * that meet. A million keys take as much as they take, however long they are, and the collector never looks at them.
 *
 * A key may stand in one of sixteen slots. Where all are taken, windows that have ended go first, then the key with
 * the fewest hits, and of those the one whose window ends first. So a flood of new keys displaces its own, never a
 * heavy one, and no caller is refused for want of room.
 */
export class CounterTable {
  readonly bytes: number;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #sets: number;
  readonly #seed: string;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #hits: Uint32Array; // 0: the slot is free
  readonly #resets: Float64Array;
  /** Slots that changed; undefined where they are not kept. */
  readonly #changed: Set<number> | undefined;

  constructor({ clock, keysMax = KEYS_MAX, kept }: CounterTableOptions) {
    this.#clock = clock;
    this.#sets = 2 ** Math.max(0, Math.round(Math.log2(keysMax / WAYS)));
    const slots = this.#sets * WAYS;
    this.#seed = kept?.seed ?? newSeed();
    this.#low = new Uint32Array(slots);
    this.#high = new Uint32Array(slots);
    this.#hits = new Uint32Array(slots);
    this.#resets = new Float64Array(slots);
    this.bytes = slots * (3 * Uint32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT);
    this.#changed = kept === undefined ? undefined : new Set();
    for (const counter of kept?.counters ?? []) this.#restore(counter);
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Counts a hit of a key, whose windows begin with its first hit. */
  hit(key: string, { windowMs, hitsMax = HITS_MAX }: Window, cost = 1): Count {
    const nowMs = this.#clock.nowMs();
    const digest = hash('sha256', this.#seed + key, 'latin1');
    const [low, high] = [wordAt(digest, 0), wordAt(digest, 4)];
    const known = this.#find(low, high);
    const isRunning = known !== undefined && this.#resetAt(known) > nowMs;
    const before = isRunning ? this.#hitsAt(known) : 0;
    const resetMs = isRunning ? this.#resetAt(known) : nowMs + windowMs;
    const hits = Math.min(HITS_MAX, before + cost);
    if (hits > hitsMax) return { hits: before, resetMs, isOver: true };
    const slot = known ?? this.#slotFor(low, nowMs);
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#hits[slot] = hits;
    this.#resets[slot] = resetMs;
    this.#changed?.add(slot);
    return { hits, resetMs, isOver: false };
  }

  /** How the window stands, and whether the hit would be too much; counts nothing. */
  look(key: string, { windowMs, hitsMax = HITS_MAX }: Window, cost = 1): Count {
    const slot = this.#running(key);
    const hits = slot === undefined ? 0 : this.#hitsAt(slot);
    const resetMs = slot === undefined ? this.#clock.nowMs() + windowMs : this.#resetAt(slot);
    return { hits, resetMs, isOver: hits + cost > hitsMax };
  }

  takeBack(key: string, cost: number): void {
    const slot = this.#running(key);
    if (slot === undefined) return;
    this.#hits[slot] = Math.max(0, this.#hitsAt(slot) - cost);
    this.#changed?.add(slot);
  }

  /** Until when a key is busy, where that is all that is kept of it; the past where it is not. */
  until(key: string): number {
    const slot = this.#running(key);
    return slot === undefined ? -Infinity : this.#resetAt(slot);
  }

  setUntil(key: string, resetMs: number): void {
    const { low, high } = this.#hashed(key);
    this.#put(this.#find(low, high) ?? this.#slotFor(low, this.#clock.nowMs()), { low, high, hits: 1, resetMs });
  }

  /** The counters that changed since they were last told, or all there are. */
  counters(which: 'changed' | 'all'): readonly KeptCounter[] {
    const nowMs = this.#clock.nowMs();
    const isAlive = (slot: number) => this.#hitsAt(slot) > 0 && this.#resetAt(slot) > nowMs;
    const slots = which === 'changed' ? [...(this.#changed ?? [])] : [...this.#hits.keys()].filter(isAlive);
    this.#changed?.clear();
    return slots.map(slot => ({
      low: this.#low[slot] ?? 0,
      high: this.#high[slot] ?? 0,
      hits: this.#hitsAt(slot),
      resetMs: this.#resetAt(slot),
    }));
  }

  #restore({ low, high, hits, resetMs }: KeptCounter): void {
    const nowMs = this.#clock.nowMs();
    const known = this.#find(low, high);
    if (resetMs <= nowMs || (hits === 0 && known === undefined)) return;
    this.#put(known ?? this.#slotFor(low, nowMs), { low, high, hits, resetMs });
  }

  #put(slot: number, { low, high, hits, resetMs }: KeptCounter): void {
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#hits[slot] = hits;
    this.#resets[slot] = resetMs;
    this.#changed?.add(slot);
  }

  #hitsAt(slot: number): number {
    return this.#hits[slot] ?? 0;
  }

  #resetAt(slot: number): number {
    return this.#resets[slot] ?? 0;
  }

  #hashed(key: string): Hashed {
    const digest = hash('sha256', this.#seed + key, 'latin1');
    return { low: wordAt(digest, 0), high: wordAt(digest, 4) };
  }

  /** Where a key stands whose window runs. */
  #running(key: string): number | undefined {
    const { low, high } = this.#hashed(key);
    const slot = this.#find(low, high);
    return slot !== undefined && this.#resetAt(slot) > this.#clock.nowMs() ? slot : undefined;
  }

  #find(low: number, high: number): number | undefined {
    const first = this.#firstOf(low);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#low[slot] === low && this.#high[slot] === high && this.#hits[slot] !== 0) return slot;
    }
    return undefined;
  }

  #firstOf(low: number): number {
    return (low & (this.#sets - 1)) * WAYS;
  }

  #slotFor(low: number, nowMs: number): number {
    const first = this.#firstOf(low);
    let lightest = first;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#hits[slot] === 0 || this.#resetAt(slot) <= nowMs) return slot;
      if (this.#isLighter(slot, lightest)) lightest = slot;
    }
    return lightest;
  }

  #isLighter(slot: number, other: number): boolean {
    const [some, others] = [this.#hitsAt(slot), this.#hitsAt(other)];
    return some === others ? this.#resetAt(slot) < this.#resetAt(other) : some < others;
  }
}

/** What keys are hashed with. */
export function newSeed(): string {
  return randomBytes(16).toString('latin1');
}

function wordAt(digest: string, at: number): number {
  const byte = (i: number) => digest.charCodeAt(at + i);
  return ((byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3)) >>> 0;
}
