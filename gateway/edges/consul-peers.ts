import type { Observe } from '../domain/events.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { RosterEntry } from '../domain/roster.ts';
import type { Peers } from '../domain/service/peers.ts';
import type { ConsulAddress } from './consul-client.ts';
import { ConsulService } from './consul-service.ts';
import { CONSUL_PACE, type ConsulPace } from './consul-watch.ts';

interface ConsulPeersOptions {
  readonly config: Pick<ConsulAddress, 'address' | 'token'> & { readonly emptyHoldMs: number };
  /** This gateway's own id in Consul. */
  readonly self: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  /** Other gateways came or went. */
  readonly onPeers: (peers: Peers) => void;
  readonly pace?: ConsulPace;
}

/**
 * Watches which gateways Consul lists, as it watches any service: while it is away the last ones stand, and one that
 * drains or is overdue no longer counts.
 */
export function watchConsulPeers(options: ConsulPeersOptions): { close(): void } {
  const { config, self, onPeers, observe, pace = CONSUL_PACE } = options;
  let known: readonly string[] = [];
  let isMissed = false;

  // Gateways register with the agent itself, and so in its datacenter, whichever the instances are in.
  const watch = new ConsulService({
    ...{ ...options, pace, service: 'penstock' },
    config: { ...config, datacenter: undefined, tag: undefined },
    onNews: isHeard => {
      if (watch.problem !== undefined && !isMissed) miss(watch.problem);
      isMissed = !isHeard && watch.problem !== undefined;
      const gateways = (watch.entries ?? []).filter(takesRequests).map(({ id }) => id);
      gateways.sort();
      if (gateways.join(' ') === known.join(' ')) return;
      if (gateways.length > 1 || known.length > 1) tell(gateways);
      known = gateways;
      onPeers({ self, gateways });
    },
  });

  function tell(gateways: readonly string[]): void {
    const about = { self, gateways: gateways.length, others: gateways.filter(id => id !== self).join(' ') };
    observe({ kind: 'notice', level: 'info', text: 'gateways before the same instances', about });
  }

  /** Said once: most often all of Consul is away, but a token may also be allowed to see the instances alone. */
  function miss(problem: string): void {
    observe({ kind: 'notice', level: 'warn', text: 'other gateways cannot be seen', about: { self, problem } });
  }

  return { close: () => watch.close() };
}

/** A gateway in "warning" misses instances of one service, and serves the others. */
function takesRequests({ health }: RosterEntry): boolean {
  return health === 'passing' || health === 'warning';
}
