import type { CompiledRoutes } from './config/compile.ts';
import { hasError, problemLine, type Problem } from './config/problem.ts';
import type { ReloadOutcome } from './domain/operating/admin.ts';
import type { Observe } from './domain/events.ts';
import type { ConfigState } from './domain/operating/life.ts';
import type { Clock } from './domain/ports.ts';
import type { Route } from './domain/route.ts';
import { createRouteTable, type RouteTable } from './domain/routing/route-table.ts';
import type { ServiceRegistry } from './domain/service/service-registry.ts';

/** The routes file as it is now; `routes` is undefined when it cannot be read. */
export interface RoutesNow {
  readonly routes: CompiledRoutes | undefined;
  readonly problems: readonly Problem[];
  /** Values that must never be shown. */
  readonly secrets: readonly string[];
}

/** Routes that can be used, with what there is to warn of. */
export type UsableRoutes = RoutesNow & { readonly routes: CompiledRoutes };

/** One immutable version of routes and services. A request keeps the one it began with. */
export interface Generation {
  readonly number: number;
  readonly routes: readonly Route[];
  readonly table: RouteTable<Route>;
  /** What it was made from. */
  readonly source: UsableRoutes;
}

/** The generations, one after the other; one is current. */
export interface Generations {
  /** The first one begins to serve: its services are looked for. */
  begin(): void;
  current(): Generation;
  state(): ConfigState;
  /** Reads the routes file and swaps the next generation in; a file with an error changes nothing and is reported. */
  reload(): ReloadOutcome;
}

interface GenerationParts {
  readonly first: UsableRoutes;
  readonly read: () => RoutesNow;
  readonly registry: ServiceRegistry;
  /** Tells the sources which services are wanted, and which addresses stand in the routes themselves. */
  readonly follow: (compiled: CompiledRoutes) => void;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** The first generation, ready to be replaced: parsed, validated and compiled whole, then swapped in one assignment. */
export function createGenerations({ first, read, registry, follow, clock, observe }: GenerationParts): Generations {
  let current = bind(first, 1);
  let loadedMs = clock.wallMs();
  let error: string | null = null;

  function bind(source: UsableRoutes, number: number): Generation {
    const { specs, services } = source.routes;
    registry.adopt(services);
    const routes = specs.map((spec): Route => ({ ...spec, service: serviceOf(spec.serviceName) }));
    return { number, routes, table: createRouteTable(routes), source };
  }

  function serviceOf(name: string): Route['service'] {
    const service = registry.find(name);
    if (service === undefined) throw new Error(`service ${name} was not adopted with its routes`);
    return service;
  }

  function serve({ number: generation, routes, source }: Generation): readonly string[] {
    follow(source.routes);
    const warnings = source.problems.map(problemLine);
    observe({ kind: 'config-loaded', generation, routes: routes.length, warnings });
    return warnings;
  }

  return {
    begin: () => void serve(current),
    current: () => current,
    state: () => ({ generation: current.number, loadedMs, error }),
    reload() {
      const { routes, problems, secrets } = read();
      if (routes === undefined || hasError(problems)) {
        const lines = problems.map(problemLine);
        error = lines.join('\n');
        observe({ kind: 'config-refused', problems: lines });
        return { kind: 'refused', generation: current.number, problems: lines };
      }
      current = bind({ routes, problems, secrets }, current.number + 1);
      loadedMs = clock.wallMs();
      error = null;
      return { kind: 'loaded', generation: current.number, warnings: serve(current) };
    },
  };
}
