import type { BalancePolicy, Choice } from './balance/policy.ts';
import type { Clock, Random } from '../clock.ts';
import type { Deadlines } from '../deadlines.ts';
import type { Observe } from '../events.ts';
import type { PermitRegistry } from './permits.ts';
import { Latency, type Moment, type ServiceInstance } from './service-instance.ts';
import type { ServicePolicy, Instance, PermitRequest, BalanceSpec } from '../service.ts';
import { leastLoaded } from './balance/least-loaded.ts';
import { ring } from './balance/ring.ts';
import { roundRobin } from './balance/round-robin.ts';
import { twoChoices } from './balance/two-choices.ts';

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

/** What an instance is chosen by. */
export type Wanted = Pick<PermitRequest, 'tried' | 'affinity'>;

/** Those that are free, by which gateway they prefer. */
interface Free {
  readonly policy: BalancePolicy;
  readonly own: Choice<ServiceInstance>;
  readonly others: Choice<ServiceInstance>;
}

/**
 * The instances of a service that may be given work, and those of them with a free permit: kept as things change, so
 * that a pick need not look at the others.
 */
export class Rotation {
  readonly #eligible = new Set<ServiceInstance>();
  #freeCount = 0;
  #free: Free | undefined = undefined;

  get eligible(): number {
    return this.#eligible.size;
  }

  /** True when a request could be given work right now. */
  get hasFree(): boolean {
    return this.#freeCount > 0;
  }

  /** Takes note that the instance's eligibility, permits, weight or gateway may have changed. */
  update(instance: ServiceInstance): void {
    this.#count(instance, instance.isEligible);
    const isFree = instance.isEligible && instance.hasRoom;
    this.#setFree(instance, isFree ? (instance.isOwn ? 'own' : 'others') : undefined);
  }

  /** It was chosen: of equals all others have waited longer. */
  chosen(instance: ServiceInstance): void {
    if (instance.freeAs !== undefined) this.#free?.[instance.freeAs].served(instance);
  }

  remove(instance: ServiceInstance): void {
    this.#count(instance, false);
    this.#setFree(instance, undefined);
  }

  /**
   * Which the policy prefers of those that are free for this request; undefined: it has to wait, or none is left. One
   * that prefers another gateway is picked only when none of our own is free. A request with an instance of its own
   * takes no other.
   */
  pick(wanted: Wanted, policy: BalancePolicy): ServiceInstance | undefined {
    const { tried, affinity } = wanted;
    const free = this.#freeFor(policy);
    if (policy.ownerOf !== undefined && affinity !== '') {
      const owner = this.#ownerOf(wanted, policy);
      return owner?.isFree === true ? owner : undefined;
    }
    if (tried.length > 0) {
      const untried = pickBut(free, affinity, tried.filter(this.#isEligible));
      if (untried !== undefined || this.#hasUntried(tried)) return untried;
    }
    return free.own.pick(affinity) ?? free.others.pick(affinity);
  }

  /** Whether this request would take the instance now. One that failed it is taken only when there is no other. */
  wouldTake(wanted: Wanted, instance: ServiceInstance, policy: BalancePolicy): boolean {
    return instance.isFree && this.wouldHave(wanted, instance, policy);
  }

  /** The same, were the instance free. */
  wouldHave(wanted: Wanted, instance: ServiceInstance, policy: BalancePolicy): boolean {
    if (policy.ownerOf !== undefined && wanted.affinity !== '') return this.#ownerOf(wanted, policy) === instance;
    return !wanted.tried.includes(instance) || !this.#hasUntried(wanted.tried);
  }

  /** Where each affinity has an instance of its own: that one, of those eligible; the next one where it failed it. */
  #ownerOf({ tried, affinity }: Wanted, policy: BalancePolicy): ServiceInstance | undefined {
    const isUntried = (instance: Instance) => this.#isEligible(instance) && !tried.includes(instance);
    const owner = policy.ownerOf?.(affinity, isUntried) ?? policy.ownerOf?.(affinity, this.#isEligible);
    return owner !== undefined && this.#isEligible(owner) ? owner : undefined;
  }

  /** A policy keeps what it needs of those that are free, from the first time it is asked. */
  #freeFor(policy: BalancePolicy): Free {
    if (this.#free?.policy === policy) return this.#free;
    const free = { policy, own: policy.choice<ServiceInstance>(), others: policy.choice<ServiceInstance>() };
    for (const instance of this.#eligible) if (instance.freeAs !== undefined) free[instance.freeAs].add(instance);
    return (this.#free = free);
  }

  #count(instance: ServiceInstance, isInRotation: boolean): void {
    if (instance.isInRotation === isInRotation) return;
    instance.isInRotation = isInRotation;
    if (isInRotation) this.#eligible.add(instance);
    else this.#eligible.delete(instance);
  }

  #setFree(instance: ServiceInstance, freeAs: ServiceInstance['freeAs']): void {
    const before = instance.freeAs;
    if (before === freeAs) {
      if (freeAs !== undefined) this.#free?.[freeAs].changed(instance);
      return;
    }
    instance.freeAs = freeAs;
    if (before === undefined) this.#freeCount += 1;
    else this.#free?.[before].remove(instance);
    if (freeAs === undefined) this.#freeCount -= 1;
    else this.#free?.[freeAs].add(instance);
  }

  readonly #isEligible = (instance: Instance): instance is ServiceInstance =>
    (this.#eligible as ReadonlySet<Instance>).has(instance);

  #hasUntried(tried: readonly Instance[]): boolean {
    if (tried.length === 0) return this.#eligible.size > 0;
    for (const instance of this.#eligible) if (!tried.includes(instance)) return true;
    return false;
  }
}

/** Those that failed this request, which are few, stand aside meanwhile. */
function pickBut(free: Free, affinity: string, tried: readonly ServiceInstance[]): ServiceInstance | undefined {
  const aside = [...new Set(tried)].flatMap(instance =>
    instance.freeAs === undefined ? [] : [{ instance, choice: free[instance.freeAs] }],
  );
  for (const { instance, choice } of aside) choice.remove(instance);
  const picked = free.own.pick(affinity) ?? free.others.pick(affinity);
  for (const { instance, choice } of aside) choice.add(instance);
  return picked;
}

/** The policy an operator asked for. */
export function createBalance(spec: BalanceSpec, random: Random): BalancePolicy {
  switch (spec.policy) {
    case 'least-loaded':
      return leastLoaded();
    case 'round-robin':
      return roundRobin();
    case 'two-choices':
      return twoChoices(random);
    case 'hash':
      return ring(leastLoaded(), spec.strict);
  }
}
