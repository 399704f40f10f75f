import type { Clock } from '../ports.ts';
import { mergeRosters } from '../discovery/roster-merge.ts';
import type { Roster, SourceName } from '../roster.ts';
import type { Peers } from './preferences.ts';
import type { ServicePolicy } from './service-policy.ts';
import type { LivingService } from '../service.ts';

/** The services of the current generation, each with what the sources know of it. */
export interface ServiceRegistry {
  /** Those of the current generation. */
  living(): readonly LivingService[];
  find(name: string): LivingService | undefined;
  /** A generation begins: survivors take their new policy, newcomers start, the others retire. */
  adopt(policies: ReadonlyMap<string, ServicePolicy>): void;
  /** A source tells what it lists now. */
  heard(roster: Roster): void;
  /** The gateways before the same instances are these from now on. */
  meet(peers: Peers): void;
  /** As met last. */
  readonly peers: Peers;
  close(): void;
}

interface ServiceRegistryParts {
  readonly create: (name: string, policy: ServicePolicy) => LivingService;
  /** How long requests of an older generation may still need a service that left. */
  readonly retireAfterMs: () => number;
  readonly clock: Clock;
}

/** The order in which sources are believed when two list the same address: who knows most of its health comes first. */
const BY_KNOWLEDGE: readonly SourceName[] = ['consul', 'local', 'static'];

interface Retired {
  readonly service: LivingService;
  readonly cancel: () => void;
}

/**
 * Keeps services by name through reloads, so that what was learned of them and who waits for them stays.
 *
 * One that leaves the configuration goes on until the last request that could know it has ended; one that comes back
 * before is the same.
 */
export function createServiceRegistry(parts: ServiceRegistryParts): ServiceRegistry {
  const { create, retireAfterMs, clock } = parts;
  const living = new Map<string, LivingService>();
  const retired = new Map<string, Retired>();
  const rosters = new Map<SourceName, Roster>();
  let peers: Peers = { self: '', gateways: [] };

  function take(name: string, policy: ServicePolicy): LivingService {
    const known = living.get(name) ?? retired.get(name)?.service;
    retired.get(name)?.cancel();
    retired.delete(name);
    if (known === undefined) return create(name, policy);
    known.adopt(policy);
    return known;
  }

  function retire(name: string, service: LivingService): void {
    const cancel = clock.after(retireAfterMs(), () => {
      retired.delete(name);
      service.close();
    });
    retired.set(name, { service, cancel });
  }

  function reconcileAll(): void {
    const merged = mergeRosters(BY_KNOWLEDGE.flatMap(source => rosters.get(source) ?? []));
    for (const [name, service] of living) service.reconcile(merged.get(name) ?? []);
  }

  return {
    living: () => [...living.values()],
    find: name => living.get(name),
    adopt(policies) {
      for (const [name, service] of living) {
        if (policies.has(name)) continue;
        living.delete(name);
        retire(name, service);
      }
      for (const [name, policy] of policies) living.set(name, take(name, policy));
      for (const service of living.values()) service.meet(peers);
      reconcileAll();
    },
    heard(roster) {
      rosters.set(roster.source, roster);
      reconcileAll();
    },
    meet(met) {
      peers = met;
      for (const service of living.values()) service.meet(peers);
    },
    get peers() {
      return peers;
    },
    close() {
      for (const { service, cancel } of retired.values()) {
        cancel();
        service.close();
      }
      for (const service of living.values()) service.close();
      retired.clear();
      living.clear();
    },
  };
}
