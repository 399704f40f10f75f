import { preferences, type CommonAddress, type Peers } from './preferences.ts';
import type { LivingInstance } from './living-instance.ts';
import type { ServiceCore } from './service-core.ts';

/** Keeps true which of several gateways each instance of a service prefers. */
export interface ServicePeers {
  readonly meet: (peers: Peers) => void;
  /** The instances may be others. */
  settle(): void;
}

/** Alone until it meets others. */
export function createServicePeers(core: ServiceCore): ServicePeers {
  let peers: Peers = { self: '', gateways: [] };
  let known = { text: '', preferred: preferences([], []) };

  /** Asked with each roster, and mostly the same. */
  const preferredNow = () => {
    const gateways = isOneOfSeveral(peers) ? peers.gateways : [];
    const addresses = [...core.instances.values()].filter(isSeenByAll).map(toCommonAddress);
    const text = JSON.stringify([gateways, addresses]);
    if (text !== known.text) known = { text, preferred: preferences(addresses, gateways) };
    return known.preferred;
  };

  const settle = () => {
    if (core.isClosed) return;
    const preferred = preferredNow();
    for (const instance of core.instances.values()) {
      instance.preferredBy = preferred.get(instance.origin) ?? null;
      const isOwn = instance.preferredBy === null || instance.preferredBy === peers.self;
      if (isOwn === instance.isOwn) continue;
      instance.isOwn = isOwn;
      core.rotation.update(instance);
    }
  };

  return {
    settle,
    meet(met) {
      peers = met;
      settle();
    },
  };
}

/** A gateway that Consul does not list is counted by nobody: it may use all as its own. */
function isOneOfSeveral({ self, gateways }: Peers): boolean {
  return gateways.length > 1 && gateways.includes(self);
}

/** Those it started itself are its own, and no other gateway knows them. */
function isSeenByAll({ entry }: LivingInstance): boolean {
  return entry.source !== 'local';
}

/** As all gateways see it: what one of them has learned or configured does not count. */
function toCommonAddress({ entry }: LivingInstance): CommonAddress {
  return { origin: entry.origin, permits: entry.concurrency ?? 1 };
}
