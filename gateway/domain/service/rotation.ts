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
  /** It was chosen: of equals all others have waited longer. */
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
  let freeCount = 0;
  let free: Free | undefined;

  const count = (instance: LivingInstance, isInRotation: boolean) => {
    if (instance.isInRotation === isInRotation) return;
    instance.isInRotation = isInRotation;
    if (isInRotation) eligible.add(instance);
    else eligible.delete(instance);
  };

  const setFree = (instance: LivingInstance, freeAs: LivingInstance['freeAs']) => {
    const before = instance.freeAs;
    if (before === freeAs) {
      if (freeAs !== undefined) free?.[freeAs].changed(instance);
      return;
    }
    instance.freeAs = freeAs;
    if (before === undefined) freeCount += 1;
    else free?.[before].remove(instance);
    if (freeAs === undefined) freeCount -= 1;
    else free?.[freeAs].add(instance);
  };

  /** A policy keeps what it needs of those who are free, from the first time it is asked. */
  const freeFor = (policy: BalancePolicy): Free =>
    free?.policy === policy ? free : (free = freeAmong(eligible, policy));

  const isEligible = (instance: Instance): instance is LivingInstance =>
    (eligible as ReadonlySet<Instance>).has(instance);

  return {
    get eligible() {
      return eligible.size;
    },
    get hasFree() {
      return freeCount > 0;
    },
    update(instance) {
      count(instance, instance.isEligible);
      const isFree = instance.isEligible && instance.hasRoom;
      setFree(instance, isFree ? (instance.isOwn ? 'own' : 'others') : undefined);
    },
    chosen(instance) {
      if (instance.freeAs !== undefined) free?.[instance.freeAs].served(instance);
    },
    remove(instance) {
      count(instance, false);
      setFree(instance, undefined);
    },
    pick(wanted, policy) {
      const all = freeFor(policy);
      if (wanted.tried.length > 0) {
        const untried = pickBut(all, wanted, wanted.tried.filter(isEligible));
        if (untried !== undefined || hasUntried(eligible, wanted)) return untried;
      }
      return all.own.pick(wanted.affinity) ?? all.others.pick(wanted.affinity);
    },
    wouldTake: (wanted, instance) =>
      instance.isFree && (!wanted.tried.includes(instance) || !hasUntried(eligible, wanted)),
  };
}

function freeAmong(eligible: ReadonlySet<LivingInstance>, policy: BalancePolicy): Free {
  const free = { policy, own: policy.choice<LivingInstance>(), others: policy.choice<LivingInstance>() };
  for (const instance of eligible) if (instance.freeAs !== undefined) free[instance.freeAs].add(instance);
  return free;
}

function hasUntried(eligible: ReadonlySet<LivingInstance>, { tried }: PlaceWanted): boolean {
  for (const instance of eligible) if (!tried.includes(instance)) return true;
  return false;
}

/** Those that failed this request, who are few, stand aside meanwhile. */
function pickBut(all: Free, { affinity }: PlaceWanted, tried: readonly LivingInstance[]): LivingInstance | undefined {
  const aside = [...new Set(tried)].flatMap(instance =>
    instance.freeAs === undefined ? [] : [{ instance, choice: all[instance.freeAs] }],
  );
  for (const { instance, choice } of aside) choice.remove(instance);
  const picked = all.own.pick(affinity) ?? all.others.pick(affinity);
  for (const { instance, choice } of aside) choice.add(instance);
  return picked;
}
