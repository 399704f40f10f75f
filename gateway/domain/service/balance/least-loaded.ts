import type { Instance } from '../../service.ts';
import { createPolicy, loadOf, type BalancePolicy, type Choice } from './policy.ts';

/** Latencies within this factor of the best, and this many milliseconds, are alike: less is noise. */
const ALIKE_FACTOR = 2;
const ALIKE_MS = 1;

const SLOTS_MIN = 16;

/** Of so many picks one goes to the instance that has waited longest, the others to a warm one. */
const PICKS_A_TURN = 8;

/** How many slots each pick looks at anew, in turn. */
const LOOKED_AT = 4;

/**
 * Prefers the instance with the least work in hand for its weight, and among those the quicker.
 *
 * Of equals it prefers the one that worked last: an R that is called again at once answers about a tenth sooner than one
 * that the processors’ caches have forgotten. Turns are taken all the same, of several picks each, so that over time
 * equals do the same work, and no instance's faults stay hidden.
 *
 * Latency only breaks ties, and only in a coarse step: else the one that happens to have answered quickest would get
 * every call while load is low, and the others would never be measured again.
 */
export function leastLoaded(): BalancePolicy {
  return createPolicy({ name: 'least-loaded', choice: <I extends Instance>() => new LeastLoadedChoice<I>() });
}

/**
 * Instances in slots, in the order of their turns: the newest takes the next slot, and when all are used up the
 * empty ones are closed.
 *
 * Load is known at once, since every change of it is told. Weights and latencies also change as time passes, which
 * no event tells: each pick looks at a few slots anew, so that what is known of an idle instance is out of date by as many
 * picks at most as there are slots, divided by LOOKED_AT.
 */
class LeastLoadedChoice<I extends Instance> implements Choice<I> {
  readonly #slotOf = new Map<I, number>();
  #slots: (I | undefined)[] = [];
  #tree = new LeastTree(SLOTS_MIN);
  #lookedAt = 0;
  #picks = PICKS_A_TURN; // since the last turn

  get size(): number {
    return this.#slotOf.size;
  }

