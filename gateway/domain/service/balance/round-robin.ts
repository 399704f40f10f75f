import type { Instance } from '../../service.ts';
import { createPolicy, type BalancePolicy, type Choice } from './policy.ts';

/**
 * Takes turns, more often with an instance that weighs more, and spreads those turns out (the smooth weighted round robin of
 * nginx): with weights 5, 1, 1 it chooses a a b a c a a, not five times a in a row.
 */
export function roundRobin(): BalancePolicy {
  const credits = new WeakMap<Instance, number>();
  return createPolicy({ name: 'round-robin', choice: <I extends Instance>() => new RoundRobinChoice<I>(credits) });
}

/** An instance in the line of all that weigh the same. */
interface Standing<I> {
  readonly instance: I;
  weight: number;
  /** What its credit would be had it been in the choice from the first pick: the same pick by pick, until it is chosen. */
  base: number;
  turn: number;
}

/**
 * At each pick every instance gains its weight, and the one with the most pays for all.
 *
 * Those that weigh the same gain the same, so that their order stays: they stand in one line, and only the first of each
 * line are compared. A pick costs as much as there are different weights. A weight is looked at when the instance is
 * told to have changed, and each time it comes.
 */
class RoundRobinChoice<I extends Instance> implements Choice<I> {
  readonly #credits: WeakMap<Instance, number>;
  readonly #standings = new Map<I, Standing<I>>();
  readonly #byWeight = new Map<number, SortedList<Standing<I>>>();
  #picks = 0;
  #turns = 0;
  /** It has paid, but stands where it stood: mostly it is taken out next, and need not be moved before. */
  #unmoved: Standing<I> | undefined;

  constructor(credits: WeakMap<Instance, number>) {
    this.#credits = credits;
  }

  get size(): number {
    return this.#standings.size;
  }

  add(instance: I): void {
    const standing: Standing<I> = { instance, weight: 0, base: 0, turn: (this.#turns += 1) };
    this.#standings.set(instance, standing);
    this.#join(standing);
  }

  remove(instance: I): void {
    const standing = this.#standings.get(instance);
    if (standing === undefined) return;
    this.#standings.delete(instance);
    this.#leave(standing);
  }

  changed(instance: I): void {
    const standing = this.#standings.get(instance);
    if (standing === undefined || standing.weight === instance.weight) return;
    this.#leave(standing);
    this.#join(standing);
  }

  served(instance: I): void {
    const standing = this.#standings.get(instance);
    if (standing === undefined) return;
    this.#settle();
    const line = this.#byWeight.get(standing.weight);
    line?.remove(standing);
    standing.turn = this.#turns += 1;
    line?.add(standing);
  }

  pick(): I | undefined {
    this.#settle();
    this.#picks += 1;
    let best: Standing<I> | undefined;
    let bestCredit = -Infinity;
    let total = 0;
    for (const [weight, line] of this.#byWeight) {
      total += weight * line.size;
      const { first } = line;
      if (first === undefined) continue;
      const credit = first.base + weight * this.#picks;
      const isBetter = credit > bestCredit || (credit === bestCredit && first.turn < (best?.turn ?? Infinity));
      if (!isBetter) continue;
      best = first;
      bestCredit = credit;
    }
    if (best === undefined) return undefined;
    best.base -= total;
    this.#unmoved = best;
    return best.instance;
  }

  #settle(): void {
    const standing = this.#unmoved;
    if (standing === undefined) return;
    this.#unmoved = undefined;
    const line = this.#byWeight.get(standing.weight);
    line?.shift();
    line?.add(standing);
  }

  #join(standing: Standing<I>): void {
    this.#settle();
    const { weight } = standing.instance;
    standing.weight = weight;
    standing.base = (this.#credits.get(standing.instance) ?? 0) - weight * this.#picks;
    const line = this.#byWeight.get(weight) ?? new SortedList<Standing<I>>(comesBefore);
    this.#byWeight.set(weight, line);
    line.add(standing);
  }

  #leave(standing: Standing<I>): void {
    const isFirst = standing === this.#unmoved;
    if (isFirst) this.#unmoved = undefined;
    else this.#settle();
    const { instance, weight, base } = standing;
    this.#credits.set(instance, base + weight * this.#picks);
    const line = this.#byWeight.get(weight);
    if (isFirst) line?.shift();
    else line?.remove(standing);
    if (line?.size === 0) this.#byWeight.delete(weight);
  }
}

function comesBefore(a: Standing<unknown>, b: Standing<unknown>): boolean {
  return a.base === b.base ? a.turn < b.turn : a.base > b.base;
}

/** Whether the one comes before the other; never both. */
type ComesBefore<T> = (a: T, b: T) => boolean;

/**
 * Items in their order, of which one mostly leaves at the front and comes in at the back: both cost the same however many
 * there are. Anywhere else costs a search, and a move of what stands behind.
 */
export class SortedList<T> {
  readonly #items: T[] = [];
  readonly #comesBefore: ComesBefore<T>;

  constructor(comesBefore: ComesBefore<T>) {
    this.#comesBefore = comesBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    const last = this.#items.at(-1);
    if (last === undefined || this.#comesBefore(last, item)) this.#items.push(item);
    else this.#items.splice(this.#placeOf(item), 0, item);
  }

  /** Takes out the first, whatever its order has become. */
  shift(): void {
    this.#items.shift();
  }

  /** Takes out an item that stands in its order. */
  remove(item: T): void {
    const place = this.#placeOf(item);
    if (this.#items[place] === item) this.#items.splice(place, 1);
  }

  /** Where it stands, or would. */
  #placeOf(item: T): number {
    let [from, to] = [0, this.#items.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const there = this.#items[middle];
      if (there !== undefined && this.#comesBefore(there, item)) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
