import { GatewayError } from '../errors.ts';
import { forecast, WorkInHand, type Forecast, SteadyTimes } from './forecast.ts';
import type { Instance, Permit, PermitRequest, AcquiredStream, StreamRequest } from '../service.ts';
import { type Linked, Queue, QueueEntry, type QueueOwner } from './queue.ts';
import { isNonEmpty } from '../non-empty.ts';
import { ActiveCallers } from './outlier.ts';
import type { Listing } from './permits.ts';
import type { Deadlines } from '../deadlines.ts';
import type { ServiceCore, HungPermit, ServiceInstance } from './service-core.ts';

/** What is said of an instance's work in hand. */
export interface DispatchOwner {
  /** Its address has more or less in hand than before. Must only take note: other services are not told yet. */
  onChange(instance: ServiceInstance): void;
  /** All are told: what follows from the change may be done. */
  afterChange(instance: ServiceInstance): void;
  /** A permit or a stream's place was given back. */
  onReleased(instance: ServiceInstance): void;
}

const NONE: readonly Instance[] = [];

/** How long before a call may end R is sent the next: about what the way there takes. */
const LEAD_MS = 2;

/** Gives out the permits of a service, at once or from the queue. */
export class Dispatch implements QueueOwner {
  readonly queue: Queue;
  readonly work = new WorkInHand<HeldPermit>();
  readonly callers = new ActiveCallers();
  readonly steadyTimes = new SteadyTimes();
  readonly core: ServiceCore;
  readonly owner: DispatchOwner;

  constructor(
    core: ServiceCore,
    { deadlines, owner }: { readonly deadlines: Deadlines; readonly owner: DispatchOwner },
  ) {
    this.core = core;
    this.owner = owner;
    this.queue = new Queue(deadlines, core.permits.nextNumber);
  }

  acquire(request: PermitRequest): Permit | undefined {
    const { core } = this;
    this.callers.note(request.callerId, core.look());
    if (core.isClosed || core.rotation.eligible === 0) throw this.#unavailable();
    // What waits would have been given what is free now: taking it overtakes nothing that wants it.
    const instance = core.rotation.pick(request, core.balance);
    if (instance !== undefined) return this.#grant(instance, request);
    this.#wait(request);
    return undefined;
  }

  leave({ queued }: PermitRequest): void {
    if (queued instanceof QueueEntry && queued.isIn(this)) this.queue.remove(queued);
  }

  acquireStream(request: StreamRequest): AcquiredStream {
    const { core } = this;
    this.callers.note(request.callerId, core.look());
    const instance = core.isClosed ? undefined : this.#pickForStream(request);
    if (instance === undefined) throw this.#unavailable();
    return new HeldStream(instance, this.owner);
  }

  /** Looks through the queue for those that would now take an instance they would not take before. */
  serveWaiting(): void {
    const { queue, core } = this;
    while (queue.depth > 0 && core.rotation.hasFree) {
      let picked: ServiceInstance | undefined;
      const entry = queue.first(
        ({ request }) => (picked = core.rotation.pick(request, core.balance)) !== undefined,
        this.isEachTried,
      );
      if (entry === undefined || picked === undefined) return;
      this.serve(entry, picked);
    }
  }

  serve(entry: QueueEntry, instance: ServiceInstance): void {
    this.queue.served(entry);
    entry.request.onPermit(this.#grant(instance, entry.request));
  }

  /** What the service has at an instance's address. */
  list(instance: ServiceInstance): void {
    instance.listing = new DispatchListing(this, instance);
    instance.address.list(instance.listing);
  }

  refuseAll(): void {
    for (const entry of this.queue.entries()) if (entry.isLinked) this.#refuse(entry, this.#unavailable());
  }

  /** Where each has an instance of its own, the first in a flow does not speak for the others. */
  get isEachTried(): boolean {
    return this.core.balance.ownerOf !== undefined;
  }

  /** The last chance: an instance that failed this request is better than none. */
  onWaitOver(entry: QueueEntry): void {
    const { core } = this;
    core.look();
    const { affinity } = entry.request;
    const instance = core.rotation.pick({ affinity, tried: NONE }, core.balance);
    if (instance !== undefined) this.serve(entry, instance);
    else this.#refuse(entry, this.#waitedInVain(entry));
  }

  /** The call an instance works on, where it is one at a time, is another: the next may be sent before its end. */
  follow(instance: ServiceInstance, permit: HeldPermit | undefined): void {
    instance.cancelAhead?.();
    instance.cancelAhead = undefined;
    instance.present = permit;
    if (permit !== undefined && this.queue.depth > 0) this.#planAhead(permit);
  }

  #grant(instance: ServiceInstance, request: PermitRequest): HeldPermit {
    const permit = new HeldPermit(instance, this, { request, isAhead: false });
    this.core.rotation.chosen(instance);
    this.follow(instance, permit);
    return permit;
  }

