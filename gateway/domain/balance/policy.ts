import type { Instance } from '../instance.ts';
import type { NonEmpty } from '../non-empty.ts';

/**
 * Those a policy may choose from, kept as they come and go, so that a pick among thousands costs about what one among
 * ten does.
 *
 * Who is in it is eligible: healthy, not draining, with a free permit. A policy states a preference among them and
 * nothing else, so no policy can forget a health check.
 */
export interface Choice<I extends Instance> {
  readonly size: number;
  /** Of equals, those that are in it have waited longer. It must not be in it yet. */
  add(instance: I): void;
  /** Nothing happens where it is not in it. */
  remove(instance: I): void;
  /** Its load, weight or latency may be another. */
  changed(instance: I): void;
  /** It was given work, whoever chose it: of equals all others have waited longer. */
  served(instance: I): void;
  /**
   * Who receives the next attempt; undefined only where nobody is in it. `affinity` is equal for requests that should
   * meet the same instance.
   */
  pick(affinity: string): I | undefined;
}

/** Chooses the instance that receives the next attempt. */
export interface BalancePolicy {
  readonly name: string;
  /** A choice with nobody in it. What the policy remembers of an instance holds in all its choices. */
  choice<I extends Instance>(): Choice<I>;
  /** One of those listed for this request alone, in a time that grows with their number; equals take turns. */
  pick<I extends Instance>(candidates: NonEmpty<I>, affinity: string): I;
  /** The service lists these now, in whatever state; or their weights have changed. */
  adopt?(instances: readonly Instance[]): void;
}

/** A policy by the way it chooses. */
export function createPolicy(parts: Omit<BalancePolicy, 'pick'>): BalancePolicy {
  const turns = new WeakMap<Instance, number>();
  let turn = 0;

  return {
    ...parts,
    pick(candidates, affinity) {
      type Candidate = (typeof candidates)[number];
      const turnOf = (candidate: Candidate) => turns.get(candidate) ?? 0;
      const choice = parts.choice<Candidate>();
      for (const candidate of [...candidates].sort((a, b) => turnOf(a) - turnOf(b))) choice.add(candidate);
      const chosen = choice.pick(affinity) ?? candidates[0];
      turns.set(chosen, (turn += 1));
      for (const candidate of candidates) choice.remove(candidate); // what is remembered of it goes with it
      return chosen;
    },
  };
}
