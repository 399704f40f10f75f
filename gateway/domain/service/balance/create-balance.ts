import type { Random } from '../../clock.ts';
import type { BalanceSpec } from '../service-policy.ts';
import { leastLoaded } from './least-loaded.ts';
import type { BalancePolicy } from './policy.ts';
import { ring } from './ring.ts';
import { roundRobin } from './round-robin.ts';
import { twoChoices } from './two-choices.ts';

/** The policy an operator asked for. */
export function createBalance(spec: BalanceSpec, random: Random): BalancePolicy {
  switch (spec.policy) {
    case 'least-loaded':
      return leastLoaded();
    case 'round-robin':
      return roundRobin();
    case 'two-choices':
      return twoChoices(random);
    case 'hash':
      return ring(leastLoaded(), spec.strict);
  }
}