  #planAhead(permit: HeldPermit): void {
    const { core, steadyTimes } = this;
    const { instance, routeId, sinceMs } = permit;
    if (core.policy.ahead === 'off' || instance.address.permits !== 1 || instance.cancelAhead !== undefined) return;
    const nowMs = core.look();
    const steady = steadyTimes.of(routeId, nowMs);
    if (steady === undefined || nowMs - sinceMs > steady.p50Ms) return;
    const inMs = Math.max(0, sinceMs + steady.p10Ms - LEAD_MS - nowMs);
    instance.cancelAhead = core.clock.after(inMs, () => {
      instance.cancelAhead = undefined;
      this.#sendAhead(permit, steady.p95Ms);
    });
  }

  /**
   * R gets the next call a moment before it is done with the present one: one, and no more; not behind a
   * call that has already taken longer than usual; and not a second of the same caller while another waits.
   */
  #sendAhead(present: HeldPermit, usualMsMax: number): void {
    const { core, queue } = this;
    const { instance, callerId } = present;
    if (!this.#isAheadOf(present) || core.look() - present.sinceMs > usualMsMax) return;
    const entry = queue.first(
      ({ request }) => core.rotation.wouldHave(request, instance, core.balance),
      this.isEachTried,
    );
    if (entry === undefined) return;
    const isOfSame = entry.request.callerId === callerId;
    if (isOfSame && queue.depth > queue.waitingOf(callerId)) return;
    queue.served(entry);
    const permit = new HeldPermit(instance, this, { request: entry.request, isAhead: true });
    instance.ahead = permit;
    core.observe({ kind: 'sent-ahead', service: core.name });
    entry.request.onPermit(permit);
  }

  /** Whether the instance is well, works on this call and has no other in hand, and no other service has a say. */
  #isAheadOf(present: HeldPermit): boolean {
    const { instance } = present;
    const { address } = instance;
    const isSound = instance.state === 'in-rotation' || instance.state === 'slow-start';
    const isAlone = address.inUse === 1 && address.permits === 1 && !address.isShared;
    return isSound && isAlone && instance.present === present && present.hasBegun && instance.ahead === undefined;
  }

  /** Into the queue, unless it would be served too late, or there is no room that it has more right to than others. */
  #wait(request: PermitRequest): void {
    const { queue } = this;
    const { isFair, queueDepthMax, queueWaitMsMax } = this.core.policy;
    const newcomer = new QueueEntry(request, { isFair, owner: this });
    const refusal = this.#wouldWaitInVain(newcomer);
    if (refusal !== undefined) throw refusal;
    if (queue.depth >= queueDepthMax) {
      const other = queue.leastEntitled(newcomer);
      if (other === undefined) throw this.#queueFull(newcomer);
      this.#refuse(other, this.#queueFull(other));
    }
    queue.add(newcomer, this.core.moment.nowMs + queueWaitMsMax);
    if (queue.depth > 1 || this.core.policy.ahead === 'off') return;
    for (const { present } of this.core.instances.values()) if (present instanceof HeldPermit) this.#planAhead(present);
  }

  #refuse(entry: QueueEntry, failure: GatewayError): void {
    this.queue.remove(entry);
    entry.request.onRefused(failure);
  }

  /**
   * The emptiest for its weight that can take one more stream. One on probation takes one at a time, since there may be no
   * calls to show that it is well; more only where there is no other.
   */
  #pickForStream({ affinity, tried = NONE }: StreamRequest): ServiceInstance | undefined {
    const { instances, policy, balance } = this.core;
    const roomy = [...instances.values()].filter(
      each => each.isEligible && each.address.streams < policy.streamsMax && !tried.includes(each),
    );
    if (balance.ownerOf !== undefined && affinity !== '') {
      const owner = balance.ownerOf(affinity, instance =>
        [...instances.values()].some(each => each === instance && each.isEligible),
      );
      return roomy.find(instance => instance === owner);
    }
    const sound = roomy.filter(({ isOnProbation, address }) => !isOnProbation || address.streams === 0);
    const usable = sound.length > 0 ? sound : roomy;
    const least = Math.min(...usable.map(streamLoadOf));
    const candidates = affinity === '' ? usable.filter(instance => streamLoadOf(instance) <= least) : usable;
    return isNonEmpty(candidates) ? balance.pick(candidates, affinity) : undefined;
  }

  /** The service cannot do anything for the request; says when an instance will be tried again, where that is known. */
  #unavailable(): GatewayError {
    const { instances, name } = this.core;
    const nowMs = this.core.look();
    let endsMs = Infinity;
    for (const { order, outlier } of instances.values()) {
      if (order === 'none' && outlier.state.kind === 'ejected') endsMs = Math.min(endsMs, outlier.state.untilMs);
    }
    const problem = `none of ${instances.size} instances of ${name} is in rotation`;
    const options = endsMs === Infinity ? {} : { retryAfterMs: Math.max(1, endsMs - nowMs) };
    return new GatewayError('SERVICE_UNAVAILABLE', problem, options);
  }

  /** One more cannot wait. */
  #queueFull(refused: QueueEntry): GatewayError {
    const problem = `${this.queue.depth} requests are waiting for ${this.core.name} already`;
    return new GatewayError('QUEUE_FULL', problem, { retryAfterMs: this.#clearAfterMs(forecast(this, refused)) });
  }

  /** The time in the queue is over. */
  #waitedInVain(refused: QueueEntry): GatewayError {
    const { name, policy, rotation } = this.core;
    if (rotation.eligible === 0) return this.#unavailable();
    const problem = `no instance of ${name} became free within ${policy.queueWaitMsMax} ms`;
    return new GatewayError('QUEUE_TIMEOUT', problem, { retryAfterMs: this.#clearAfterMs(forecast(this, refused)) });
  }

  /**
   * The refusal of a newcomer that, by what is known, would not have a permit, or its answer, in time; undefined: it may
   * well. `Retry-After` says when the wait will have become bearable.
   */
  #wouldWaitInVain(newcomer: QueueEntry): GatewayError | undefined {
    const { core } = this;
    const expected = forecast(this, newcomer);
    if (expected === undefined) return undefined;
    const { leastMs, ownMsLeast, likelyMs } = expected;
    const remainingMs = newcomer.request.usefulUntilMs - core.moment.nowMs;
    const bearableMs = Math.min(core.policy.queueWaitMsMax, remainingMs - ownMsLeast);
    if (leastMs <= bearableMs) return undefined;
    const problem = `a place at ${core.name} would take ${Math.round(likelyMs)} ms, ${Math.round(remainingMs)} ms are left`;
    return new GatewayError('QUEUE_TIMEOUT', problem, {
      detail: `The wait would be about ${secondsOf(likelyMs)} s, longer than this request may take.`,
      retryAfterMs: Math.min(this.#clearAfterMs(expected), Math.max(1, likelyMs - Math.max(0, bearableMs))),
    });
  }

  /** How long the queue takes as things go; at most `waitMax`, after which all in it have left, or one call's time. */
  #clearAfterMs(expected: Forecast | undefined): number {
    const { queueWaitMsMax } = this.core.policy;
    if (expected === undefined) return Math.max(1, queueWaitMsMax);
    const { likelyMs, callMs } = expected;
    return Math.max(1, Math.min(likelyMs, Math.max(queueWaitMsMax, callMs)));
  }
}

