import type { AuditedChange } from './audit.ts';
import type { LogLevel } from './log-line.ts';
import type { Readiness } from './life.ts';
import type { ServiceView } from '../service.ts';
import { withinRanges } from '../http/address-range.ts';
import type { LimitKey, RoutePolicy, RouteSpec, Sharing, ValidatePolicy, VaryKey } from '../route.ts';

/** What the admin listener shows, part by part. */
export type AdminPart = 'livez' | 'readyz' | 'metrics' | 'api';

/**
 * A viewer looks; a scientist looks, and purges and rechecks the services named for them; an operator does everything but
 * read the audit trail; an auditor looks, and reads the audit trail.
 */
export const ADMIN_ROLES = ['viewer', 'scientist', 'operator', 'auditor'] as const;

/** What an operator is let do. */
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** A token that opens the admin listener, by its digest: the token itself is kept nowhere. */
export interface AdminToken {
  readonly name: string;
  /** Of the token, in hexadecimal. */
  readonly sha256: string;
  readonly role: AdminRole;
  /** Of a scientist. */
  readonly services: readonly string[];
}

/** Who may see and do what where the admin listener is reachable from elsewhere. */
export interface AdminAccess {
  /** Parts that ask for no token. */
  readonly open: readonly AdminPart[];
  readonly tokens: readonly AdminToken[];
  /** Which roles of an identity give each role here. */
  readonly roles: Readonly<Record<AdminRole, readonly string[]>>;
  /** By role of an identity: the services of such a scientist. */
  readonly services: Readonly<Record<string, readonly string[]>>;
}

/** What a caller may do on the admin listener. */
export interface AdminRights {
  readonly roles: readonly AdminRole[];
  /** What a scientist may purge and recheck. */
  readonly services: readonly string[];
}

/** What can be done to an instance by hand. */
export const ORDERS = ['eject', 'readmit', 'drain'] as const;

/** What an operator asks of an instance. */
export type Order = (typeof ORDERS)[number];

/** A request as `explain` is asked about it. */
export interface ExplainInput {
  readonly method: string;
  /** A path with its query, or a URL in full. */
  readonly url: string;
  /** Name, value, name, value, … */
  readonly fields: readonly string[];
  readonly body: string;
  /** Where it comes from; undefined: this machine. */
  readonly address?: string | undefined;
}

/** How a reload went. */
export type ReloadOutcome =
  | { readonly kind: 'loaded'; readonly generation: number; readonly warnings: readonly string[] }
  | { readonly kind: 'refused'; readonly generation: number; readonly problems: readonly string[] };

/** What is found out anew of a service, by the number of paths it was known of. */
export interface Rechecked {
  /** Whether rows may travel together. */
  readonly batching: number;
  /** What the service says it takes. */
  readonly validation: number;
}

/** Everything the admin listener asks of the gateway. */
export interface Admin {
  readiness(): Readiness;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** The routes in the order they are tried, as operators read them. */
  routes(): unknown;
  services(): readonly ServiceView[];
  /** The configuration in use, secrets redacted. */
  config(): unknown;
  reload(who: Pick<AuditedChange, 'by' | 'from'>): Promise<ReloadOutcome>;
  /** A change was made by hand: it stands in the audit trail, where there is one. */
  changed(change: Omit<AuditedChange, 'kind'>): void;
  /** Lines of the audit trail from this number on; undefined: there is none. */
  auditLines(fromSeq: number, linesMax: number): Promise<readonly string[]> | undefined;
  explain(input: ExplainInput): Promise<unknown>;
  /** Empties a route’s cache, and says how many entries went. */
  purge(route: string): number | 'no-route' | 'no-cache';
  command(service: string, instance: string, order: Order): 'done' | 'no-service' | 'no-instance';
  /** Finds out anew what was found out of a service’s model, and says how much that is. */
  recheck(service: string): Rechecked | 'no-service';
  /** Undefined: there is no such route. */
  serviceOf(route: string): string | undefined;
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

/** What is asked of the admin listener. */
export type AdminRequest =
  | { readonly kind: 'look' | 'audit' | 'change' }
  /** What a scientist may do to some services; undefined: the service is not known. */
  | { readonly kind: 'tend'; readonly service: string | undefined };

/** True for what these rights allow. */
export function isPermitted({ roles, services }: AdminRights, request: AdminRequest): boolean {
  if (request.kind === 'audit') return roles.includes('auditor');
  if (request.kind === 'look') return roles.length > 0;
  if (roles.includes('operator')) return true;
  return request.kind === 'tend' && request.service !== undefined && services.includes(request.service);
}

/** What the roles of an identity allow here. */
export function rightsOf(held: readonly string[], { roles, services }: AdminAccess): AdminRights {
  const given = ADMIN_ROLES.filter(role => roles[role].some(name => held.includes(name)));
  const scientist = roles.scientist.filter(name => held.includes(name));
  return { roles: given, services: scientist.flatMap(name => services[name] ?? []) };
}

/** The part a path belongs to; undefined: none. */
export function partOf(path: string): AdminPart | undefined {
  if (path === '/livez' || path === '/readyz' || path === '/metrics') return path.slice(1) as AdminPart;
  return path.startsWith('/api/') ? 'api' : undefined;
}

const isLoopbackAddress = withinRanges(['127.0.0.0/8', '::1']);

/** True for a host to listen on that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

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
interface RouteView {
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
