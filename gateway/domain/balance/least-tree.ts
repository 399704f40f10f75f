/**
 * A load and a latency in each of its slots. It knows the least load, the least latency among those who have it, and
 * finds the first and the last slot of them, each at a cost that grows with the logarithm of their number.
 */
export class LeastTree {
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
    const [loads, latencies] = [this.#loads, this.#latencies];
    let node = this.slots + slot;
    if (loads[node] === load && latencies[node] === latencyMs) return;
    loads[node] = load;
    latencies[node] = latencyMs;
    while (node > 1) {
      node >>= 1;
      const child = this.#lesserChild(node);
      const [least, quickest] = [loads[child] ?? Infinity, latencies[child] ?? Infinity];
      if (loads[node] === least && latencies[node] === quickest) return; // nor does it change further up
      loads[node] = least;
      latencies[node] = quickest;
    }
  }

  /** Nobody is in the slot any more. */
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
