import { Pool } from 'undici';
import type { Clock, SendBounds, Transport, UpstreamRequest } from '../domain/ports.ts';
import { createConnector } from './undici-connector.ts';
import { Exchange } from './undici-exchange.ts';

/** Connections to one address at once; what goes beyond waits for one of them. */
const CONNECTIONS_MAX = 1024;

/** Addresses for which something is kept; the longest known goes first, and is made anew when it is asked for. */
const LANES_MAX = 4096;

/** httpuv's own bound for a head is 80 KiB; an answer's is never near it. */
const ANSWER_HEAD_BYTES_MAX = 64 * 1024;

/** Shorter than what common servers keep an idle connection open, so that none closes under a request of ours. */
const IDLE_CONNECTION_MS_MAX = 4_000;

/** The connections to one address. */
interface Lane {
  readonly pool: Pool;
  connectTimeoutMs: number;
}

/**
 * Carries ordinary calls to instances, by undici's `dispatch`.
 *
 * Head and body leave in one write, with `Content-Length`, on a connection that carries nothing else meanwhile: what
 * Plumber's httpuv needs (it mistakes the rest of a split URL for the whole, and knows no pipelining).
 */
export function createTransport({ clock }: { readonly clock: Clock }): Transport {
  const fresh = new Map<string, Lane>();
  const reused = new Map<string, Lane>();
  let isClosed = false;

  const laneOf = (origin: string, bounds: SendBounds): Lane => {
    const lanes = bounds.reuse ? reused : fresh;
    const known = lanes.get(origin);
    if (known !== undefined) return known;
    const lane = createLane(origin, bounds, clock);
    lanes.set(origin, lane);
    if (lanes.size > LANES_MAX) retireOldest(lanes);
    return lane;
  };

  return {
    send(request, bounds) {
      const exchange = new Exchange(bounds, clock);
      if (isClosed) {
        exchange.abandon(new Error('the transport is closed'));
        return exchange;
      }
      try {
        const lane = laneOf(request.origin, bounds);
        lane.connectTimeoutMs = bounds.connectTimeoutMs;
        lane.pool.dispatch(toDispatch(request, bounds), exchange);
      } catch (error) {
        exchange.abandon(error);
      }
      return exchange;
    },
    forget(origin) {
      for (const lanes of [fresh, reused]) {
        retire(lanes.get(origin));
        lanes.delete(origin);
      }
    },
    async close() {
      isClosed = true;
      const pools = [...fresh.values(), ...reused.values()].map(lane => lane.pool);
      fresh.clear();
      reused.clear();
      await Promise.all(pools.map(pool => pool.destroy()));
    },
  };
}

function createLane(origin: string, bounds: SendBounds, clock: Clock): Lane {
  const timing = { connectTimeoutMs: bounds.connectTimeoutMs };
  const pool = new Pool(origin, {
    connections: CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: ANSWER_HEAD_BYTES_MAX,
    keepAliveTimeout: IDLE_CONNECTION_MS_MAX,
    keepAliveMaxTimeout: IDLE_CONNECTION_MS_MAX,
    headersTimeout: 0, // the exchange has a bound of its own for the whole
    bodyTimeout: 0,
    connect: createConnector(timing, clock),
  });
  return Object.assign(timing, { pool });
}

function toDispatch({ method, target, host, rawHeaders, body }: UpstreamRequest, { reuse }: SendBounds) {
  return {
    path: target,
    method,
    headers: (host === undefined ? rawHeaders : ['host', host, ...rawHeaders]) as string[], // undici only reads them
    body: body.length === 0 ? null : body,
    reset: !reuse,
  };
}

function retireOldest(lanes: Map<string, Lane>): void {
  for (const [origin, lane] of lanes) {
    retire(lane);
    lanes.delete(origin);
    return;
  }
}

/** Lets exchanges under way end by themselves; nobody waits for it. */
function retire(lane: Lane | undefined): void {
  lane?.pool.close().catch(() => {
    // A pool that was destroyed meanwhile is closed all the same.
  });
}
