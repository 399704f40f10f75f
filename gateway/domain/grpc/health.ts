import type { Route } from '../route.ts';

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
export const SERVING = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

/** A status of it. */
export type Serving = (typeof SERVING)[keyof typeof SERVING];

/** What the gateway's health is told by. */
export interface HealthPorts {
  readonly isServerReady: () => boolean;
  readonly routes: () => readonly Route[];
  /** Whether a route's service has an instance in rotation. */
  readonly isReady: (route: Route) => boolean;
  /** Services of gRPC that the gateway itself serves. */
  readonly own: readonly string[];
}

/**
 * How a service is, by its name (grpc/doc/health-checking.md): empty, and what the gateway itself serves, is the gateway; a
 * route, its service, and a service of its `.proto` are well where one instance is in rotation. Undefined: there is none.
 */
export function servingOf(name: string, { isServerReady, routes, isReady, own }: HealthPorts): Serving | undefined {
  if (name === '' || own.includes(name)) return toServing(isServerReady());
  const named = routes().filter(
    ({ id, service, policy }) => id === name || service.name === name || policy.grpc?.name === name,
  );
  return named.length === 0 ? undefined : toServing(named.some(isReady));
}

/** The services of gRPC that are served, and how each is. */
export function servingOfAll(ports: HealthPorts): ReadonlyMap<string, Serving> {
  const names = ['', ...ports.own, ...ports.routes().flatMap(({ policy }) => policy.grpc?.name ?? [])];
  return new Map(names.map(name => [name, servingOf(name, ports) ?? SERVING.SERVICE_UNKNOWN]));
}

function toServing(is: boolean): Serving {
  return is ? SERVING.SERVING : SERVING.NOT_SERVING;
}
