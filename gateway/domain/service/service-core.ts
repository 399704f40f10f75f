import { createBalance } from './balance/create-balance.ts';
import type { BalancePolicy } from './balance/policy.ts';
import type { Clock, Random } from '../clock.ts';
import type { Deadlines } from '../deadlines.ts';
import type { Observe } from '../events.ts';
import type { PermitRegistry } from './permits.ts';
import { Rotation } from './rotation.ts';
import { Latency, type Moment, type ServiceInstance } from './service-instance.ts';
import type { ServicePolicy } from './service-policy.ts';

/** What a service is made from. */
export interface ServiceOptions {
  readonly name: string;
  readonly policy: ServicePolicy;
  readonly clock: Clock;
  readonly random: Random;
  /** Ends the waits in the queue. */
  readonly deadlines: Deadlines;
  /** The process's permits by address. */
  readonly permits: PermitRegistry;
  readonly observe: Observe;
}

/** What the parts of one service share. */
export class ServiceCore {
  readonly name: string;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly permits: PermitRegistry;
  policy: ServicePolicy;
  balance: BalancePolicy;
  /** Those the roster lists, by source and id. */
  readonly instances = new Map<string, ServiceInstance>();
  /** Those it lists no longer, while they finish their work. */
  readonly leavers = new Set<ServiceInstance>();
  readonly rotation = new Rotation();
  /** How long good answers take, whichever instance gives them. */
  readonly latency = new Latency();
  readonly moment: Moment;
  isClosed = false;
  readonly #random: Random;

  /** Of a service without instances. */
  constructor({ name, policy, clock, random, permits, observe }: ServiceOptions) {
    this.name = name;
    this.clock = clock;
    this.observe = observe;
    this.permits = permits;
    this.policy = policy;
    this.balance = createBalance(policy.balance, random);
    this.moment = { nowMs: clock.nowMs() };
    this.#random = random;
  }

  /** Looks at the clock. */
  look(): number {
    return (this.moment.nowMs = this.clock.nowMs());
  }

  adopt(policy: ServicePolicy): void {
    const isOtherBalance = JSON.stringify(policy.balance) !== JSON.stringify(this.policy.balance);
    this.policy = policy;
    if (!isOtherBalance) return;
    this.balance = createBalance(policy.balance, this.#random);
    this.rebalance();
  }

  /** The instances, or their weights, are others. */
  rebalance(): void {
    this.balance.adopt?.([...this.instances.values()]);
  }

  find(instanceId: string): ServiceInstance | undefined {
    for (const instance of this.instances.values()) if (instance.id === instanceId) return instance;
    return undefined;
  }
}
