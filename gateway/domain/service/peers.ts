import { hash32 } from '../hash32.ts';

/** The gateways before the same instances, as Consul tells each of them alike. */
export interface Peers {
  /** This gateway's own id. */
  readonly self: string;
  /** All of them; this one is missing while Consul does not list it. */
  readonly gateways: readonly string[];
}

/** An address before several gateways, and how many it works on at once. */
export interface CommonAddress {
  readonly origin: string;
  readonly permits: number;
}

/**
 * The gateway that each address prefers. Each gateway that knows the same addresses and gateways, in whatever order,
 * finds the same, without asking another.
 *
 * Of all pairs of an address and a gateway the highest by rendezvous hash come together first, as long as the gateway
 * has no more than its even share of the permits; what is left over goes to the one that has least. Shares are thus
 * even, and when one comes or goes little else moves.
 */
export function preferences(
  addresses: readonly CommonAddress[],
  gateways: readonly string[],
): ReadonlyMap<string, string> {
  const permitsOf = new Map([...new Set(gateways)].map(gateway => [gateway, 0]));
  if (permitsOf.size === 0) return new Map();
  const permits = addresses.reduce((sum, address) => sum + address.permits, 0);
  const evenShare = Math.floor(permits / permitsOf.size);
  const pairs = pairsOf(addresses, [...permitsOf.keys()]);

  const preferred = new Map<string, string>();
  const give = ({ address, gateway }: Pair) => {
    preferred.set(address.origin, gateway);
    permitsOf.set(gateway, (permitsOf.get(gateway) ?? 0) + address.permits);
  };
  for (const pair of pairs) {
    const taken = permitsOf.get(pair.gateway) ?? 0;
    if (!preferred.has(pair.address.origin) && taken + pair.address.permits <= evenShare) give(pair);
  }
  for (const pair of pairs) {
    if (preferred.has(pair.address.origin)) continue;
    const least = Math.min(...permitsOf.values());
    // The best pair of this address among those that have least: pairs stand in order, and the first such is it.
    const best = pairs.find(
      ({ address, gateway }) => address === pair.address && (permitsOf.get(gateway) ?? 0) === least,
    );
    if (best !== undefined) give(best);
  }
  return preferred;
}

interface Pair {
  readonly address: CommonAddress;
  readonly gateway: string;
  readonly score: number;
}

/**
 * All pairs, the highest first, but those with more permits before those with fewer, which fill the gaps; equal scores,
 * which are rare, by name, so that every gateway has the same order.
 */
function pairsOf(addresses: readonly CommonAddress[], gateways: readonly string[]): Pair[] {
  const pairs = addresses.flatMap(address =>
    gateways.map(gateway => ({ address, gateway, score: hash32(`${gateway} ${address.origin}`) })),
  );
  return pairs.sort(
    (a, b) => b.address.permits - a.address.permits || b.score - a.score || (nameOf(a) < nameOf(b) ? -1 : 1),
  );
}

function nameOf({ address, gateway }: Pair): string {
  return `${address.origin} ${gateway}`;
}

/** Which gateway each instance of a service prefers, worked out anew only when gateways or addresses are others. */
export class Preferences {
  peers: Peers = { self: '', gateways: [] };
  #known = { text: '', preferred: preferences([], []) };

  /** By address. Asked with each roster, and mostly the same. */
  of(addresses: readonly CommonAddress[]): ReadonlyMap<string, string> {
    const gateways = isOneOfSeveral(this.peers) ? this.peers.gateways : [];
    const text = JSON.stringify([gateways, addresses]);
    if (text !== this.#known.text) this.#known = { text, preferred: preferences(addresses, gateways) };
    return this.#known.preferred;
  }
}

/** A gateway that Consul does not list is counted by no other: it may use all as its own. */
function isOneOfSeveral({ self, gateways }: Peers): boolean {
  return gateways.length > 1 && gateways.includes(self);
}
