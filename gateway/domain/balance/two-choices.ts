import { loadOf } from '../instance.ts';
import { at } from '../non-empty.ts';
import type { Random } from '../ports.ts';
import type { BalancePolicy } from './policy.ts';

/**
 * Draws two instances and keeps the less loaded.
 *
 * Nearly as even as comparing them all, and it does not stampede: several gateways that see the same idlest instance
 * still draw different pairs.
 */
export function twoChoices(random: Random): BalancePolicy {
  return {
    name: 'two-choices',
    pick(candidates) {
      const count = candidates.length;
      const first = random.below(count);
      const second = (first + 1 + random.below(count - 1)) % count; // never `first`, unless it is alone
      const [a, b] = [at(candidates, first), at(candidates, second)];
      return loadOf(b) < loadOf(a) ? b : a;
    },
  };
}
