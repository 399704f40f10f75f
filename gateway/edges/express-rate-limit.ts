import { rateLimit, type RateLimitInfo, type RateLimitRequestHandler, type Store } from 'express-rate-limit';
import { limitName } from '../domain/admission/limits.ts';
import type { Clock, LimitCounter } from '../domain/ports.ts';
import type { Limit } from '../domain/route.ts';
import type { CounterTable } from './counter-store.ts';

type ExpressRequest = Parameters<RateLimitRequestHandler>[0];
type ExpressResponse = Parameters<RateLimitRequestHandler>[1];

/** All that the package is shown of a request, and where it leaves what it counted. */
interface Counted {
  readonly key: string;
  rateLimit?: RateLimitInfo;
}

const NO_RESPONSE: object = { headersSent: true }; // the package is to set no field on it
const goOn = () => undefined;

/**
 * Counts with express-rate-limit: fixed windows, in one bounded table for all limits.
 *
 * The package is asked to count and nothing else; `RateLimit` fields and refusals are the flow's. A counter is known by
 * its route and by what the limit says, so it goes on counting through a reload that leaves both as they were; the
 * package's own handlers live as long as the generation whose limits they serve.
 */
export function createLimitCounter(options: {
  readonly table: CounterTable;
  readonly clock: Pick<Clock, 'nowMs'>;
}): LimitCounter {
  const { table, clock } = options;
  const handlers = new WeakMap<Limit, RateLimitRequestHandler>();

  function handlerOf(limit: Limit): RateLimitRequestHandler {
    const known = handlers.get(limit);
    if (known !== undefined) return known;
    const handler = createHandler(limit, table);
    handlers.set(limit, handler);
    return handler;
  }

  return {
    async count(route, limit, key) {
      const request: Counted = { key: `${route.id}\n${limitName(limit)}\n${key}` };
      await handlerOf(limit)(request as unknown as ExpressRequest, NO_RESPONSE as ExpressResponse, goOn);
      const info = request.rateLimit;
      if (info?.resetTime === undefined)
        throw new Error(`limit ${limitName(limit)} of route ${route.id} was not counted`);
      return {
        limit,
        remaining: info.remaining,
        resetsInMs: Math.min(info.resetTime.getTime() - clock.nowMs(), limit.perMs), // a Date is rounded
        isExceeded: info.used > info.limit,
      };
    },
  };
}

function createHandler(limit: Limit, table: CounterTable): RateLimitRequestHandler {
  return rateLimit({
    windowMs: limit.perMs,
    limit: limit.rate,
    keyGenerator: request => (request as unknown as Counted).key,
    store: storeOf(limit, table),
    standardHeaders: false,
    legacyHeaders: false,
    handler: goOn,
    validate: false, // its checks are for Express's requests, of which there are none here
  });
}

function storeOf(limit: Limit, table: CounterTable): Store {
  return {
    increment(key) {
      const { hits, resetMs } = table.hit(key, limit.perMs);
      return { totalHits: hits, resetTime: new Date(Math.ceil(resetMs)) };
    },
    decrement: goOn, // asked for only where requests are skipped by how they ended: here they never are
    resetKey: goOn,
    localKeys: true,
  };
}
