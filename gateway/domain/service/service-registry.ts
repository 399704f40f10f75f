import type { Clock } from '../clock.ts';
import { mergeRosters, type Roster, type SourceName } from '../roster.ts';
import type { Peers } from './peers.ts';
import type { ServicePolicy, ManagedService } from '../service.ts';

/** The services of the current generation, each with what the sources know of it. */
export interface ServiceRegistry {
  /** Those of the current generation. */
  services(): readonly ManagedService[];
  find(name: string): ManagedService | undefined;
  /** A generation begins: survivors take their new policy, newcomers start, the others retire; an equal one changes nothing. */
  adopt(policies: ReadonlyMap<string, ServicePolicy>): void;
  /** A source tells what it lists now. */
  onRoster(roster: Roster): void;
  /** The gateways before the same instances are these from now on. */
  meet(peers: Peers): void;
  /** As met last. */
  readonly peers: Peers;
  close(): void;
}

interface ServiceRegistryParts {
  readonly create: (name: string, policy: ServicePolicy) => ManagedService;
  /** How long requests of an older generation may still need a service that left. */
  readonly retireAfterMs: () => number;
  readonly clock: Clock;
}

/** Which source is believed when two list the same address: first the one that knows most of its health. */
const BY_KNOWLEDGE: readonly SourceName[] = ['consul', 'local', 'static'];

interface Retired {
  readonly service: ManagedService;
  readonly cancel: () => void;
}

/**
 * Keeps services by name through reloads, so that what was learned of them and the calls that wait for them stay.
 *
 * One that leaves the configuration goes on until the last request that could know it has ended; one that comes back
 * before is the same.
 */
export function createServiceRegistry(parts: ServiceRegistryParts): ServiceRegistry {
  const { create, retireAfterMs, clock } = parts;
  const current = new Map<string, ManagedService>();
  const retired = new Map<string, Retired>();
  const rosters = new Map<SourceName, Roster>();
  let peers: Peers = { self: '', gateways: [] };

  function take([name, policy]: readonly [string, ServicePolicy]): [string, ManagedService] {
    const known = current.get(name) ?? retired.get(name)?.service;
    retired.get(name)?.cancel();
    retired.delete(name);
    known?.adopt(policy);
    return [name, known ?? create(name, policy)];
  }

  function retire(name: string, service: ManagedService): void {
    const cancel = clock.after(retireAfterMs(), () => {
      retired.delete(name);
      service.close();
    });
    retired.set(name, { service, cancel });
  }

  function reconcile(services: Iterable<readonly [string, ManagedService]>): void {
    const merged = mergeRosters(BY_KNOWLEDGE.flatMap(source => rosters.get(source) ?? []));
    for (const [name, service] of services) service.reconcile(merged.get(name) ?? []);
  }

  return {
    services: () => [...current.values()],
    find: name => current.get(name),
    adopt(policies) {
      for (const [name, service] of current) {
        if (policies.has(name)) continue;
        current.delete(name);
        retire(name, service);
      }
      const changed = new Map([...policies].filter(([name, policy]) => current.get(name)?.policy !== policy).map(take));
      for (const [name, service] of changed) {
        current.set(name, service);
        service.meet(peers);
      }
      reconcile(changed);
    },
    onRoster(roster) {
      rosters.set(roster.source, roster);
      reconcile(current);
    },
    meet(met) {
      peers = met;
      for (const service of current.values()) service.meet(peers);
    },
    get peers() {
      return peers;
    },
    close() {
      for (const { cancel } of retired.values()) cancel();
      for (const { service } of retired.values()) service.close();
      for (const service of current.values()) service.close();
      retired.clear();
      current.clear();
    },
  };
}
