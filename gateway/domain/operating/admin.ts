import type { AuditedChange } from './audit.ts';
import type { LogLevel } from './log-line.ts';
import type { Readiness } from './life.ts';
import type { ServiceView } from '../service.ts';
import { withinRanges } from '../http/address-range.ts';

/** What the admin listener shows, part by part. */
export type AdminPart = 'livez' | 'readyz' | 'metrics' | 'api';

/** A viewer reads; an operator changes as well; an auditor reads, and the audit trail with it. */
export type AdminRole = 'viewer' | 'operator' | 'auditor';

/** One who may use the admin listener; the token itself is kept nowhere. */
export interface AdminToken {
  readonly name: string;
  /** Of the token, in hexadecimal. */
  readonly sha256: string;
  readonly role: AdminRole;
}

/** Who may see and do what where the admin listener is reachable from elsewhere. */
export interface AdminAccess {
  /** Parts that ask for no token. */
  readonly open: readonly AdminPart[];
  readonly tokens: readonly AdminToken[];
}

/** What can be done to an instance by hand. */
export const ORDERS = ['eject', 'readmit', 'drain'] as const;

export type Order = (typeof ORDERS)[number];

/** A request as `explain` is asked about it. */
export interface ExplainInput {
  readonly method: string;
  /** A path with its query, or a URL in full. */
  readonly url: string;
  /** Name, value, name, value, … */
  readonly fields: readonly string[];
  readonly body: string;
}

/** How a reload went. */
export type ReloadOutcome =
  | { readonly kind: 'loaded'; readonly generation: number; readonly warnings: readonly string[] }
  | { readonly kind: 'refused'; readonly generation: number; readonly problems: readonly string[] };

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
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

/** What is asked of the admin listener. */
interface AdminRequest {
  readonly isChange: boolean;
  /** It reads the audit trail. */
  readonly isAudit: boolean;
}

/** True when a caller with this role (undefined: no token) may do it. */
export function isPermitted(role: AdminRole | undefined, { isChange, isAudit }: AdminRequest): boolean {
  if (isAudit) return role === 'auditor';
  return role === 'operator' || (role !== undefined && !isChange);
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
