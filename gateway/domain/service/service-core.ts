import type { BalancePolicy, Choice } from './balance/policy.ts';
import type { Clock, Random } from '../clock.ts';
import type { Deadlines } from '../deadlines.ts';
import type { Observe } from '../events.ts';
import type { PermitRegistry, Address, Listing } from './permits.ts';
import type { ServicePolicy, Instance, PermitRequest, BalanceSpec, InstanceState } from '../service.ts';
import { leastLoaded } from './balance/least-loaded.ts';
import { ring } from './balance/ring.ts';
import { roundRobin } from './balance/round-robin.ts';
import { twoChoices } from './balance/two-choices.ts';
import { AnswerCounts, Outlier } from './outlier.ts';
import type { RosterEntry } from '../roster.ts';

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
class Rotation {
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

/** While an instance starts slowly it counts for this share at least: work is what warms it up. */
const SHARE_MIN = 0.1;

/** In how many steps it grows: a policy may sort by weight, and there should be few different ones. */
const SHARE_STEPS = 100;

/** The time as the service last looked at it: one look serves a whole pick. */
export interface Moment {
  nowMs: number;
}

/** What is shown of an instance until its time is over. */
interface Remark {
  readonly text: string;
  readonly untilMs: number;
}

/** A permit as its instance knows it. */
export interface AheadPermit {
  sinceMs: number;
}

/** A permit that was kept back. */
export interface HungPermit {
  giveBack(): void;
}

/** An order given by hand; it holds until the instance is readmitted by hand. */
export type StandingOrder = 'none' | 'ejected' | 'draining';

interface Circumstances {
  readonly address: Address;
  readonly moment: Moment;
  /** Had the same name at another address: what was learned belongs to the name, its permits to the address. */
  readonly predecessor: ServiceInstance | undefined;
}

/** An instance as its service keeps it: everything learned of it, and what it has in hand. */
export class ServiceInstance implements Instance {
  readonly address: Address;
  readonly outlier: Outlier;
  readonly latency: Latency;
  readonly answers = new AnswerCounts();
  readonly #moment: Moment;
  entry: RosterEntry;
  listing: Listing | undefined = undefined;

  /** As last assessed; `isEligible` and `isOnProbation` follow from it. */
  state: InstanceState = 'in-rotation';
  isEligible = false;
  isOnProbation = false;
  /** Kept by the rotation: it counts among the eligible; and, while a policy may choose it, as whose it is chosen. */
  isInRotation = false;
  freeAs: 'own' | 'others' | undefined = undefined;
  /** The gateway it prefers, of several before the same instances; null where there are none, or it is ours alone. */
  preferredBy: string | null = null;
  /** Ours to use first. Others' are used when all our own are taken. */
  isOwn = true;
  /** It came into or out of rotation with the last change of its work in hand, and nothing was done about it yet. */
  hasChangedRotation = false;

  order: StandingOrder;
  isLeaving = false;
  rosterSays: Wellness = WELL;
  checksSay: Wellness = WELL;
  lastGoodMs = -Infinity;
  slowFromMs: number | undefined = undefined;
  slowForMs = 0;
  cancelReview: (() => void) | undefined = undefined;
  withheldUntilMs = -Infinity;

  /** Of this service alone; `inFlight` is the address's. */
  inHand = 0;
  streams = 0;
  abandoned = 0;
  requests = 0;
  failures = 0;
  lastFailedRequest: object | undefined = undefined;

  /** Where it works on one call at a time: that call, and the one sent ahead of its end; and what calls off the next. */
  present: AheadPermit | undefined = undefined;
  ahead: AheadPermit | undefined = undefined;
  cancelAhead: (() => void) | undefined = undefined;

  /** Permits of calls that did not end within `hangMax`: they stay out until a check or an answer shows R at work. */
  readonly hung = new Set<HungPermit>();
  /** Why the connection to it is not trusted, as a call or a check has found last; undefined: it is. */
  untrusted: string | undefined = undefined;
  /** What operators should know of it though it is in rotation. */
  remark: Remark | undefined = undefined;

