import type { Instance } from '../instance.ts';
import type { BalancePolicy } from './policy.ts';

/**
 * Takes turns, more often with whoever weighs more, and spreads those turns out (the smooth weighted round robin of
 * nginx): with weights 5, 1, 1 it chooses a a b a c a a, not five times a in a row.
 */
export function roundRobin(): BalancePolicy {
  const credits = new WeakMap<Instance, number>();

  return {
    name: 'round-robin',
    pick(candidates) {
      let best = candidates[0];
      let bestCredit = -Infinity;
      let total = 0;
      for (const candidate of candidates) {
        const { weight } = candidate;
        const credit = (credits.get(candidate) ?? 0) + weight;
        credits.set(candidate, credit);
        total += weight;
        if (credit <= bestCredit) continue;
        best = candidate;
        bestCredit = credit;
      }
      credits.set(best, bestCredit - total);
      return best;
    },
  };
}
