import { printable } from '../printable.ts';
import type { RosterEntry, Health } from '../roster.ts';
import { recordOf, textOf, isRecord } from '../unknown-value.ts';

/** What Consul lists for one service, read entry by entry. */
export interface ConsulListing {
  readonly entries: readonly RosterEntry[];
  /** The ids of entries whose checks have not run yet: critical, but nothing is known of them. */
  readonly unproven: ReadonlySet<string>;
  /** Registrations that were skipped, or of which a part was ignored. */
  readonly malformed: readonly Malformed[];
}

/** What is wrong with a registration, in words for the operator who registered it. */
export interface Malformed {
  readonly instance: string;
  readonly problem: string;
}

interface Registration {
  readonly entry: RosterEntry;
  readonly isUnproven: boolean;
  readonly node: string;
  readonly createIndex: number;
  readonly remarks: readonly string[];
}

const ID_CHARS_MAX = 256;
const META_CHARS_MAX = 128;
const CONCURRENCY_MAX = 1024;
const INSTANCES_MAX = 10_000;
const NO_LISTING: ConsulListing = { entries: [], unproven: new Set(), malformed: [] };

/** Reads the answer of `health/service`: each registration by itself, so that a malformed one costs only itself. */
export function readConsulListing(body: readonly unknown[]): ConsulListing {
  if (body.length === 0) return NO_LISTING;
  const malformed: Malformed[] = [];
  const registrations: Registration[] = [];
  for (const raw of body.slice(0, INSTANCES_MAX)) {
    const read = readRegistration(raw);
    if ('problem' in read) malformed.push(read);
    else registrations.push(read);
  }
  if (body.length > INSTANCES_MAX) {
    malformed.push({ instance: '*', problem: `only the first ${INSTANCES_MAX} of ${body.length} are used` });
  }

  const kept = withoutDoubles(registrations, malformed);
  for (const { entry, remarks } of kept) {
    for (const problem of remarks) malformed.push({ instance: entry.id, problem });
  }
  return {
    entries: kept.map(({ entry }) => entry),
    unproven: new Set(kept.filter(({ isUnproven }) => isUnproven).map(({ entry }) => entry.id)),
    malformed,
  };
}

function readRegistration(raw: unknown): Registration | Malformed {
  const [registered, node] = [recordOf(recordOf(raw)['Service']), recordOf(recordOf(raw)['Node'])];
  const meta = recordOf(registered['Meta']);
  const id = textOf(registered['ID']);
  const idProblem = problemOfId(id);
  if (idProblem !== undefined) return { instance: printable(id, 64) || '(no id)', problem: idProblem };

  const address = textOf(registered['Address']) || textOf(node['Address']);
  const origin = originOf(address, registered['Port'], schemeOf(meta));
  if ('problem' in origin) return { instance: id, problem: origin.problem };

  const [concurrency, concurrencyRemark] = readConcurrency(meta['concurrency']);
  const [version, versionRemark] = readMetaText('version', meta['version']);
  const [model, modelRemark] = readMetaText('model', meta['model']);
  const judged = weighed(judgeChecks(recordOf(raw)['Checks']), recordOf(registered['Weights']));
  return {
    entry: { id, ...origin, source: 'consul', ...judged.facts, version, model, concurrency },
    isUnproven: judged.isUnproven,
    node: textOf(node['Node']),
    createIndex: Number(registered['CreateIndex']) || 0,
    remarks: [concurrencyRemark, versionRemark, modelRemark].filter(remark => remark !== undefined),
  };
}

/** Consul's weight for the health; where that is 0, Consul means "no traffic". */
function weighed(verdict: ReturnType<typeof judgeChecks>, weights: Record<string, unknown>) {
  const { health, note, isUnproven } = verdict;
  const weight = Number(weights[health === 'warning' ? 'Warning' : 'Passing'] ?? 1);
  if (Number.isFinite(weight) && weight > 0) return { facts: { health, healthNote: note, weight }, isUnproven };
  if (health !== 'warning') return { facts: { health, healthNote: note, weight: 1 }, isUnproven };
  const healthNote = `weight 0 while warning; ${note ?? ''}`;
  return { facts: { health: 'critical', healthNote, weight: 1 } as const, isUnproven: false };
}

function problemOfId(id: string): string | undefined {
  if (id === '') return 'its id is empty';
  if (id.length > ID_CHARS_MAX) return `its id is longer than ${ID_CHARS_MAX} characters`;
  if (id !== printable(id, ID_CHARS_MAX)) return 'its id contains control characters';
  return undefined;
}

type Read<T> = readonly [value: T, remark: string | undefined];

function readConcurrency(value: unknown): Read<number | undefined> {
  if (value === undefined) return [undefined, undefined];
  const text = textOf(value);
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= CONCURRENCY_MAX) return [count, undefined];
  const shown = printable(text, 32);
  return [undefined, `meta concurrency '${shown}' is no whole number from 1 to ${CONCURRENCY_MAX}: it is ignored`];
}

function readMetaText(name: string, value: unknown): Read<string | null> {
  const text = textOf(value);
  if (text === '') return [null, undefined];
  if (text.length <= META_CHARS_MAX && text === printable(text, META_CHARS_MAX)) return [text, undefined];
  return [null, `meta ${name} is longer than ${META_CHARS_MAX} or contains control characters: it is ignored`];
}

/** How an instance is spoken to. */
type Scheme = 'http' | 'https' | 'rserve' | 'rserves' | 'grpc' | 'grpcs';

function schemeOf(meta: Record<string, unknown>): Scheme {
  const protocol = textOf(meta['protocol']).toLowerCase();
  const scheme = protocol === 'rserve' || protocol === 'grpc' ? protocol : 'http';
  return isTrue(meta['secure']) ? `${scheme}s` : scheme;
}

