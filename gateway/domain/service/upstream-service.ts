import { Dispatch, type DispatchOwner } from './dispatch.ts';
import { Health, standingOf } from './health.ts';
import type {
  Instance,
  Finding,
  InstanceView,
  ManagedService,
  Permit,
  PermitRequest,
  ServiceView,
  AcquiredStream,
  StreamRequest,
  ServicePolicy,
  Steady,
} from '../service.ts';
import { Preferences, type CommonAddress, type Peers } from './peers.ts';
import { RetryBudget } from './retry.ts';
import type { RosterEntry } from '../roster.ts';
import { ServiceCore, type ServiceOptions, keyOf, ServiceInstance } from './service-core.ts';

/** A service that lives as long as its name is in the configuration. It has no instances until it is reconciled. */
export function createService(options: ServiceOptions): ManagedService {
  return new UpstreamService(options);
}

/** The instances behind one name, and what is done with them. */
class UpstreamService implements ManagedService, DispatchOwner {
  readonly budget: RetryBudget;
  readonly #core: ServiceCore;
  readonly #dispatch: Dispatch;
  readonly #health: Health;
  readonly #preferences = new Preferences();
  versions = '';
  #isFirstRoster = true; // at the gateway's start no instance is new, and none need start slowly

  constructor(options: ServiceOptions) {
    const core = new ServiceCore(options);
    this.#core = core;
    this.#dispatch = new Dispatch(core, { deadlines: options.deadlines, owner: this });
    this.#health = new Health(core, this.#dispatch);
    this.budget = new RetryBudget(options.clock);
  }

  get name(): string {
    return this.#core.name;
  }

  get policy(): ServicePolicy {
    return this.#core.policy;
  }

  acquire(request: PermitRequest): Permit | undefined {
    return this.#dispatch.acquire(request);
  }

  leave(request: PermitRequest): void {
    this.#dispatch.leave(request);
  }

  waitingOf(callerId: string): number {
    return this.#dispatch.queue.waitingOf(callerId);
  }

  acquireStream(request: StreamRequest): AcquiredStream {
    return this.#dispatch.acquireStream(request);
  }

