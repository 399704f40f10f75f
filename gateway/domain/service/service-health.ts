import type { LivingInstance } from './living-instance.ts';
import type { ServiceCore } from './service-core.ts';
import type { Ejections } from './service-ejection.ts';
import type { Finding, LivingService } from '../service.ts';
import { toWellness, type Wellness } from './wellness.ts';

/** Hears what attempts, checks, the roster, people and time say of a service's instances. */
export interface ServiceHealth {
  report(instance: LivingInstance, finding: Finding): void;
  readonly checked: LivingService['checked'];
  readonly command: LivingService['command'];
  /** What the roster says of the instance's health; it must be reassessed afterwards. */
  heed(instance: LivingInstance): void;
  /** The time has come to look at the instance again. */
  review(instance: LivingInstance): void;
}

/** The health of one service's instances. */
export function createServiceHealth(core: ServiceCore, ejections: Ejections): ServiceHealth {
  const { name: service, observe, instances } = core;

  const hear = (instance: LivingInstance, known: Wellness, found: { isWell: boolean; note: string }): Wellness => {
    const wellness = toWellness(known, found, { nowMs: core.look(), isBusy: instance.inFlight > 0 });
    if (wellness.isWell !== known.isWell) {
      observe({ kind: 'instance-health', service, instance: instance.id, ...found });
    }
    return wellness;
  };

  const circumstances = {
    get policy() {
      return core.policy.outlier;
    },
    isSoleCaller: (callerId: string) => core.callers.isSole(callerId, core.moment.nowMs),
  };

  const judge = (instance: LivingInstance, finding: Finding) => {
    const verdict = instance.outlier.judge(finding, circumstances);
    if (verdict === 'eject') ejections.eject(instance, finding.outcome);
    if (verdict === 'readmit') ejections.readmit(instance, 'a good answer');
  };

  const find = (instanceId: string) => [...instances.values()].find(({ id }) => id === instanceId);

  return {
    report(instance, finding) {
      core.look();
      note(core, instance, finding);
      if (instance.isLeaving || core.isClosed) return;
      judge(instance, finding);
      if (finding.outcome !== 'ok' || instance.checksSay.isWell) return;
      instance.checksSay = hear(instance, instance.checksSay, { isWell: true, note: 'a good answer' });
      ejections.reassess(instance);
    },

    checked(instanceId, isWell, note) {
      const instance = find(instanceId);
      if (instance === undefined || core.isClosed) return;
      instance.checksSay = hear(instance, instance.checksSay, { isWell, note });
      if (isWell && instance.outlier.canBeDisproved()) ejections.tryOut(instance);
      else ejections.reassess(instance);
    },

    command(instanceId, order) {
      const instance = find(instanceId);
      if (instance === undefined) return false;
      if (order === 'readmit') readmitByHand(instance, ejections);
      else orderOut(core, instance, { order, ejections });
      return true;
    },

    heed(instance) {
      instance.rosterSays = hear(instance, instance.rosterSays, rosterFinding(instance));
    },

    review(instance) {
      const { state } = instance.outlier;
      if (state.kind === 'ejected' && state.untilMs <= core.look()) {
        ejections.tryOut(instance);
        return;
      }
      if (instance.slowFromMs !== undefined) core.balance.adopt?.([...instances.values()]);
      ejections.reassess(instance);
    },
  };
}

function rosterFinding({ entry }: LivingInstance): { isWell: boolean; note: string } {
  return { isWell: entry.health !== 'critical', note: entry.healthNote ?? '' };
}

function note(core: ServiceCore, instance: LivingInstance, finding: Finding): void {
  const { outcome, durationMs, request } = finding;
  const { nowMs } = core.moment;
  if (outcome === 'ok') {
    instance.latency.note(durationMs, nowMs);
    instance.lastGoodMs = nowMs;
    return;
  }
  // One request may bring two findings: it timed out, and then the instance turned out to hang.
  if (outcome === 'abandoned' || instance.lastFailedRequest === request) return;
  instance.failures += 1;
  instance.lastFailedRequest = request;
}

function readmitByHand(instance: LivingInstance, ejections: Ejections): void {
  if (instance.order === 'none' && instance.outlier.state.kind === 'in-rotation') return;
  instance.order = 'none';
  ejections.readmit(instance, 'by hand');
}

interface OrderedOut {
  readonly order: 'eject' | 'drain';
  readonly ejections: Ejections;
}

/** An order is carried out whatever it leaves; but it says what it leaves. */
function orderOut(core: ServiceCore, instance: LivingInstance, { order, ejections }: OrderedOut): void {
  const { name: service, observe, rotation, policy } = core;
  const { id } = instance;
  instance.order = order === 'eject' ? 'ejected' : 'draining';
  if (order === 'eject') observe({ kind: 'ejected', service, instance: id, reason: 'by hand', forMs: Infinity });
  ejections.reassess(instance);
  const { keepMin } = policy.outlier;
  const isShort = rotation.eligible < keepMin;
  observe({
    kind: 'notice',
    level: isShort ? 'warn' : 'info',
    text: isShort ? `${order} by hand leaves fewer instances than keepMin` : `${order} by hand`,
    about: { service, instance: id, inRotation: rotation.eligible, keepMin },
  });
}