function isTrue(value: unknown): boolean {
  return textOf(value).toLowerCase() === 'true';
}

/**
 * One entry an id, and one an address. An id is Consul's only on its own node: the eldest keeps it as it is, the others
 * are told apart by their node's name. Two registrations of one address are one R, registered twice (again after a
 * crash, say): the healthier stands, then the elder.
 */
function withoutDoubles(registrations: readonly Registration[], malformed: Malformed[]): Registration[] {
  const byAge = [...registrations].sort((a, b) => a.createIndex - b.createIndex || (a.node < b.node ? -1 : 1));
  const byOrigin = new Map<string, Registration>();
  const ids = new Set<string>();
  for (const registration of byAge) {
    const named = withOwnId(registration, ids);
    if (named === undefined) {
      malformed.push({ instance: registration.entry.id, problem: 'its id is registered twice on its node' });
      continue;
    }
    const rival = byOrigin.get(named.entry.origin);
    const [stays, goes] = rival === undefined || isHealthier(named, rival) ? [named, rival] : [rival, named];
    byOrigin.set(stays.entry.origin, stays);
    if (goes !== undefined) {
      malformed.push({ instance: goes.entry.id, problem: `its address is that of '${stays.entry.id}'` });
    }
  }
  return [...byOrigin.values()];
}

function withOwnId(registration: Registration, ids: Set<string>): Registration | undefined {
  const { entry, node } = registration;
  const id = [entry.id, `${entry.id}@${node}`].find(candidate => !ids.has(candidate));
  if (id === undefined) return undefined;
  ids.add(id);
  return id === entry.id ? registration : { ...registration, entry: { ...entry, id } };
}

const RANK = { passing: 0, warning: 1, maintenance: 2, critical: 3 } as const;

function isHealthier(a: Registration, b: Registration): boolean {
  return RANK[a.entry.health] < RANK[b.entry.health];
}

const NOTE_CHARS_MAX = 200;

/** What Consul's checks say of an instance, together. */
export interface ConsulVerdict {
  readonly health: Health;
  /** The failing check's name and output; null where none fails. */
  readonly note: string | null;
  /** It is critical only because checks have not run yet: nothing is known of it. */
  readonly isUnproven: boolean;
}

/**
 * The health of an instance by the checks of its node and its own: maintenance drains it, any critical check takes it
 * out, a warning is told.
 */
function judgeChecks(checks: unknown): ConsulVerdict {
  const list = Array.isArray(checks) ? checks.filter(isRecord) : [];
  const critical = list.filter(check => check['Status'] === 'critical' || !isStatus(check['Status']));
  const maintenance = critical.find(isMaintenance);
  if (maintenance !== undefined) return verdict('maintenance', maintenance);

  const proven = critical.find(check => textOf(check['Output']) !== '');
  if (proven !== undefined) return verdict('critical', proven);
  const [unproven] = critical;
  if (unproven !== undefined) return { ...verdict('critical', unproven), isUnproven: true };

  const warning = list.find(check => check['Status'] === 'warning');
  if (warning !== undefined) return verdict('warning', warning);
  return { health: 'passing', note: null, isUnproven: false };
}

function isStatus(status: unknown): boolean {
  return status === 'passing' || status === 'warning' || status === 'critical';
}

function isMaintenance(check: Record<string, unknown>): boolean {
  const id = textOf(check['CheckID']);
  return id === '_node_maintenance' || id.startsWith('_service_maintenance:');
}

function verdict(health: Health, check: Record<string, unknown>): ConsulVerdict {
  const name = textOf(check['Name']) || textOf(check['CheckID']) || 'unnamed check';
  // Maintenance has no output; its reason stands in the notes.
  const said = textOf(check['Output']) || textOf(check['Notes']) || 'has not run yet';
  return { health, note: printable(`${name}: ${said.trim()}`, NOTE_CHARS_MAX), isUnproven: false };
}

/** Scheme, host and port as one text, or why that cannot be. */
export type Origin = { readonly origin: string } | { readonly problem: string };

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;
const IPV6 = /^[0-9a-f:.]{2,45}(%[a-z0-9]{1,16})?$/i;
const UNSPECIFIED = new Set(['0.0.0.0', '::', '::0', '0:0:0:0:0:0:0:0']);

/** The origin of a server by its address (a name, IPv4 or IPv6) and port, as a registry tells them. */
export function originOf(address: string, port: unknown, scheme: Scheme = 'http'): Origin {
  if (!isPort(port)) return { problem: `its port is ${printable(String(port), 16)}, not a number from 1 to 65535` };
  if (address === '') return { problem: 'it has no address' };
  if (UNSPECIFIED.has(address)) return { problem: `its address ${address} means "here", not where it is` };
  const isIpv6 = address.includes(':');
  if (!(isIpv6 ? isIpv6Address(address) : HOST_NAME.test(address) && isNoBrokenIpv4(address))) {
    return { problem: `its address '${printable(address, 64)}' is no host` };
  }
  return { origin: `${scheme}://${isIpv6 ? `[${address}]` : address}:${port}` };
}

function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function isIpv6Address(address: string): boolean {
  return IPV6.test(address) && URL.canParse(`http://[${address.split('%', 1)[0] ?? ''}]/`);
}

/** What consists of numbers and dots alone is an IPv4 address, or a mistake. */
function isNoBrokenIpv4(address: string): boolean {
  if (!/^[\d.]+$/.test(address)) return true;
  const parts = address.split('.');
  return parts.length === 4 && parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}
