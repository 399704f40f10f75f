import { HeldPermit, type Dispatch } from './dispatch.ts';
import { isEligibleIn, type Finding, type InstanceState } from '../service.ts';
import { compareErrors, canEject, isError, type Ejection } from './outlier.ts';
import {
  type ServiceCore,
  toWellness,
  type CheckFinding,
  type ServiceInstance,
  type Wellness,
} from './service-core.ts';

/** How often within a slow start those policies are told that keep weights. */
const SLOW_START_STEPS = 10;

/**
 * Takes in what attempts, checks, the roster, operators and time say of a service's instances, and takes them out of
 * rotation and back, within the service's bounds.
 */
export class Health {
  readonly #core: ServiceCore;
  readonly #dispatch: Dispatch;

  constructor(core: ServiceCore, dispatch: Dispatch) {
    this.#core = core;
    this.#dispatch = dispatch;
  }

  /** What an attempt showed. */
  report(instance: ServiceInstance, finding: Finding): void {
    this.#core.look();
    this.#note(instance, finding);
    if (instance.isLeaving || this.#core.isClosed) return;
    this.#judge(instance, finding);
    this.#compare(instance, finding);
    if (finding.outcome !== 'ok') return;
    this.#isAtWork(instance);
    if (instance.checksSay.isWell) return;
    instance.checksSay = this.#noteCheck(instance, instance.checksSay, { isWell: true, note: 'a good answer' });
    this.reassess(instance);
  }

  /** What a check of ours found. */
  checked(instanceId: string, found: CheckFinding): void {
    const instance = this.#core.find(instanceId);
    if (instance === undefined || this.#core.isClosed) return;
    if (found.isWell) instance.untrusted = undefined;
    instance.checksSay = this.#noteCheck(instance, instance.checksSay, found);
    if (found.isWell) this.#isAtWork(instance);
    else if (instance.hung.size > 0 && instance.outlier.state.kind !== 'ejected') {
      this.#eject(instance, { reason: 'hung' });
    }
    if (found.isWell && instance.outlier.canBeDisproved) this.tryOut(instance);
    else this.reassess(instance);
  }

  /** A check was not made, because the instance's certificate does not verify: configuration, which takes nothing out. */
  untrusted(instanceId: string, why: string): void {
    const instance = this.#core.find(instanceId);
    if (instance !== undefined && !this.#core.isClosed && instance.untrusted !== why) this.#distrust(instance, why);
  }

  /** What the roster says of the instance's health; it must be reassessed afterwards. */
  listed(instance: ServiceInstance): void {
    const { health, healthNote } = instance.entry;
    const found = { isWell: health !== 'critical', note: healthNote ?? '' };
    instance.rosterSays = this.#noteCheck(instance, instance.rosterSays, found);
  }

  command(instanceId: string, order: 'eject' | 'readmit' | 'drain'): boolean {
    const instance = this.#core.find(instanceId);
    if (instance === undefined) return false;
    if (order === 'readmit') this.#readmitByHand(instance);
    else this.#orderOut(instance, order);
    return true;
  }

  /** Something about the instance changed: it is assessed, and what follows from that is done. */
  reassess(instance: ServiceInstance, isWarm = false): void {
    if (this.assess(instance) && instance.isEligible && !isWarm) this.#startSlowly(instance);
    if (instance.isEligible) instance.address.offer();
    else this.#lost();
  }

  /** Works the standing out anew; true when the instance came into or out of rotation. */
  assess(instance: ServiceInstance): boolean {
    const wasEligible = instance.isEligible;
    this.#settle(instance);
    return wasEligible !== instance.isEligible;
  }

  /** Into probation. */
  tryOut(instance: ServiceInstance): void {
    const { observe, name: service } = this.#core;
    instance.outlier.tryOut();
    observe({ kind: 'probation', service, instance: instance.id });
    this.reassess(instance);
  }

  #distrust(instance: ServiceInstance, why: string): void {
    const { observe, name: service } = this.#core;
    instance.untrusted = why;
    const about = { service, instance: instance.id, address: instance.origin, problem: why };
    const text = 'an instance is not trusted: its calls are refused with UPSTREAM_UNTRUSTED';
    observe({ kind: 'notice', level: 'error', text, about });
  }

  #note(instance: ServiceInstance, finding: Finding): void {
    const { outcome, request, permit } = finding;
    if (permit instanceof HeldPermit)
      permit.endedIn = outcome === 'hung' ? 'hang' : isError(finding) ? 'error' : undefined;
    if (outcome === 'untrusted' && instance.untrusted === undefined) this.#distrust(instance, NO_REASON);
    this.#noteLatency(instance, finding);
    if (outcome === 'ok') {
      instance.untrusted = undefined;
      instance.lastGoodMs = this.#core.moment.nowMs;
      return;
    }
    // One request may bring two findings: it timed out, and then the instance turned out to hang.
    if (outcome === 'abandoned' || instance.lastFailedRequest === request) return;
    instance.failures += 1;
    instance.lastFailedRequest = request;
  }

  /** An instance that fails fast is not fast: an error counts as no quicker than the good answers of the service. */
  #noteLatency(instance: ServiceInstance, finding: Finding): void {
    const { latency, moment } = this.#core;
    const { nowMs } = moment;
    const { outcome, durationMs } = finding;
    if (outcome === 'ok' && !isError(finding)) {
      instance.latency.note(durationMs, nowMs);
      latency.note(durationMs, nowMs);
      return;
    }
    const goodMs = latency.averageMs(nowMs);
    if (goodMs === undefined || outcome === 'abandoned') return;
    if (outcome === 'ok') instance.latency.note(Math.max(durationMs, goodMs), nowMs);
    else if (instance.latencyMs === undefined) instance.latency.note(goodMs, nowMs);
  }

