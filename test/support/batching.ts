import type { BatchPolicy, Route, RoutePolicy, Sharing, VaryKey } from '../../gateway/domain/route.ts';
import { aBatchPolicy } from './sharing.ts';

/** What a test may say of a route that batches, and of its service. */
export interface BatchRouteTraits {
  readonly id?: string;
  readonly service?: string;
  readonly versions?: string;
  /** Undefined: it does not batch. */
  readonly batch?: BatchPolicy | undefined;
  readonly varyBy?: readonly VaryKey[];
  readonly policy?: Partial<RoutePolicy>;
  readonly waitingOf?: (callerId: string) => number;
  /** Whether an instance is idle. */
  readonly isIdle?: () => boolean;
}

/** A route that batches, of a service with one instance. */
export function aBatchRoute(traits: BatchRouteTraits = {}): Route & { readonly policy: { readonly sharing: Sharing } } {
  const { id = 'fuel', service = 'fuel', versions = '1', varyBy = [], policy, waitingOf = () => 0 } = traits;
  const batch = 'batch' in traits ? traits.batch : aBatchPolicy();
  const isIdle = traits.isIdle ?? (() => true);
  const sharing = { coalesce: false, cache: undefined, batch, varyBy, methods: new Set(['POST']) };
  const retry = {
    attempts: 1,
    attemptTimeoutMs: 30_000,
    repeatableTimeoutMs: 30_000,
    on: new Set(),
    budgetPercent: 20,
  };
  const view = () => ({
    queue: { depth: isIdle() ? 0 : 3, depthMax: 100 },
    instances: [{ state: 'in-rotation', inFlight: isIdle() ? 0 : 1 }],
  });
  return {
    ...{ id, order: 0, predicates: [], methods: undefined, paths: [], filters: [], serviceName: service },
    policy: { bodyBytesMax: 1024 * 1024, priority: 'normal', isPure: true, retry, sharing, ...policy },
    service: {
      ...{ name: service, versions, waitingOf, view },
      policy: { sharedSecret: undefined, queueWaitMsMax: 5_000 },
    },
  } as unknown as Route & { readonly policy: { readonly sharing: Sharing } }; // nothing more is looked at
}
