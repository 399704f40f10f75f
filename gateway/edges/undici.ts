import type { Clock, SendBounds, Transport, UpstreamRequest } from '../domain/ports.ts';
import { Exchange } from './undici-exchange.ts';
import { Lane } from './undici-lane.ts';

/** Addresses for which something is kept; the longest known goes first, and is made anew when it is asked for. */
const LANES_MAX = 4096;

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
    const lane = new Lane(origin, bounds, clock);
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
        exchange.go(lane, toDispatch(request, bounds));
      } catch (error) {
        exchange.abandon(error);
      }
      return exchange;
    },
    forget(origin) {
      for (const lanes of [fresh, reused]) {
        lanes.get(origin)?.retire();
        lanes.delete(origin);
      }
    },
    async close() {
      isClosed = true;
      const lanes = [...fresh.values(), ...reused.values()];
      fresh.clear();
      reused.clear();
      await Promise.all(lanes.map(lane => lane.destroy()));
    },
  };
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
    lane.retire();
    lanes.delete(origin);
    return;
  }
}