  #judge(instance: ServiceInstance, finding: Finding): void {
    const { policy, moment } = this.#core;
    const { callers } = this.#dispatch;
    const verdict = instance.outlier.judge(finding, { policy: policy.outlier, callers, nowMs: moment.nowMs });
    if (verdict === 'readmit') this.#readmit(instance, 'a good answer');
    if (verdict !== 'eject') return;
    const isForErrors = finding.outcome === 'ok';
    this.#eject(instance, { reason: isForErrors ? 'errors: on probation, too' : finding.outcome, isForErrors });
  }

  /** The share of errors among R's own answers, beside its peers'. */
  #compare(instance: ServiceInstance, finding: Finding): void {
    const { policy, instances, moment } = this.#core;
    const { share } = policy.outlier;
    const isErring = isError(finding);
    if (finding.status === null || instance.outlier.state.kind !== 'in-rotation') return;
    const { answers: own } = instance;
    const { routeId, callerId } = finding;
    const halfWindow = Math.floor(moment.nowMs / (share.windowMs / 2));
    own.note({ routeId, callerId, isError: isErring }, halfWindow);
    if (!isErring || !own.isTimeToLook(share.callsMin)) return;
    const peers = [...instances.values()].filter(peer => peer !== instance).map(({ answers }) => answers);
    const isSole = (caller: string) => this.#dispatch.callers.isSole(caller, moment.nowMs);
    const comparison = compareErrors({ own, peers, policy: share, halfWindow, isSole });
    if (comparison.kind === 'alike') return;
    instance.remark = { text: comparison.reason, untilMs: moment.nowMs + share.windowMs };
    if (comparison.kind === 'stands-out') this.#eject(instance, { reason: comparison.reason, isForErrors: true });
  }

  /** R answers: what was taken for hung is over. */
  #isAtWork({ hung }: ServiceInstance): void {
    for (const permit of [...hung]) permit.giveBack();
  }

  #noteCheck(instance: ServiceInstance, known: Wellness, found: CheckFinding): Wellness {
    const { observe, name: service } = this.#core;
    const wellness = toWellness(known, found, { nowMs: this.#core.look(), isBusy: instance.inFlight > 0 });
    if (wellness.isWell !== known.isWell) {
      observe({ kind: 'instance-health', service, instance: instance.id, ...found });
    }
    return wellness;
  }

  #eject(instance: ServiceInstance, ejection: Ejection): void {
    const { reason } = ejection;
    const { observe, name: service, policy } = this.#core;
    if (!this.#canAfford(instance)) {
      this.#withhold(instance, reason);
      return;
    }
    const forMs = instance.outlier.eject(ejection, policy.outlier, this.#core.look());
    observe({ kind: 'ejected', service, instance: instance.id, reason, forMs });
    this.reassess(instance);
  }

  #readmit(instance: ServiceInstance, reason: string): void {
    const { observe, name: service } = this.#core;
    const wasEligible = instance.isEligible;
    instance.outlier.readmit(this.#core.look());
    observe({ kind: 'readmitted', service, instance: instance.id, reason });
    this.reassess(instance);
    if (wasEligible) this.#startSlowly(instance); // out of probation, which is in rotation already
  }

  #readmitByHand(instance: ServiceInstance): void {
    const isOut = instance.order !== 'none' || instance.outlier.state.kind !== 'in-rotation';
    if (!isOut && instance.hung.size === 0) return;
    instance.order = 'none';
    this.#isAtWork(instance);
    this.#readmit(instance, 'by hand');
  }

  /** An order is carried out whatever it leaves; but it says what it leaves. */
  #orderOut(instance: ServiceInstance, order: 'eject' | 'drain'): void {
    const { name: service, observe, rotation, policy } = this.#core;
    const { id } = instance;
    instance.order = order === 'eject' ? 'ejected' : 'draining';
    if (order === 'eject') observe({ kind: 'ejected', service, instance: id, reason: 'by hand', forMs: Infinity });
    this.reassess(instance);
    const { keepMin } = policy.outlier;
    const isShort = rotation.eligible < keepMin;
    observe({
      kind: 'notice',
      level: isShort ? 'warn' : 'info',
      text: isShort ? `${order} by hand leaves fewer instances than keepMin` : `${order} by hand`,
      about: { service, instance: id, inRotation: rotation.eligible, keepMin },
    });
  }

  #canAfford(instance: ServiceInstance): boolean {
    const { instances, policy, rotation } = this.#core;
    let ejected = 0;
    for (const { state } of instances.values()) if (state === 'ejected') ejected += 1;
    const othersInRotation = rotation.eligible - (instance.isEligible ? 1 : 0);
    return canEject({ policy: policy.outlier, instances: instances.size, ejected, othersInRotation });
  }

  /** Said once, not for each failure. */
  #withhold(instance: ServiceInstance, reason: string): void {
    const { observe, name: service, policy } = this.#core;
    const nowMs = this.#core.look();
    if (nowMs < instance.withheldUntilMs) return;
    instance.withheldUntilMs = nowMs + policy.outlier.ejectForMs;
    observe({ kind: 'ejection-withheld', service, instance: instance.id, reason });
  }

  /** The service has one instance fewer in rotation: what must follow from that is done. */
  #lost(): void {
    this.#keepMin();
    this.#dispatch.serveWaiting();
  }

  /** With fewer in rotation than must be, an instance that was ejected for failures is better than none. */
  #keepMin(): void {
    const { instances, rotation, policy } = this.#core;
    if (rotation.eligible >= policy.outlier.keepMin) return;
    const [soonest] = [...instances.values()].filter(isMerelyEjected).sort((a, b) => endOf(a) - endOf(b));
    if (soonest !== undefined) this.tryOut(soonest);
  }

  /** From now on the instance warms up. */
  #startSlowly(instance: ServiceInstance): void {
    const { slowStartMs } = this.#core.policy;
    if (slowStartMs === 0 || instance.isOnProbation || !instance.isEligible) return;
    instance.slowFromMs = this.#core.look();
    instance.slowForMs = slowStartMs;
    this.#settle(instance);
    this.#core.rebalance();
  }

  #settle(instance: ServiceInstance): void {
    const { policy, rotation } = this.#core;
    const nowMs = this.#core.look();
    const { slowFromMs, slowForMs } = instance;
    if (slowFromMs !== undefined && nowMs >= slowFromMs + slowForMs) instance.slowFromMs = undefined;
    const standing = standingOf(instance, { nowMs, hangMsMax: policy.hangMsMax });
    instance.state = standing.state;
    instance.isEligible = isEligibleIn(standing.state);
    instance.isOnProbation = standing.state === 'probation';
    if (!instance.isEligible) instance.slowFromMs = undefined;
    this.#reviewLater(instance, standing);
    rotation.update(instance);
  }

  /** A standing may end by itself. */
  #reviewLater(instance: ServiceInstance, { state, untilMs }: Standing): void {
    const { isClosed, moment, clock } = this.#core;
    instance.cancelReview?.();
    instance.cancelReview = undefined;
    if (untilMs === undefined || untilMs === Infinity || isClosed) return;
    const stepMs = state === 'slow-start' ? instance.slowForMs / SLOW_START_STEPS : Infinity;
    const inMs = Math.max(0, Math.min(untilMs - moment.nowMs, stepMs));
    instance.cancelReview = clock.after(inMs, () => this.#review(instance));
  }

  #review(instance: ServiceInstance): void {
    const { state } = instance.outlier;
    if (state.kind === 'ejected' && state.untilMs <= this.#core.look()) {
      this.tryOut(instance);
      return;
    }
    if (instance.slowFromMs !== undefined) this.#core.rebalance();
    this.reassess(instance);
  }
}

