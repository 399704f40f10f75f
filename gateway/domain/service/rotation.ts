import type { BalancePolicy, Choice } from '../balance/policy.ts';
import type { Instance } from '../instance.ts';
import type { LivingInstance } from './living-instance.ts';
import type { PlaceWanted } from '../service.ts';

/**
 * The instances of a service that may be given work, and those of them with a free permit: kept as things change, so
 * that a pick need not look at the others.
 */
export interface Rotation {
  readonly eligible: number;
  /** True when someone could be given work right now. */
  readonly hasFree: boolean;
  /** Takes note that the instance's eligibility, permits, weight or gateway may have changed. */
  update(instance: LivingInstance): void;
  /** It was chosen: of equals it comes last from now on. */
  chosen(instance: LivingInstance): void;
  remove(instance: LivingInstance): void;
  /**
   * Whom the policy prefers of those who are free for this request; undefined: it has to wait, or nobody is left. One
   * that prefers another gateway is picked only when none of our own is free.
   */
  pick(wanted: PlaceWanted, policy: BalancePolicy): LivingInstance | undefined;
  /** Whether this request would take the instance now. One that failed it is taken only when there is no other. */
  wouldTake(wanted: PlaceWanted, instance: LivingInstance): boolean;
}

/** Who is free, by whom they prefer. */
interface Free {
  readonly policy: BalancePolicy;
  readonly own: Choice<LivingInstance>;
  readonly others: Choice<LivingInstance>;
}

/** No instances yet. */
export function createRotation(): Rotation {
  const eligible = new Set<LivingInstance>();
  const sides = new Map<LivingInstance, 'own' | 'others'>(); // of those who are free
  let free: Free | undefined;

  const take = (instance: LivingInstance) => {
    const side = sides.get(instance);
    if (side === undefined) return;
    instance.isFree = false;
    sides.delete(instance);
    free?.[side].remove(instance);
  };

  const put = (instance: LivingInstance, side: 'own' | 'others') => {
    if (sides.get(instance) === side) {
      free?.[side].changed(instance);
      return;
    }
    take(instance);
    instance.isFree = true;
    sides.set(instance, side);
    free?.[side].add(instance);
  };

  /** A policy keeps what it needs of those who are free from the first time it is asked. */
  const freeFor = (policy: BalancePolicy): Free => {
    if (free?.policy === policy) return free;
    const all = { policy, own: policy.choice<LivingInstance>(), others: policy.choice<LivingInstance>() };
    for (const [instance, side] of sides) all[side].add(instance);
    return (free = all);
  };

  const isEligible = (instance: Instance): instance is LivingInstance =>
    (eligible as ReadonlySet<Instance>).has(instance);

  const hasUntried = ({ tried }: PlaceWanted) => {
    for (const instance of eligible) if (!tried.includes(instance)) return true;
    return false;
  };

  /** Those that failed this request stand aside meanwhile: they are few. */
  const pickUntried = (all: Free, { tried, affinity }: PlaceWanted) => {
    const aside = tried.filter(isEligible).flatMap(instance => {
      const side = sides.get(instance);
      return side === undefined ? [] : [{ instance, choice: all[side] }];
    });
    for (const { instance, choice } of aside) choice.remove(instance);
    const picked = all.own.pick(affinity) ?? all.others.pick(affinity);
    for (const { instance, choice } of aside) choice.add(instance);
    return picked;
  };

  return {
    get eligible() {
      return eligible.size;
    },
    get hasFree() {
      return sides.size > 0;
    },
    update(instance) {
      if (instance.isEligible) eligible.add(instance);
      else eligible.delete(instance);
      if (instance.isEligible && instance.hasRoom) put(instance, instance.isOwn ? 'own' : 'others');
      else take(instance);
    },
    chosen(instance) {
      const side = sides.get(instance);
      if (side !== undefined) free?.[side].served(instance);
    },
    remove(instance) {
      eligible.delete(instance);
      take(instance);
    },
    pick(wanted, policy) {
      const all = freeFor(policy);
      if (sides.size === 0) return undefined;
      if (wanted.tried.length > 0) {
        const untried = pickUntried(all, wanted);
        if (untried !== undefined || hasUntried(wanted)) return untried;
      }
      return all.own.pick(wanted.affinity) ?? all.others.pick(wanted.affinity);
    },
    wouldTake: (wanted, instance) => instance.isFree && (!wanted.tried.includes(instance) || !hasUntried(wanted)),
  };
}
