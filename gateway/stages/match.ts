import { isPreflight } from '../domain/http/cors.ts';
import { GatewayError } from '../domain/errors.ts';
import { learn, type Received, type Stages } from '../domain/exchange.ts';
import { fieldOf } from '../domain/http/fields.ts';
import type { Clock } from '../domain/ports.ts';
import type { Asked, Route } from '../domain/route.ts';
import type { FoundRoute, RouteTable } from '../domain/routing/route-table.ts';

interface MatchPorts {
  /** The table of the current generation. */
  readonly table: () => RouteTable<Route>;
  readonly clock: Clock;
}

/**
 * Finds the route, and arms the deadline with its timeout; a stream has none.
 *
 * A browser's preflight is matched by the method it asks for: it is the route of the request to come that says whether
 * it may. Where that route has no `cors`, the preflight is an OPTIONS request like any other.
 */
export function createMatch({ table, clock }: MatchPorts): Stages['match'] {
  return function match(received) {
    const routes = table();
    const asked = { ...askedOf(received), wallMs: clock.wallMs() };
    const preflighted = isPreflight(received.method, received.rawHeaders) ? findPreflighted(routes, asked) : undefined;
    const { route, variables } = preflighted ?? findOrRefuse(routes, asked);
    if (!route.policy.isStream) received.deadline.arm(route.policy.timeoutMs);
    return learn(received, { route, variables, isPreflight: preflighted !== undefined });
  };
}

function askedOf({ method, path, query, rawHeaders, host, peerAddress }: Received): Omit<Asked, 'wallMs'> {
  return { method, path, query, rawHeaders, host, peerAddress };
}

function findPreflighted(routes: RouteTable<Route>, asked: Asked): FoundRoute<Route> | undefined {
  const method = fieldOf(asked.rawHeaders, 'access-control-request-method') ?? '';
  const found = routes.find({ ...asked, method });
  return found?.kind === 'route' && found.route.policy.cors !== undefined ? found : undefined;
}

function findOrRefuse(routes: RouteTable<Route>, asked: Asked): FoundRoute<Route> {
  const found = routes.find(asked);
  if (found === undefined) throw new GatewayError('NO_ROUTE', `no route for ${asked.method} ${asked.path}`);
  if (found.kind === 'route') return found;
  const allow = found.allow.join(', ');
  throw new GatewayError('METHOD_NOT_ALLOWED', `no route for ${asked.method} ${asked.path}, only for ${allow}`, {
    detail: `The path exists, but not for this method. It takes ${allow}.`,
    fields: ['Allow', allow],
  });
}