/** Ejected for its failures, and for nothing else. */
function isMerelyEjected({ state, order }: ServiceInstance): boolean {
  return state === 'ejected' && order === 'none';
}

function endOf({ outlier: { state } }: ServiceInstance): number {
  return state.kind === 'ejected' ? state.untilMs : 0;
}

/** Where an instance stands, why, and when that may change by itself. */
export interface Standing {
  readonly state: InstanceState;
  readonly why: string | null;
  /** When the state ends by itself. */
  readonly untilMs: number | undefined;
}

/** What an instance's standing follows from, besides itself. */
interface Standard {
  readonly nowMs: number;
  readonly hangMsMax: number;
}

/** The standing of an instance. What weighs more stands first: what operators ordered, then failures, then checks. */
export function standingOf(instance: ServiceInstance, standard: Standard): Standing {
  return (
    ordered(instance) ??
    ejected(instance) ??
    unwell(instance, standard) ??
    onProbation(instance) ??
    startingSlowly(instance, standard) ?? {
      state: 'in-rotation',
      why: remarkOf(instance, standard),
      untilMs: undefined,
    }
  );
}

function ordered({ isLeaving, order, entry }: ServiceInstance): Standing | undefined {
  if (isLeaving) return { state: 'draining', why: 'it left the roster', untilMs: undefined };
  if (order === 'ejected') return { state: 'ejected', why: 'by hand', untilMs: undefined };
  if (order === 'draining') return { state: 'draining', why: 'by hand', untilMs: undefined };
  if (entry.health !== 'maintenance') return undefined;
  return { state: 'draining', why: entry.healthNote ?? 'maintenance', untilMs: undefined };
}