  add(instance: I): void {
    if (this.#slots.length === this.#tree.slots) this.#close();
    this.#slotOf.set(instance, this.#slots.length);
    this.#slots.push(instance);
    this.changed(instance);
  }

  remove(instance: I): void {
    const slot = this.#slotOf.get(instance);
    if (slot === undefined) return;
    this.#slotOf.delete(instance);
    this.#slots[slot] = undefined;
    this.#tree.clear(slot);
  }

  changed(instance: I): void {
    const slot = this.#slotOf.get(instance);
    if (slot !== undefined) this.#note(slot, instance);
  }

  served(instance: I): void {
    if (this.#slotOf.get(instance) === this.#slots.length - 1) return;
    this.remove(instance);
    this.add(instance);
  }

  pick(): I | undefined {
    this.#look();
    const { latencyMs } = this.#tree;
    const latencyMsMax = Math.max(latencyMs * ALIKE_FACTOR, latencyMs + ALIKE_MS);
    const slot = this.#waited(latencyMsMax) ?? this.#tree.last(latencyMsMax);
    return slot === undefined ? undefined : this.#slots[slot];
  }

  /** Its slot, where a turn is due; it stays due while there are no equals to take it from. */
  #waited(latencyMsMax: number): number | undefined {
    this.#picks += 1;
    if (this.#picks < PICKS_A_TURN) return undefined;
    const slot = this.#tree.first(latencyMsMax);
    if (slot !== this.#tree.last(latencyMsMax)) this.#picks = 0;
    return slot;
  }

  #note(slot: number, instance: I): void {
    const load = Math.min(loadOf(instance), Number.MAX_VALUE); // an instance without weight is still better than none
    this.#tree.set(slot, load, instance.latencyMs ?? 0); // unknown: worth a try
  }

  #look(): void {
    const used = this.#slots.length;
    for (let i = Math.min(LOOKED_AT, used); i > 0; i--) {
      this.#lookedAt = this.#lookedAt + 1 < used ? this.#lookedAt + 1 : 0;
      const instance = this.#slots[this.#lookedAt];
      if (instance !== undefined) this.#note(this.#lookedAt, instance);
    }
  }

  #close(): void {
    this.#slots = this.#slots.filter(instance => instance !== undefined);
    const slots = slotsFor(this.#slots.length);
    if (slots === this.#tree.slots) this.#tree.clearAll();
    else this.#tree = new LeastTree(slots);
    for (const [slot, instance] of this.#slots.entries()) {
      if (instance === undefined) continue;
      this.#slotOf.set(instance, slot);
      this.#note(slot, instance);
    }
  }
}

/** Room for as many again at least: slots are closed once in that many turns. */
function slotsFor(instances: number): number {
  let slots = SLOTS_MIN;
  while (slots < 2 * instances) slots *= 2;
  return slots;
}

/**
 * A load and a latency in each of its slots. It knows the least load, the least latency among those that have it, and
 * finds the first and the last slot of them, each at a cost that grows with the logarithm of their number.
 */
class LeastTree {
  readonly slots: number;
  // The root is at 1, the children of i at 2 i and 2 i + 1, the slots are the leaves. A node has the least of its two.
  readonly #loads: Float64Array;
  readonly #latencies: Float64Array;

  /** `slots` must be a power of two. */
  constructor(slots: number) {
    this.slots = slots;
    this.#loads = new Float64Array(2 * slots).fill(Infinity);
    this.#latencies = new Float64Array(2 * slots).fill(Infinity);
  }

  /** The least latency among those with the least load. */
  get latencyMs(): number {
    return this.#latencies[1] ?? Infinity;
  }

  set(slot: number, load: number, latencyMs: number): void {
    const loads = this.#loads;
    const latencies = this.#latencies;
    let node = this.slots + slot;
    if (loads[node] === load && latencies[node] === latencyMs) return;
    loads[node] = load;
    latencies[node] = latencyMs;
    while (node > 1) {
      node >>= 1;
      const child = this.#lesserChild(node);
      const least = loads[child] ?? Infinity;
      const quickest = latencies[child] ?? Infinity;
      if (loads[node] === least && latencies[node] === quickest) return; // nor does it change further up
      loads[node] = least;
      latencies[node] = quickest;
    }
  }

  /** The slot is empty. */
  clear(slot: number): void {
    this.set(slot, Infinity, Infinity);
  }

  clearAll(): void {
    this.#loads.fill(Infinity);
    this.#latencies.fill(Infinity);
  }

  /** The first slot with the least load and a latency of at most this; undefined: there is none. */
  first(latencyMsMax: number): number | undefined {
    return this.#find(latencyMsMax, 0);
  }

  /** The last such slot. */
  last(latencyMsMax: number): number | undefined {
    return this.#find(latencyMsMax, 1);
  }

  /** Goes down from the root, to this side wherever there is one. */
  #find(latencyMsMax: number, side: 0 | 1): number | undefined {
    const load = this.#loads[1] ?? Infinity;
    if (!this.#isWithin(1, load, latencyMsMax)) return undefined;
    let node = 1;
    while (node < this.slots) {
      const child = 2 * node + side;
      node = this.#isWithin(child, load, latencyMsMax) ? child : child ^ 1;
    }
    return node - this.slots;
  }

  #isWithin(node: number, load: number, latencyMsMax: number): boolean {
    return load < Infinity && this.#loads[node] === load && (this.#latencies[node] ?? Infinity) <= latencyMsMax;
  }

  #lesserChild(node: number): number {
    const [left, right] = [2 * node, 2 * node + 1];
    const [leftLoad, rightLoad] = [this.#loads[left] ?? Infinity, this.#loads[right] ?? Infinity];
    if (leftLoad !== rightLoad) return leftLoad < rightLoad ? left : right;
    return (this.#latencies[left] ?? Infinity) <= (this.#latencies[right] ?? Infinity) ? left : right;
  }
}
