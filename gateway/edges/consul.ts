import type { Observe } from '../domain/events.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { Roster, RosterEntry, RosterSource } from '../domain/roster.ts';
import { ConsulService } from './consul-service.ts';
import type { ConsulAddress } from './consul-client.ts';
import { CONSUL_PACE, type ConsulPace } from './consul-watch.ts';
import { createRosterSnapshot, type RosterSnapshot } from './roster-snapshot.ts';

/** `discovery.consul`, as far as it is about finding instances. */
export interface ConsulSourceConfig extends ConsulAddress {
  /** Only instances with this tag. */
  readonly tag: string | undefined;
  /** Where the last good roster is kept; undefined keeps none. */
  readonly snapshotPath: string | undefined;
  /** How long an empty list after an outage is doubted. */
  readonly emptyHoldMs: number;
}

interface ConsulSourceOptions {
  readonly config: ConsulSourceConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly onRoster: (roster: Roster) => void;
  readonly pace?: ConsulPace;
}

type Followed = ReadonlyMap<string, ConsulService>;

/** So long Consul may take for its first answer before the snapshot stands in for it. */
const SNAPSHOT_GRACE_MS = 1_000;

/**
 * The instances Consul lists. While Consul is away, or comes back with an empty list, the last roster stands; a gateway
 * that starts meanwhile serves from the snapshot.
 */
export function createConsulSource(options: ConsulSourceOptions): RosterSource {
  const { clock, observe, onRoster, pace = CONSUL_PACE } = options;
  const followed = new Map<string, ConsulService>();
  const file = openSnapshot(options);
  let snapshot = file?.read() ?? null;
  let isKnown = false;
  let isLost = false;
  let published: string | undefined;
  const cancelGrace = clock.after(SNAPSHOT_GRACE_MS, () => onNews(false));

  /** Fills gaps from the snapshot, unless Consul just spoke, and emits what changed. */
  function onNews(isAnswered: boolean): void {
    if (!isAnswered) recall(followed, snapshot);
    else if (areAllUpdated(followed)) snapshot = null; // What is newer is known of all.

    const problem = problemOf(followed);
    if (problem !== undefined && !isLost) observe({ kind: 'source-lost', source: 'consul', problem });
    if (problem === undefined && isLost) observe({ kind: 'source-back', source: 'consul' });
    isLost = problem !== undefined;
    publish(isAnswered);
  }

  function publish(isAnswered: boolean): void {
    const services = servicesOf(followed);
    const updatedMs = updatedMsOf(followed) ?? clock.wallMs();
    isKnown ||= services.size === followed.size;
    if (isAnswered && file !== undefined) save(file, services);

    const text = JSON.stringify([...services]);
    if (text === published) return; // A return of a blocking query need not be a change.
    published = text;
    onRoster({ source: 'consul', services, updatedMs });
  }

  /** What is known of services of which Consul has not spoken since the start is kept: it may not speak for long. */
  function save(to: RosterSnapshot, services: Roster['services']): void {
    const updatedMs = updatedMsOf(followed);
    if (updatedMs === undefined) return;
    const earlier = [...(snapshot?.services ?? [])].filter(([service]) => followed.has(service));
    const oldestMs = Math.min(updatedMs, snapshot?.updatedMs ?? updatedMs);
    to.save({ services: new Map([...earlier, ...services]), updatedMs: oldestMs });
  }

  return {
    name: 'consul',
    follow(services) {
      for (const [service, state] of followed) {
        if (services.has(service)) continue;
        state.close();
        followed.delete(service);
      }
      for (const service of services) {
        if (!followed.has(service)) followed.set(service, new ConsulService({ ...options, pace, service, onNews }));
      }
      onNews(true);
    },
    age() {
      const updatedMs = updatedMsOf(followed) ?? clock.wallMs();
      const ageSeconds = Math.max(0, Math.round((clock.wallMs() - updatedMs) / 1000));
      return { source: 'consul', ageSeconds, isStale: isLost, isKnown };
    },
    async close() {
      cancelGrace();
      for (const state of followed.values()) state.close();
      await file?.close();
    },
  };
}

function openSnapshot({ config, clock, observe }: ConsulSourceOptions): RosterSnapshot | undefined {
  if (config.snapshotPath === undefined) return undefined;
  const from = { address: config.address, datacenter: config.datacenter ?? '', tag: config.tag ?? '' };
  return createRosterSnapshot({ path: config.snapshotPath, from, clock, observe });
}

function recall(followed: Followed, snapshot: ReturnType<RosterSnapshot['read']>): void {
  if (snapshot === null) return;
  for (const [service, state] of followed) {
    const entries = snapshot.services.get(service);
    if (entries !== undefined) state.recall(entries, snapshot.updatedMs);
  }
}

function areAllUpdated(followed: Followed): boolean {
  return (
    followed.size > 0 &&
    [...followed.values()].every(state => state.updatedMs !== undefined && state.problem === undefined)
  );
}

function problemOf(followed: Followed): string | undefined {
  return [...followed.values()].find(state => state.problem !== undefined)?.problem;
}

function servicesOf(followed: Followed): ReadonlyMap<string, readonly RosterEntry[]> {
  const services = new Map<string, readonly RosterEntry[]>();
  for (const [service, { entries }] of followed) {
    if (entries !== undefined) services.set(service, entries);
  }
  return services;
}

/** Of several services, the one whose last answer is the oldest. */
function updatedMsOf(followed: Followed): number | undefined {
  const updated = [...followed.values()].map(state => state.updatedMs).filter(ms => ms !== undefined);
  return updated.length === 0 ? undefined : Math.min(...updated);
}