function ejected({ outlier: { state } }: ServiceInstance): Standing | undefined {
  return state.kind === 'ejected' ? { state: 'ejected', why: state.reason, untilMs: state.untilMs } : undefined;
}

function unwell(instance: ServiceInstance, { nowMs, hangMsMax }: Standard): Standing | undefined {
  const failed = [instance.rosterSays, instance.checksSay].filter(({ isWell }) => !isWell);
  const [first] = failed;
  if (first === undefined) return undefined;
  const evidence = { nowMs, isBusy: instance.inFlight > 0, lastGoodMs: instance.lastGoodMs, hangMsMax };
  const untilMs = Math.min(...failed.map(wellness => excusedUntilMs(wellness, evidence) ?? -Infinity));
  return untilMs > nowMs
    ? { state: 'busy-unchecked', why: first.note, untilMs }
    : { state: 'unhealthy', why: first.note, untilMs: undefined };
}

function onProbation({ outlier: { state } }: ServiceInstance): Standing | undefined {
  return state.kind === 'probation'
    ? { state: 'probation', why: 'one request at a time', untilMs: undefined }
    : undefined;
}

function startingSlowly(instance: ServiceInstance, standard: Standard): Standing | undefined {
  const { slowFromMs, slowForMs } = instance;
  if (slowFromMs === undefined) return undefined;
  return { state: 'slow-start', why: remarkOf(instance, standard), untilMs: slowFromMs + slowForMs };
}

/** What a call learns of a certificate; the next check has more to say. */
const NO_REASON = 'its certificate does not verify';

/** What should be known of an instance though it is in rotation. */
function remarkOf({ untrusted, remark }: ServiceInstance, { nowMs }: Standard): string | null {
  if (untrusted !== undefined) return `untrusted: ${untrusted}`;
  return remark !== undefined && remark.untilMs > nowMs ? remark.text : null;
}

/** An answer of its own proves for so long that an instance is well, whatever a check says that failed under work. */
const PROOF_FOR_MS = 10_000;

/** What speaks for an instance of which a check says that it is not well. */
interface Evidence {
  readonly nowMs: number;
  readonly isBusy: boolean;
  /** When it last gave an answer of its own. */
  readonly lastGoodMs: number;
  /** Nothing excuses it for longer without a good answer. */
  readonly hangMsMax: number;
}

/**
 * Until when a failed check is excused by work in hand, or by an answer just given; undefined: it is not.
 *
 * Busy is not dead. But only a check that failed under work is excused, and never for longer than work may take: from
 * the failure, or from the last good answer since, for under full load R may have no moment for a check between two.
 */
function excusedUntilMs(wellness: Wellness, evidence: Evidence): number | undefined {
  if (!wellness.wasBusy) return undefined;
  const atMostMs = Math.max(wellness.sinceMs, evidence.lastGoodMs) + evidence.hangMsMax;
  const hasProved = evidence.lastGoodMs >= wellness.sinceMs;
  const proofMs = evidence.isBusy ? Infinity : hasProved ? evidence.lastGoodMs + PROOF_FOR_MS : 0;
  const untilMs = Math.min(atMostMs, proofMs);
  return untilMs > evidence.nowMs ? untilMs : undefined;
}
