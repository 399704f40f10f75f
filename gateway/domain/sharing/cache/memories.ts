import type { Clock, CreateAnswerStore } from '../../ports.ts';
import type { CachePolicy, RouteSpec } from '../../route.ts';
import { createMemory, type Memory } from './memory.ts';

/** What the routes remember, route by route. */
export interface Memories {
  /** A generation begins: routes that mean the same go on with what they remember, of the others all is forgotten. */
  adopt(routes: readonly RouteSpec[]): void;
  /** Of a route that has a cache. */
  of(route: RouteSpec, policy: CachePolicy): Memory;
  /** Forgets what a route remembers, and says how many answers went. */
  purge(routeId: string): number;
  /** Something wrote to a target of a service: routes that follow RFC 9111 forget what it answered (§4.4). */
  written(serviceName: string, target: string): void;
  /** True where somebody wants to be told of writes to this service. */
  isWriteOfUse(serviceName: string): boolean;
}

interface MemoriesParts {
  readonly createStore: CreateAnswerStore;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/** What a living route remembers, from the first time it is asked. */
interface Holding {
  readonly meaning: string;
  memory: Memory | undefined;
}

/**
 * Memories live by the route's id, and as long as its service, its filters and what it shares stay as they are.
 *
 * A request keeps the generation it began with: where its route has changed meanwhile, it has a memory that ends with
 * its generation, so that nothing old gets into what is new.
 */
export function createMemories({ createStore, clock }: MemoriesParts): Memories {
  let living = new Map<string, Holding>();
  let following = new Map<string, readonly Holding[]>();
  const byRoute = new WeakMap<RouteSpec, Memory>();

  function find(route: RouteSpec, policy: CachePolicy): Memory {
    const holding = living.get(route.id);
    if (holding?.meaning !== meaningOf(route)) return createMemory(policy, createStore);
    return (holding.memory ??= createMemory(policy, createStore));
  }

  return {
    adopt(routes) {
      const cached = routes.filter(({ policy }) => policy.sharing?.cache !== undefined);
      const next = cached.map((route): [RouteSpec, Holding] => {
        const meaning = meaningOf(route);
        const known = living.get(route.id);
        return [route, known?.meaning === meaning ? known : { meaning, memory: undefined }];
      });
      living = new Map(next.map(([{ id }, holding]) => [id, holding]));
      following = new Map();
      for (const [{ serviceName, policy }, holding] of next) {
        if (policy.sharing?.cache?.ttlMs !== 'http') continue;
        following.set(serviceName, [...(following.get(serviceName) ?? []), holding]);
      }
    },
    of(route, policy) {
      const known = byRoute.get(route);
      if (known !== undefined) return known;
      const memory = find(route, policy);
      byRoute.set(route, memory);
      return memory;
    },
    purge: routeId => living.get(routeId)?.memory?.purge(clock.nowMs()) ?? 0,
    written(serviceName, target) {
      for (const { memory } of following.get(serviceName) ?? []) memory?.written(target, clock.nowMs());
    },
    isWriteOfUse: serviceName => following.has(serviceName),
  };
}

/** Equal for routes of which one may give what the other remembers. */
function meaningOf({ serviceName, filters, policy }: RouteSpec): string {
  return JSON.stringify([serviceName, filters.map(({ text }) => text), policy.sharing], (_, value: unknown) =>
    value instanceof Set ? [...(value as ReadonlySet<unknown>)] : value,
  );
}
