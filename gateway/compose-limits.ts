import type { GatewayConfig } from './config/gateway-config.ts';
import { Limits } from './domain/admission/limits.ts';
import { PaceQueues } from './domain/admission/pace.ts';
import type { Clock } from './domain/clock.ts';
import type { Observe } from './domain/events.ts';
import type { RouteSpec } from './domain/route.ts';
import { CounterTable, createLimitCounter, LASTING_MS } from './edges/express-rate-limit.ts';
import { createSharedCounter } from './edges/rate-limit-redis.ts';
import { connectRedis, type Redis } from './edges/redis.ts';
import { openLastingCounters, type LastingCounters } from './edges/limits-file.ts';

/** The limits of routes, and what they are counted with. */
export interface ComposedLimits {
  readonly limits: Limits;
  /** How many calls wait at a pace, by route that lets calls wait. */
  readonly waiting: () => ReadonlyMap<string, number>;
  /** These routes are in force: where one has a long window, what was kept of those is read. */
  follow(routes: readonly RouteSpec[]): void;
  close(): Promise<void>;
}

interface LimitsParts {
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Puts together what counts calls. It keeps nothing before routes are in force. */
export function composeLimits({ config, clock, observe }: LimitsParts): ComposedLimits {
  const queues = new PaceQueues(clock);
  let kept: LastingCounters | undefined;
  let pacedRoutes: readonly string[] = [];
  const counter = createLimitCounter({ table: new CounterTable({ clock }), lasting: () => kept?.table });
  const redis = composeRedis({ config, clock, observe });
  const shared = redis && createSharedCounter({ redis, local: counter });
  return {
    limits: new Limits({ counter, shared, queues, observe }),
    waiting() {
      const waiting = queues.waiting();
      return new Map(pacedRoutes.map(id => [id, waiting.get(id) ?? 0]));
    },
    follow(routes) {
      const limits = routes.flatMap(({ policy }) => policy.limits);
      pacedRoutes = routes
        .filter(({ policy }) => policy.limits.some(({ pace }) => pace !== undefined))
        .map(({ id }) => id);
      if (kept === undefined && limits.some(({ perMs }) => perMs >= LASTING_MS))
        kept = openLastingCounters({ path: config.limits.file, clock, observe });
    },
    async close() {
      redis?.close();
      await kept?.close();
    },
  };
}

/** Connects at once: the first calls would be counted by none. */
function composeRedis({ config: { redis }, ...parts }: LimitsParts): Redis | undefined {
  return redis && connectRedis({ ...redis, password: redis.password?.reveal(), ...parts });
}