  constructor(entry: RosterEntry, { address, moment, predecessor }: Circumstances) {
    this.entry = entry;
    this.address = address;
    this.#moment = moment;
    this.outlier = predecessor?.outlier ?? new Outlier();
    this.latency = predecessor?.latency ?? new Latency();
    this.order = predecessor?.order ?? 'none';
  }

  get id(): string {
    return this.entry.id;
  }

  get origin(): string {
    return this.address.origin;
  }

  get version(): string | null {
    return this.entry.version;
  }

  get inFlight(): number {
    return this.address.inUse;
  }

  get latencyMs(): number | undefined {
    return this.latency.averageMs(this.#moment.nowMs);
  }

  get weight(): number {
    if (this.slowFromMs === undefined) return this.entry.weight;
    const steps = Math.floor(((this.#moment.nowMs - this.slowFromMs) * SHARE_STEPS) / this.slowForMs);
    return this.entry.weight * Math.min(1, Math.max(SHARE_MIN, steps / SHARE_STEPS));
  }

  /** A service shares its moment with its own instances and no other's. */
  isOf(moment: Moment): boolean {
    return this.#moment === moment;
  }

  get hasRoom(): boolean {
    return this.address.inUse < (this.isOnProbation ? 1 : this.address.permits);
  }

  /** A check says it is not well: whether it is in rotation depends on what it has in hand. */
  get isDoubted(): boolean {
    return !this.rosterSays.isWell || !this.checksSay.isWell;
  }

  /** Among those a policy may choose from right now. */
  get isFree(): boolean {
    return this.freeAs !== undefined;
  }

  get isIdle(): boolean {
    return this.inHand === 0 && this.streams === 0;
  }
}

/** What names an instance within its service. */
export function keyOf({ source, id }: Pick<RosterEntry, 'source' | 'id'>): string {
  return `${source}:${id}`;
}

/** What one source of checks says of an instance: the roster's, or ours. */
export interface Wellness {
  readonly isWell: boolean;
  /** Why not, in the checker's words. */
  readonly note: string;
  readonly sinceMs: number;
  /** The check failed while work of ours was in hand: R computes, and cannot answer a check meanwhile. */
  readonly wasBusy: boolean;
}

/** What a check found. */
export interface CheckFinding {
  readonly isWell: boolean;
  readonly note: string;
}

/** Nothing is wrong. */
export const WELL: Wellness = { isWell: true, note: '', sinceMs: 0, wasBusy: false };

/** What a check found, and whether that is news. */
export function toWellness(known: Wellness, found: CheckFinding, at: CheckedAt): Wellness {
  if (found.isWell) return known.isWell ? known : WELL;
  if (!known.isWell) return { ...known, note: found.note };
  return { isWell: false, note: found.note, sinceMs: at.nowMs, wasBusy: at.isBusy };
}

interface CheckedAt {
  readonly nowMs: number;
  readonly isBusy: boolean;
}

/** An average older than this says nothing any more. */
const FRESH_FOR_MS = 10_000;

const NEWEST_SHARE = 0.2;

/** A moving average of how long answers take, in which each counts for a fifth. */
export class Latency {
  #averageMs: number | undefined = undefined;
  #notedMs = -Infinity;

  note(durationMs: number, nowMs: number): void {
    const knownMs = this.averageMs(nowMs);
    this.#averageMs = knownMs === undefined ? durationMs : knownMs + NEWEST_SHARE * (durationMs - knownMs);
    this.#notedMs = nowMs;
  }

  /** Undefined until one was noted, or when the last is long ago. */
  averageMs(nowMs: number): number | undefined {
    return nowMs - this.#notedMs <= FRESH_FOR_MS ? this.#averageMs : undefined;
  }
}
