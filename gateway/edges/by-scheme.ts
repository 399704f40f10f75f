import type { Transport } from '../domain/upstream.ts';
import { probeHttp, type Probe } from './http-probe.ts';

/** A way to instances that do not speak HTTP. */
export interface Way {
  readonly transport: Transport;
  readonly probe: Probe;
}

/** Ways by the scheme of the origins they lead to. */
export type Ways = Readonly<Record<string, Way>>;

/** Carries a call by the way that its instance's origin names; HTTP, where that names none of these. */
export function transportByScheme(http: Transport, ways: Ways): Transport {
  const others = Object.values(ways).map(({ transport }) => transport);
  if (others.length === 0) return http;
  const to = (origin: string) => wayOf(origin, ways)?.transport ?? http;
  return {
    send: (origin, message, options) => to(origin).send(origin, message, options),
    forget: origin => to(origin).forget(origin),
    async close() {
      await Promise.all([http, ...others].map(transport => transport.close()));
    },
  };
}

/** Checks an instance by the way that its origin names. */
export function probeByScheme(ways: Ways): Probe {
  return request => (wayOf(request.origin, ways)?.probe ?? probeHttp)(request);
}

function wayOf(origin: string, ways: Ways): Way | undefined {
  return origin.startsWith('http') ? undefined : ways[origin.slice(0, origin.indexOf(':'))];
}
