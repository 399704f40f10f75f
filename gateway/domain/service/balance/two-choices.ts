import type { Instance } from '../../service.ts';
import { at } from '../../non-empty.ts';
import { createPolicy, loadOf, type BalancePolicy, type Choice } from './policy.ts';
import type { Random } from '../../clock.ts';

/**
 * Draws two instances and keeps the less loaded.
 *
 * Nearly as even as comparing them all, and it does not stampede: several gateways that see the same idlest instance
 * still draw different pairs.
 */
export function twoChoices(random: Random): BalancePolicy {
  return createPolicy({ name: 'two-choices', choice: <I extends Instance>() => new TwoChoices<I>(random) });
}

/** In no order, since chance decides: one that leaves is replaced by the last. */
class TwoChoices<I extends Instance> implements Choice<I> {
  readonly #random: Random;
  readonly #instances: I[] = [];
  readonly #indexOf = new Map<I, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#instances.length;
  }

  add(instance: I): void {
    this.#indexOf.set(instance, this.#instances.length);
    this.#instances.push(instance);
  }

  remove(instance: I): void {
    const index = this.#indexOf.get(instance);
    if (index === undefined) return;
    this.#indexOf.delete(instance);
    const last = this.#instances.pop();
    if (last === undefined || last === instance) return;
    this.#instances[index] = last;
    this.#indexOf.set(last, index);
  }

  changed(): void {
    // Load is looked at when a pair is drawn.
  }

  served(): void {
    // There are no turns.
  }

  pick(): I | undefined {
    const count = this.#instances.length;
    if (count === 0) return undefined;
    const first = this.#random.below(count);
    const second = (first + 1 + this.#random.below(count - 1)) % count; // never `first`, unless it is alone
    const [a, b] = [at(this.#instances, first), at(this.#instances, second)];
    return loadOf(b) < loadOf(a) ? b : a;
  }
}
