import type { BalancePolicy } from '../balance/policy.ts';
import type { LivingInstance } from './living-instance.ts';
import { isNonEmpty } from '../non-empty.ts';
import type { PlaceWanted } from '../service.ts';

/**
 * The instances of a service that may be given work, and those of them with a free permit: kept as things change, so
 * that a pick need not look at the others.
 */
export interface Rotation {
  readonly eligible: number;
  /** True when someone could be given work right now. */
  readonly hasFree: boolean;
  /** Takes note that the instance's eligibility or permits may have changed. */
  update(instance: LivingInstance): void;
  /** It was chosen: of equals it comes last from now on. */
  chosen(instance: LivingInstance): void;
  remove(instance: LivingInstance): void;
  /** Whom the policy prefers of those who are free for this request; undefined: it has to wait, or nobody is left. */
  pick(wanted: PlaceWanted, policy: BalancePolicy): LivingInstance | undefined;
  /** Whether this request would take the instance now. One that failed it is taken only when there is no other. */
  wouldTake(wanted: PlaceWanted, instance: LivingInstance): boolean;
}

/** No instances yet. */
export function createRotation(): Rotation {
  const eligible = new Set<LivingInstance>();
  const free: LivingInstance[] = []; // in the order in which they became free or were last chosen

  const setFree = (instance: LivingInstance, isFree: boolean) => {
    if (isFree === instance.isFree) return;
    instance.isFree = isFree;
    if (isFree) free.push(instance);
    else free.splice(free.indexOf(instance), 1);
  };

  const hasUntried = ({ tried }: PlaceWanted) => {
    for (const instance of eligible) if (!tried.includes(instance)) return true;
    return false;
  };

  const update = (instance: LivingInstance) => {
    if (instance.isEligible) eligible.add(instance);
    else eligible.delete(instance);
    setFree(instance, instance.isEligible && instance.hasRoom);
  };

  const untriedOf = (wanted: PlaceWanted) => {
    const untried = free.filter(instance => !wanted.tried.includes(instance));
    return untried.length > 0 || hasUntried(wanted) ? untried : free;
  };

  return {
    get eligible() {
      return eligible.size;
    },
    get hasFree() {
      return free.length > 0;
    },
    update,
    chosen(instance) {
      if (!instance.isFree || free[free.length - 1] === instance) return;
      free.splice(free.indexOf(instance), 1);
      free.push(instance);
    },
    remove(instance) {
      eligible.delete(instance);
      setFree(instance, false);
    },
    pick(wanted, policy) {
      const candidates: readonly LivingInstance[] = wanted.tried.length === 0 ? free : untriedOf(wanted);
      return isNonEmpty(candidates) ? policy.pick(candidates, wanted.affinity) : undefined;
    },
    wouldTake: (wanted, instance) => instance.isFree && (!wanted.tried.includes(instance) || !hasUntried(wanted)),
  };
}
