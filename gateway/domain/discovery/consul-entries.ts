import { judgeChecks } from './consul-checks.ts';
import { originOf } from './origin.ts';
import { printable } from '../printable.ts';
import type { RosterEntry } from '../roster.ts';
import { recordOf, textOf } from '../unknown-value.ts';

/** What Consul lists for one service, read entry by entry. */
export interface ConsulListing {
  readonly entries: readonly RosterEntry[];
  /** The ids of entries whose checks have not run yet: critical, but nothing is known of them. */
  readonly unproven: ReadonlySet<string>;
  /** Registrations that were skipped, or of which a part was ignored. */
  readonly malformed: readonly Malformed[];
}

/** What is wrong with a registration, in words for whoever registered it. */
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
  if (isTrue(meta['secure'])) return { instance: id, problem: 'meta secure: https is not supported yet' };

  const address = textOf(registered['Address']) || textOf(node['Address']);
  const origin = originOf(address, registered['Port']);
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
