import type { LivingInstance } from './living-instance.ts';
import { canEject } from './outlier.ts';
import type { ServiceCore } from './service-core.ts';
import type { Dispatch } from './service-dispatch.ts';
import type { Standings } from './service-standing.ts';

/** Takes instances out of rotation and back, within the service's bounds. */
export interface Ejections {
  /** Something about the instance changed: it is assessed, and what follows from that is done. */
  readonly reassess: (instance: LivingInstance, isWarm?: boolean) => void;
  /** The service has one instance fewer in rotation: what must follow from that is done. */
  readonly lost: () => void;
  eject(instance: LivingInstance, reason: string): void;
  /** Into probation. */
  tryOut(instance: LivingInstance): void;
  readmit(instance: LivingInstance, reason: string): void;
}

interface Parts {
  readonly dispatch: Dispatch;
  readonly standings: Standings;
}

/** The ejections of one service. */
export function createEjections(core: ServiceCore, { dispatch, standings }: Parts): Ejections {
  const { name: service, observe, rotation, instances } = core;

  const reassess = (instance: LivingInstance, isWarm = false) => {
    if (standings.assess(instance) && instance.isEligible && !isWarm) standings.startSlowly(instance);
    if (instance.isEligible) instance.address.offer();
    else lost();
  };

  const tryOut = (instance: LivingInstance) => {
    instance.outlier.tryOut();
    observe({ kind: 'probation', service, instance: instance.id });
    reassess(instance);
  };

  /** With fewer in rotation than must be, whoever was ejected for failures is better than nobody. */
  const keepMin = () => {
    if (rotation.eligible >= core.policy.outlier.keepMin) return;
    const [soonest] = [...instances.values()].filter(isMerelyEjected).sort((a, b) => endOf(a) - endOf(b));
    if (soonest !== undefined) tryOut(soonest);
  };

  const lost = () => {
    keepMin();
    dispatch.serveWaiting();
  };

  /** Said once, not for each failure. */
  const withhold = (instance: LivingInstance, reason: string) => {
    const nowMs = core.look();
    if (nowMs < instance.withheldUntilMs) return;
    instance.withheldUntilMs = nowMs + core.policy.outlier.ejectForMs;
    observe({ kind: 'ejection-withheld', service, instance: instance.id, reason });
  };

  return {
    reassess,
    lost,
    tryOut,
    eject(instance, reason) {
      if (!canAfford(core, instance)) {
        withhold(instance, reason);
        return;
      }
      const forMs = instance.outlier.eject(reason, core.policy.outlier, core.look());
      observe({ kind: 'ejected', service, instance: instance.id, reason, forMs });
      reassess(instance);
    },
    readmit(instance, reason) {
      const wasEligible = instance.isEligible;
      instance.outlier.readmit(core.look());
      observe({ kind: 'readmitted', service, instance: instance.id, reason });
      reassess(instance);
      if (wasEligible) standings.startSlowly(instance); // out of probation, which is in rotation already
    },
  };
}

function canAfford({ instances, policy, rotation }: ServiceCore, instance: LivingInstance): boolean {
  let ejected = 0;
  for (const { state } of instances.values()) if (state === 'ejected') ejected += 1;
  return canEject({
    policy: policy.outlier,
    instances: instances.size,
    ejected,
    othersInRotation: rotation.eligible - (instance.isEligible ? 1 : 0),
  });
}

/** Ejected for its failures, and for nothing else. */
function isMerelyEjected({ state, order }: LivingInstance): boolean {
  return state === 'ejected' && order === 'none';
}

function endOf({ outlier: { state } }: LivingInstance): number {
  return state.kind === 'ejected' ? state.untilMs : 0;
}
