import type { LimitKey, RoutePolicy, RouteSpec, Sharing, ValidatePolicy, VaryKey } from '../route.ts';

/** A text without these secrets. Very short values stand everywhere by chance; hiding those would hide the explanation. */
export function masked(text: string, secrets: readonly string[]): string {
  return secrets
    .filter(secret => secret.length >= 4)
    .reduce((shown, secret) => shown.replaceAll(secret, '[redacted]'), text);
}

/** What a filter adds under a name that says it is a credential; references in it are no literals. */
const CREDENTIAL =
  /^(?:Add|Set)[A-Za-z]*=\s*[\w-]*(?:authorization|cookie|secret|token|passw|credential|(?:api|access|functions|subscription)[\w-]?key)[\w-]*\s*[,:]\s*(.+)$/i;

/** Credentials that the file itself holds: an operator who may read routes need not know them. */
export function credentialsIn({ filters }: Pick<RouteSpec, 'filters'>): string[] {
  return filters
    .flatMap(({ text }) => (CREDENTIAL.exec(text)?.[1] ?? '').split(/\$?\{[^}]*\}/))
    .map(piece => piece.trim())
    .filter(piece => piece !== '');
}

/** Its filters as they are written, but for credentials. */
export function shownFilters(route: Pick<RouteSpec, 'filters'>): string[] {
  const credentials = credentialsIn(route);
  return route.filters.map(({ text }) => masked(text, credentials));
}

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
    filters: shownFilters({ filters }),
    policy: policyView(policy),
  }));
}

/** A policy as JSON can say it. */
export function policyView({ limits, retry, cors, sharing, validate, ...policy }: RoutePolicy): unknown {
  return {
    ...policy,
    auth: policy.auth ?? null,
    limits: limits.map(({ by, ...limit }) => ({ ...limit, by: limitKeyText(by) })),
    retry: { ...retry, on: [...retry.on] },
    cors: cors === undefined ? null : { ...cors, origins: [...cors.origins] },
    sharing: sharing === undefined ? null : sharingView(sharing),
    validate: validate === undefined ? null : validateView(validate),
  };
}

function validateView({ from, ...bounds }: ValidatePolicy): unknown {
  return { ...bounds, from: typeof from === 'string' ? from : from.file };
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