  report(instance: Instance, finding: Finding): void {
    if (instance instanceof ServiceInstance && instance.isOf(this.#core.moment)) this.#health.report(instance, finding);
  }

  adopt(policy: ServicePolicy): void {
    this.#core.adopt(policy);
    for (const instance of this.#core.instances.values()) this.#health.reassess(instance, true);
  }

  reconcile(entries: readonly RosterEntry[]): void {
    const { instances, leavers, isClosed } = this.#core;
    if (isClosed) return;
    const byKey = new Map(entries.map(entry => [keyOf(entry), entry]));
    // Newcomers are there before leavers are gone: no call that waits sees a service without instances in between.
    for (const entry of byKey.values()) this.#list(entry);
    for (const [key, instance] of [...instances]) if (!byKey.has(key)) this.#retire(key, instance);
    for (const leaver of [...leavers]) this.onReleased(leaver);
    this.#core.rebalance();
    this.versions = versionsOf(entries);
    if (entries.length > 0) this.#isFirstRoster = false;
    this.#prefer();
  }

  meet(peers: Peers): void {
    this.#preferences.peers = peers;
    this.#prefer();
  }

  untrusted(instanceId: string, why: string): void {
    this.#health.untrusted(instanceId, why);
  }

  checked(instanceId: string, isWell: boolean, note: string): void {
    this.#health.checked(instanceId, { isWell, note });
  }

  steadyOf(routeId: string): Steady | undefined {
    const { steadyTimes, core } = this.#dispatch;
    return core.policy.ahead === 'auto' ? steadyTimes.of(routeId, core.look()) : undefined;
  }

  command(instanceId: string, order: 'eject' | 'readmit' | 'drain'): boolean {
    return this.#health.command(instanceId, order);
  }

  /** Work in hand goes on to its end; its permits stay out until then. */
  close(): void {
    const { instances, leavers, rotation } = this.#core;
    this.#core.isClosed = true;
    this.#dispatch.refuseAll();
    for (const instance of [...instances.values(), ...leavers]) {
      instance.cancelReview?.();
      instance.cancelAhead?.();
      rotation.remove(instance);
      for (const permit of [...instance.hung]) permit.giveBack();
      if (instance.listing !== undefined) instance.address.unlist(instance.listing);
    }
  }

  /** As operators see it. Instances that leave the roster are shown until their work is done. */
  view(): ServiceView {
    const { instances, leavers, name, policy } = this.#core;
    this.#core.look();
    const shown = [...instances.values(), ...leavers];
    return {
      service: name,
      queue: { depth: this.#dispatch.queue.depth, depthMax: policy.queueDepthMax },
      permits: {
        inUse: shown.reduce((sum, { inHand }) => sum + inHand, 0),
        abandoned: shown.reduce((sum, { abandoned }) => sum + abandoned, 0),
      },
      instances: shown.map(instance => viewOf(instance, this.#core)),
    };
  }

  /** Whether one that a check failed is in rotation depends on what it has in hand. */
  onChange(instance: ServiceInstance): void {
    if (!instance.isDoubted) this.#core.rotation.update(instance);
    else if (this.#health.assess(instance)) instance.hasChangedRotation = true;
  }

  afterChange(instance: ServiceInstance): void {
    if (!instance.hasChangedRotation) return;
    instance.hasChangedRotation = false;
    this.#health.reassess(instance, true);
  }

  /** A leaver without work in hand is gone. */
  onReleased(instance: ServiceInstance): void {
    const { instances, leavers, rotation, observe, name: service } = this.#core;
    if (!instance.isLeaving || !instance.isIdle || !leavers.delete(instance)) return;
    rotation.remove(instance);
    instance.cancelReview?.();
    if (instance.listing !== undefined) instance.address.unlist(instance.listing);
    if (!instances.has(keyOf(instance.entry))) observe({ kind: 'instance-left', service, instance: instance.id });
  }

  /** Instances and gateways may be others. */
  #prefer(): void {
    const { instances, isClosed, rotation } = this.#core;
    if (isClosed) return;
    const { self } = this.#preferences.peers;
    const preferred = this.#preferences.of([...instances.values()].filter(isSeenByAll).map(toCommonAddress));
    for (const instance of instances.values()) {
      instance.preferredBy = preferred.get(instance.origin) ?? null;
      const isOwn = instance.preferredBy === null || instance.preferredBy === self;
      if (isOwn === instance.isOwn) continue;
      instance.isOwn = isOwn;
      rotation.update(instance);
    }
  }

  #list(entry: RosterEntry): void {
    const { instances } = this.#core;
    const key = keyOf(entry);
    const known = instances.get(key);
    const stays = known?.origin === entry.origin ? known : undefined;
    if (known !== undefined && stays === undefined) this.#retire(key, known);
    const instance = stays ?? this.#takeBack(entry) ?? this.#join(entry, known);
    instance.entry = entry;
    instances.set(key, instance);
    this.#health.listed(instance);
    this.#health.reassess(instance, this.#isFirstRoster);
  }

  /** One that left and still drains, listed again at the same address: it is the same R. */
  #takeBack(entry: RosterEntry): ServiceInstance | undefined {
    const { leavers } = this.#core;
    for (const leaver of leavers) {
      if (keyOf(leaver.entry) !== keyOf(entry) || leaver.origin !== entry.origin) continue;
      leavers.delete(leaver);
      leaver.isLeaving = false;
      return leaver;
    }
    return undefined;
  }

  #join(entry: RosterEntry, predecessor: ServiceInstance | undefined): ServiceInstance {
    const { moment, permits, observe, name: service } = this.#core;
    const instance = new ServiceInstance(entry, { address: permits.at(entry.origin), moment, predecessor });
    if (instance.outlier.state.kind === 'ejected') instance.outlier.tryOut(); // at another address it may do better
    this.#dispatch.list(instance);
    const { id, origin: address, version } = entry;
    observe({ kind: 'instance-joined', service, instance: id, address, version });
    return instance;
  }

  #retire(key: string, instance: ServiceInstance): void {
    this.#core.instances.delete(key);
    this.#core.leavers.add(instance);
    instance.isLeaving = true;
    for (const permit of [...instance.hung]) permit.giveBack();
    this.#health.reassess(instance);
  }
}

/** Those it started itself are its own, and no other gateway knows them. */
function isSeenByAll({ entry }: ServiceInstance): boolean {
  return entry.source !== 'local';
}

/** As all gateways see it: what one of them has learned or configured does not count. */
function toCommonAddress({ entry }: ServiceInstance): CommonAddress {
  return { origin: entry.origin, permits: entry.concurrency ?? 1 };
}

function versionsOf(entries: readonly RosterEntry[]): string {
  return [...new Set(entries.map(({ version }) => version ?? ''))].sort().join(',');
}

function viewOf(instance: ServiceInstance, { clock, moment, policy }: ServiceCore): InstanceView {
  const { nowMs } = moment;
  const { state, why, untilMs } = standingOf(instance, { nowMs, hangMsMax: policy.hangMsMax });
  const hasEnd = untilMs !== undefined && untilMs !== Infinity;
  return {
    id: instance.id,
    address: instance.origin,
    source: instance.entry.source,
    version: instance.version,
    weight: instance.entry.weight,
    state,
    why,
    until: hasEnd ? new Date(clock.wallMs() + untilMs - nowMs).toISOString() : null,
    inFlight: instance.inFlight,
    streams: instance.streams,
    abandoned: instance.abandoned,
    latencyMs: instance.latencyMs === undefined ? null : Math.round(instance.latencyMs * 1_000) / 1_000,
    requests: instance.requests,
    failures: instance.failures,
    preferredBy: instance.preferredBy,
  };
}
