import type { ClientRateLimitInfo, Store } from 'express-rate-limit';
import type { CountLimit } from '../domain/admission/ports.ts';
import { limitName } from '../domain/admission/limits.ts';
import type { Clock } from '../domain/clock.ts';
import type { Limit } from '../domain/route.ts';
import type { CounterTable } from './counter-store.ts';

/** A store of the package's kind that has counted when it returns. */
interface LocalStore extends Store {
  increment(key: string): ClientRateLimitInfo;
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
  const stores = new WeakMap<Limit, LocalStore>();

  function storeOf(limit: Limit): LocalStore {
    const known = stores.get(limit);
    if (known !== undefined) return known;
    const store = createStore(limit, table);
    stores.set(limit, store);
    return store;
  }

  return function countLimit(route, limit, key) {
    const { totalHits, resetTime } = storeOf(limit).increment(`${route.id}\n${limitName(limit)}\n${key}`);
    const endsMs = resetTime?.getTime() ?? clock.nowMs() + limit.perMs;
    return {
      limit,
      remaining: Math.max(0, limit.rate - totalHits),
      resetsInMs: Math.min(endsMs - clock.nowMs(), limit.perMs), // a Date is rounded
      isExceeded: totalHits > limit.rate,
    };
  };
}

function createStore(limit: Limit, table: CounterTable): LocalStore {
  return {
    increment(key) {
      const { hits, resetMs } = table.hit(key, limit.perMs);
      return { totalHits: hits, resetTime: new Date(Math.ceil(resetMs)) };
    },
    decrement: ignore, // asked for only where requests are skipped by how they ended: here they never are
    resetKey: ignore,
    localKeys: true,
  };
}

function ignore(): void {
  // See where it is used.
}
