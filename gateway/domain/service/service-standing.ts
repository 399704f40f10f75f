import { isEligibleIn, standingOf, type Standing } from './instance-standing.ts';
import type { LivingInstance } from './living-instance.ts';
import type { ServiceCore } from './service-core.ts';

/** Keeps the standing of a service's instances true, as things happen and as time passes. */
export interface Standings {
  /** Works the standing out anew; true when the instance came into or out of rotation. */
  assess(instance: LivingInstance): boolean;
  /** From now on the instance warms up; as last assessed it must be in rotation. */
  startSlowly(instance: LivingInstance): void;
}

/** How often within a slow start those policies are told that keep weights. */
const SLOW_START_STEPS = 10;

/** `onReview` is called when a standing may have ended by itself. */
export function createStandings(core: ServiceCore, onReview: (instance: LivingInstance) => void): Standings {
  const review = (instance: LivingInstance, { state, untilMs }: Standing) => {
    instance.cancelReview?.();
    instance.cancelReview = undefined;
    if (untilMs === undefined || untilMs === Infinity || core.isClosed) return;
    const stepMs = state === 'slow-start' ? instance.slowForMs / SLOW_START_STEPS : Infinity;
    const inMs = Math.max(0, Math.min(untilMs - core.moment.nowMs, stepMs));
    instance.cancelReview = core.clock.after(inMs, () => onReview(instance));
  };

  const settle = (instance: LivingInstance) => {
    const nowMs = core.look();
    if (instance.slowFromMs !== undefined && nowMs >= instance.slowFromMs + instance.slowForMs) {
      instance.slowFromMs = undefined;
    }
    const standing = standingOf(instance, { nowMs, hangMsMax: core.policy.hangMsMax });
    instance.state = standing.state;
    instance.isEligible = isEligibleIn(standing.state);
    instance.isOnTrial = standing.state === 'probation';
    if (!instance.isEligible) instance.slowFromMs = undefined;
    review(instance, standing);
    core.rotation.update(instance);
  };

  return {
    assess(instance) {
      const wasEligible = instance.isEligible;
      settle(instance);
      return wasEligible !== instance.isEligible;
    },
    startSlowly(instance) {
      if (core.policy.slowStartMs === 0 || instance.isOnTrial || !instance.isEligible) return;
      instance.slowFromMs = core.look();
      instance.slowForMs = core.policy.slowStartMs;
      settle(instance);
      core.balance.adopt?.([...core.instances.values()]);
    },
  };
}
