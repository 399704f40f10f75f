import { readConsulListing, type ConsulListing } from '../domain/discovery/consul-entries.ts';
import type { Observe } from '../domain/events.ts';
import type { Clock, Random } from '../domain/clock.ts';
import { believe, type Belief, type RosterEntry } from '../domain/roster.ts';
import { createConsulClient, type ConsulAddress } from './consul-client.ts';
import { watchConsul, type ConsulPace, CONSUL_PACE } from './consul-watch.ts';
import type { Peers } from '../domain/service/peers.ts';

interface ConsulServiceOptions {
  readonly service: string;
  readonly config: ConsulAddress & { readonly tag: string | undefined; readonly emptyHoldMs: number };
  readonly pace: ConsulPace;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  /** An answer came or failed to come, or a list is believed by now; `isAnswered` where Consul answered. */
  readonly onNews: (isAnswered: boolean) => void;
}

/** One service as Consul lists it, and what is to be believed of that. It asks from its creation until it is closed. */
export class ConsulService {
  /** Wall clock of the last good answer; undefined before the first. */
  updatedMs: number | undefined;
  /** Why Consul does not answer at present. */
  problem: string | undefined;

  readonly #options: ConsulServiceOptions;
  readonly #stop: () => void;
  #belief: Belief | undefined;
  #listing: ConsulListing | undefined;
  #endDoubt: (() => void) | undefined;
  /** What was reported of the last list, so that it is not reported again with each. */
  #reported: ReadonlySet<string> = new Set();

  constructor(options: ConsulServiceOptions) {
    this.#options = options;
    const { service, config, pace, clock, random } = options;
    const client = createConsulClient(config);
    const watch = watchConsul({
      ...{ client, service, tag: config.tag, pace, clock, random },
      onList: (list, hasGoneBack) => this.#onListing(readConsulListing(list), hasGoneBack),
      onTrouble: problem => this.#miss(problem),
    });
    this.#stop = () => {
      watch.stop();
      client.close();
    };
  }

  /** The instances; undefined while nothing is known. */
  get entries(): readonly RosterEntry[] | undefined {
    return this.#belief?.entries;
  }

  /** Takes what an earlier run knew, where nothing newer is known. */
  recall(entries: readonly RosterEntry[], updatedMs: number): void {
    if (this.#belief !== undefined) return;
    this.#belief = { entries, doubt: null };
    this.updatedMs = updatedMs;
    this.problem ??= 'it has not answered yet';
  }

  close(): void {
    this.#endDoubt?.();
    this.#stop();
  }

  #onListing(listing: ConsulListing, hasGoneBack: boolean): void {
    const isSuspect = this.problem !== undefined || hasGoneBack;
    this.#listing = listing;
    this.updatedMs = this.#options.clock.wallMs();
    this.problem = undefined;
    this.#reportMalformed(listing);
    this.#settle(listing, isSuspect);
    this.#options.onNews(true);
  }

  #miss(problem: string): void {
    this.problem = problem;
    this.#endDoubt?.(); // The last roster stands: an empty list is not believed while Consul cannot correct it.
    this.#endDoubt = undefined;
    this.#options.onNews(false);
  }

  /** Decides what to believe of the last list, and when to stop doubting it. */
  #settle(listing: ConsulListing, isSuspect: boolean): void {
    const { clock, config, observe, service, onNews } = this.#options;
    this.#endDoubt?.();
    this.#endDoubt = undefined;
    const before = this.#belief?.doubt?.untilMs;
    const nowMs = clock.nowMs();
    this.#belief = believe(this.#belief, { ...listing, isSuspect }, { nowMs, holdMs: config.emptyHoldMs });
    const untilMs = this.#belief.doubt?.untilMs;
    if (untilMs === undefined) return;

    if (untilMs !== before) observe({ kind: 'roster-doubted', source: 'consul', service, forMs: config.emptyHoldMs });
    this.#endDoubt = clock.after(untilMs - nowMs, () => {
      this.#settle(this.#listing ?? listing, false);
      onNews(false);
    });
  }

  #reportMalformed({ malformed }: ConsulListing): void {
    const { observe, service } = this.#options;
    for (const { instance, problem } of malformed) {
      if (this.#reported.has(`${instance}\n${problem}`)) continue;
      observe({ kind: 'registration-malformed', source: 'consul', service, instance, problem });
    }
    this.#reported = new Set(malformed.map(({ instance, problem }) => `${instance}\n${problem}`));
  }
}

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
    onNews: isAnswered => {
      if (watch.problem !== undefined && !isMissed) miss(watch.problem);
      isMissed = !isAnswered && watch.problem !== undefined;
      const gateways = (watch.entries ?? []).filter(takesRequests).map(({ id }) => id);
      gateways.sort();
      if (gateways.join(' ') === known.join(' ')) return;
      if (gateways.length > 1 || known.length > 1) report(gateways);
      known = gateways;
      onPeers({ self, gateways });
    },
  });

  function report(gateways: readonly string[]): void {
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
