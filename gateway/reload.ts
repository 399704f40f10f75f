import type { MadeRoutes } from './config/compile.ts';
import { hasError, problemLine, type Problem } from './config/problem.ts';
import type { ReloadOutcome } from './domain/operating/admin.ts';
import type { Observe } from './domain/events.ts';
import type { ConfigState } from './domain/operating/life.ts';
import type { Clock } from './domain/clock.ts';
import type { Route, RouteSpec } from './domain/route.ts';
import { createRpcTable, type RpcTable } from './domain/grpc/rpc-table.ts';
import type { Unpack } from './domain/http/content-coding.ts';
import { atOnce, routeTableSteps, type RouteTable } from './domain/routing/route-table.ts';
import type { ServiceRegistry } from './domain/service/service-registry.ts';

/** The routes file as it is now; `routes` is undefined when it cannot be read. */
export interface RoutesNow {
  readonly routes: MadeRoutes | undefined;
  readonly problems: readonly Problem[];
  /** Values that must never be shown. */
  readonly secrets: readonly string[];
  /** The files that it names, and what they held: certificates and schemas. */
  readonly texts?: ReadonlyMap<string, string>;
}

/** Routes that can be used, with what there is to warn of. */
export type UsableRoutes = RoutesNow & { readonly routes: MadeRoutes };

/** One immutable version of routes and services. A request keeps the one it began with. */
export interface Generation {
  readonly number: number;
  readonly routes: readonly Route[];
  readonly table: RouteTable<Route>;
  /** Undefined: no route has `grpc`. */
  readonly rpcs: RpcTable | undefined;
  /** What it was made from. */
  readonly source: UsableRoutes;
}

/** The generations, one after the other; one is current. */
export interface Generations {
  /** The first one begins to serve: its services are looked for. */
  begin(): void;
  readonly current: () => Generation;
  state(): ConfigState;
  /**
   * Reads the routes file and swaps the next generation in; a file with an error changes nothing and is reported. Calls
   * while one is under way share one more after it, which reads the file anew: the last save wins.
   */
  reload(): Promise<ReloadOutcome>;
}

interface GenerationParts {
  readonly first: UsableRoutes;
  /** Reads the routes file as it is now; routes that have not changed are taken from those in force. */
  readonly read: (inForce: MadeRoutes) => Promise<RoutesNow>;
  /** Takes steps a few at a time, so that calls go on in between. */
  readonly inSlices: <T>(steps: Generator<undefined, T>) => Promise<T>;
  readonly registry: ServiceRegistry;
  /** For messages that come compressed. */
  readonly unpack: Unpack;
  /** Tells the sources which services are wanted, and which addresses stand in the routes themselves. */
  readonly follow: (compiled: MadeRoutes) => void;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** The first generation, ready to be replaced: parsed, validated and compiled whole, then swapped in one assignment. */
export function createGenerations(parts: GenerationParts): Generations {
  const { first, read, inSlices, registry, unpack, follow, clock, observe } = parts;
  let current = bindFirst(first);
  let loadedMs = clock.wallMs();
  let error: string | null = null;

  function bindFirst(source: UsableRoutes): Generation {
    registry.adopt(source.routes.services);
    const { routes, table } = atOnce(boundSteps(source.routes, registry));
    return { number: 1, routes, table, rpcs: createRpcTable(routes, unpack), source };
  }

  function serve({ number: generation, routes, source }: Generation): readonly string[] {
    follow(source.routes);
    const warnings = source.problems.map(problemLine);
    observe({ kind: 'config-loaded', generation, routes: routes.length, warnings });
    return warnings;
  }

  function refuse(lines: readonly string[]): ReloadOutcome {
    error = lines.join('\n');
    observe({ kind: 'config-refused', problems: lines });
    return { kind: 'refused', generation: current.number, problems: lines };
  }

  async function load(): Promise<ReloadOutcome> {
    const now = await read(current.source.routes);
    const { routes: made, problems } = now;
    if (made === undefined || hasError(problems)) return refuse(problems.map(problemLine));
    const source = { ...now, routes: made };
    registry.adopt(made.services);
    const { routes, table } = await inSlices(boundSteps(made, registry, current));
    current = { number: current.number + 1, routes, table, rpcs: createRpcTable(routes, unpack), source };
    loadedMs = clock.wallMs();
    error = null;
    return { kind: 'loaded', generation: current.number, warnings: serve(current) };
  }

  /** Whatever goes wrong, the operator is told that the file is not in force. */
  const reload = oneByOne(() =>
    load().catch((cause: unknown) => refuse([`the routes file could not be loaded: ${toText(cause)}`])),
  );
  return {
    begin: () => void serve(current),
    current: () => current,
    state: () => ({ generation: current.number, loadedMs, error }),
    reload,
  };
}

/**
 * The routes of a generation with their services, and their table, step by step. Those of the one in force that have not
 * changed are taken as they are: ten thousand new ones take a while.
 */
function* boundSteps(
  { specs }: MadeRoutes,
  registry: ServiceRegistry,
  inForce?: Generation,
): Generator<undefined, Pick<Generation, 'routes' | 'table'>> {
  const known = new Map<RouteSpec, Route>();
  for (const [i, route] of inForce?.routes.entries() ?? []) {
    const spec = inForce?.source.routes.specs[i];
    if (spec !== undefined) known.set(spec, route);
    yield;
  }
  const routes: Route[] = [];
  for (const spec of specs) {
    const service = registry.find(spec.serviceName);
    if (service === undefined) throw new Error(`service ${spec.serviceName} was not adopted with its routes`);
    const unchanged = known.get(spec);
    routes.push(unchanged?.service === service ? unchanged : { ...spec, service });
    yield;
  }
  return { routes, table: yield* routeTableSteps(routes) };
}

/** Runs one at a time; all calls made while one runs share the one after it. */
function oneByOne<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const begin = () =>
    run().finally(() => {
      running = next;
      next = undefined;
    });
  return () => {
    if (running === undefined) return (running = begin());
    next ??= running.then(begin);
    return next;
  };
}

function toText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
