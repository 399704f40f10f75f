import type { Call, Matched } from '../domain/call.ts';
import type { Clock, Random } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { isPreflight } from '../domain/http/cors.ts';
import { fieldOf } from '../domain/http/fields.ts';
import type { FoundRpc, RpcTable } from '../domain/grpc/rpc-table.ts';
import { notSpoken } from '../domain/grpc/speech.ts';
import type { Route } from '../domain/route.ts';
import type { FoundRoute, RouteTable } from '../domain/routing/route-table.ts';

interface Generation {
  readonly table: RouteTable<Route>;
  readonly rpcs?: RpcTable | undefined;
}

interface MatchPorts {
  /** The current one. */
  readonly current: () => Generation;
  readonly clock: Clock;
  /** Draws among weighted routes. */
  readonly random: Random;
}

/** Finds the route of a call. */
export type Match = (call: Call) => Matched;

/**
 * Finds the route, and arms the deadline with its timeout; a stream has none.
 *
 * A browser's preflight is matched by the method it asks for: it is the route of the request to come that says whether
 * it may. Where that route has no `cors`, the preflight is an OPTIONS request like any other.
 */
export function createMatch({ current, clock, random }: MatchPorts): Match {
  return function match(call) {
    const generation = current();
    const { table: routes, rpcs } = generation;
    call.wallMs = clock.wallMs();
    if (rpcs !== undefined) {
      const rpc = rpcs.find(call, random);
      if (rpc !== undefined) return matchedRpc(call, rpc);
    }
    const preflighted =
      call.method === 'OPTIONS' && isPreflight(call.fields)
        ? (preflightedRpc(rpcs, call) ?? findPreflighted(routes, call, random))
        : undefined;
    call.isPreflight = preflighted !== undefined;
    const { route, variables } = preflighted ?? findOrRefuse(generation, call, random);
    if (!route.policy.isStream) call.arm(route.policy.timeoutMs);
    return call.matched(route, variables);
  };
}

/** A caller of gRPC says how long it waits; the route's own time holds as well. */
function matchedRpc(call: Call, { route, timeoutMs }: FoundRpc): Matched {
  call.arm(Math.min(route.policy.timeoutMs, timeoutMs));
  return call.matched(route, NO_VARIABLES);
}

function preflightedRpc(rpcs: RpcTable | undefined, { path }: Call): FoundRoute<Route> | undefined {
  const route = rpcs?.routeOfPath(path);
  return route?.policy.cors === undefined ? undefined : { kind: 'route', route, variables: NO_VARIABLES };
}

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();

function findPreflighted(routes: RouteTable<Route>, call: Call, random: Random): FoundRoute<Route> | undefined {
  const { path, query, fields, host, peerAddress, callerAddress, wallMs } = call;
  const method = fieldOf(fields, 'access-control-request-method') ?? '';
  const found = routes.find({ method, path, query, fields, host, peerAddress, callerAddress, wallMs }, random);
  return found?.kind === 'route' && found.route.policy.cors !== undefined ? found : undefined;
}

function findOrRefuse({ table, rpcs }: Generation, call: Call, random: Random): FoundRoute<Route> {
  const found = table.find(call, random);
  if (found === undefined) {
    if (call.method === 'POST' && rpcs?.routeOfPath(call.path) !== undefined) throw notSpoken();
    throw new GatewayError('NO_ROUTE', `no route for ${call.method} ${call.path}`);
  }
  if (found.kind === 'route') return found;
  call.corsOf = found.route.policy.cors; // a script is to read the refusal, not a network error
  const allow = found.allow.join(', ');
  throw new GatewayError('METHOD_NOT_ALLOWED', `no route for ${call.method} ${call.path}, only for ${allow}`, {
    detail: `The path exists, but not for this method. It takes ${allow}.`,
    fields: ['Allow', allow],
  });
}
