import type { LimitKey, RoutePolicy, RouteSpec, Sharing, VaryKey } from '../route.ts';

/** A route as operators read it: `GET /api/routes`. */
export interface RouteView {
  readonly id: string;
  readonly order: number;
  readonly service: string;
  readonly predicates: readonly string[];
  readonly filters: readonly string[];
  readonly policy: unknown;
}

/** The routes in the order in which they are tried, as they were understood: every default is there. */
export function routeViews(routes: readonly RouteSpec[]): RouteView[] {
  return routes.map(({ id, order, serviceName, predicates, filters, policy }) => ({
    id,
    order,
    service: serviceName,
    predicates: predicates.map(({ text }) => text),
    filters: filters.map(({ text }) => text),
    policy: policyView(policy),
  }));
}

/** A policy as JSON can say it. */
export function policyView({ limits, retry, cors, sharing, ...policy }: RoutePolicy): unknown {
  return {
    ...policy,
    auth: policy.auth ?? null,
    limits: limits.map(({ by, ...limit }) => ({ ...limit, by: limitKeyText(by) })),
    retry: { ...retry, on: [...retry.on] },
    cors: cors === undefined ? null : { ...cors, origins: [...cors.origins] },
    sharing: sharing === undefined ? null : sharingView(sharing),
  };
}

function sharingView({ methods, varyBy, cache, batch, coalesce }: Sharing): unknown {
  return {
    methods: [...methods],
    coalesce,
    cache: cache === undefined ? null : { ...cache, methods: [...cache.methods] },
    batch: batch ?? null,
    varyBy: varyBy.map(limitKeyText),
  };
}

function limitKeyText(by: LimitKey | VaryKey): string {
  return by.kind === 'header' ? `header:${by.name}` : by.kind;
}