/** An instance of a dispatch, as its address knows it. */
class DispatchListing implements Listing {
  readonly #dispatch: Dispatch;
  readonly #instance: ServiceInstance;

  constructor(dispatch: Dispatch, instance: ServiceInstance) {
    this.#dispatch = dispatch;
    this.#instance = instance;
  }

  get concurrency(): number {
    return this.#instance.entry.concurrency ?? this.#dispatch.core.policy.concurrency;
  }

  next(): QueueEntry | undefined {
    const { queue, core, isEachTried } = this.#dispatch;
    if (queue.depth === 0 || !this.#instance.isFree) return undefined;
    return queue.first(({ request }) => core.rotation.wouldTake(request, this.#instance, core.balance), isEachTried);
  }

  serve(entry: QueueEntry): void {
    this.#dispatch.serve(entry, this.#instance);
  }

  changed(): void {
    this.#dispatch.owner.onChange(this.#instance);
  }

  afterChange(): void {
    this.#dispatch.owner.afterChange(this.#instance);
  }
}

/** To which request a permit is given, and how. */
interface Granted {
  readonly request: PermitRequest;
  readonly isAhead: boolean;
}

/** A permit of an instance's address, from the moment it is made until it is released. */
export class HeldPermit implements Permit, HungPermit, Linked<HeldPermit> {
  readonly instance: ServiceInstance;
  readonly routeId: string;
  readonly callerId: string;
  readonly isAhead: boolean;
  sinceMs: number;
  readonly #dispatch: Dispatch;
  #isHeld = true;
  #isAbandoned = false;
  /** What the attempt came to, where that says something of the permit. */
  endedIn: 'error' | 'hang' | undefined = undefined;
  hasBegun = false;
  previous: HeldPermit | undefined = undefined;
  next: HeldPermit | undefined = undefined;
  isLinked = false;

  constructor(instance: ServiceInstance, dispatch: Dispatch, { request, isAhead }: Granted) {
    this.instance = instance;
    this.routeId = request.routeId;
    this.callerId = request.callerId;
    this.isAhead = isAhead;
    this.#dispatch = dispatch;
    this.sinceMs = dispatch.core.look();
    dispatch.work.begin(this);
    instance.inHand += 1;
    instance.requests += 1;
    instance.address.take();
  }

  begin(): void {
    this.hasBegun = true;
  }

  abandon(): void {
    if (!this.#isHeld || this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.instance.abandoned += 1;
  }

  prove(): void {
    this.instance.lastGoodMs = this.#dispatch.core.look();
  }

  release(): void {
    if (!this.isLinked) return;
    const { work, core, steadyTimes } = this.#dispatch;
    const nowMs = core.look();
    work.end(this);
    const isStillAhead = this.instance.ahead === this;
    if (this.endedIn === 'hang' && !this.instance.isLeaving && !core.isClosed) {
      this.abandon();
      this.instance.hung.add(this);
      return;
    }
    // What was never sent teaches nothing, and an error is no measure of what a call takes.
    if (this.hasBegun && this.endedIn === undefined && !isStillAhead) {
      work.time.note(nowMs - this.sinceMs, nowMs);
      if (core.policy.ahead === 'auto') steadyTimes.note(this.routeId, nowMs - this.sinceMs, nowMs);
    }
    this.giveBack();
  }

  giveBack(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const { instance } = this;
    instance.hung.delete(this);
    instance.inHand -= 1;
    if (this.#isAbandoned) instance.abandoned -= 1;
    this.#handOn();
    instance.address.release();
    this.#dispatch.owner.onReleased(instance);
  }

  /** What was sent ahead is what the instance works on now. */
  #handOn(): void {
    const { instance } = this;
    const { ahead } = instance;
    if (ahead === this) instance.ahead = undefined;
    if (instance.present !== this) return;
    instance.ahead = undefined;
    if (ahead instanceof HeldPermit) ahead.sinceMs = this.#dispatch.core.look();
    this.#dispatch.follow(instance, ahead instanceof HeldPermit ? ahead : undefined);
  }
}

/** A stream at an instance, beside the permits. */
class HeldStream implements AcquiredStream {
  readonly instance: ServiceInstance;
  readonly #owner: DispatchOwner;
  #isHeld = true;

  constructor(instance: ServiceInstance, owner: DispatchOwner) {
    this.instance = instance;
    this.#owner = owner;
    instance.streams += 1;
    instance.requests += 1;
    instance.address.takeStream();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.instance.streams -= 1;
    this.instance.address.releaseStream();
    this.#owner.onReleased(this.instance);
  }
}

function streamLoadOf({ address, weight }: ServiceInstance): number {
  return (address.streams + 1) / weight;
}

function secondsOf(durationMs: number): number {
  return Math.ceil(durationMs / 100) / 10;
}
