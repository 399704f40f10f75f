import { hash32 } from '../../hash32.ts';
import type { Instance } from '../../service.ts';
import { createPolicy, type BalancePolicy, type Choice } from './policy.ts';

/** Points an instance of the greatest weight has on the ring: enough for even shares, fewer where instances are many. */
const POINTS_MAX = 160;
const POINTS_MIN = 16;
const POINTS_IN_ALL = 16_384;

/** How many points are looked at before choosing among the candidates alone. */
const STEPS_MAX = 128;

/** None takes more than this much above the average: what is above goes on to the next on the ring. */
const LOAD_MAX = 1.25;

interface Ring {
  readonly hashes: Uint32Array;
  readonly owners: readonly Instance[];
}

/**
 * Sends equal affinities to the same instance as long as it can take them (consistent hashing with bounded loads).
 *
 * An instance that comes or goes moves only its own share of the affinities. One that is out for a while keeps its
 * points: what would be its goes to the next on the ring, and comes back with it. Without an affinity `otherwise` picks.
 * A strict ring says whose an affinity is, whatever that one has in hand.
 */
export function ring(otherwise: BalancePolicy, isStrict = false): BalancePolicy {
  let current: Ring = { hashes: new Uint32Array(), owners: [] };
  const strict: Pick<BalancePolicy, 'ownerOf'> = {
    ownerOf: (affinity, isUsable) => firstUsable(current, hash32(affinity), isUsable),
  };

  return createPolicy({
    name: 'hash',
    ...(isStrict ? strict : {}),
    adopt(instances) {
      current = createRing(instances);
      otherwise.adopt?.(instances);
    },
    choice: <I extends Instance>() => new RingChoice<I>(() => current, otherwise.choice<I>()),
  });
}

function createRing(instances: readonly Instance[]): Ring {
  const weightMax = instances.reduce((most, { weight }) => Math.max(most, weight), Number.MIN_VALUE);
  const pointsMax = Math.min(POINTS_MAX, Math.max(POINTS_MIN, Math.floor(POINTS_IN_ALL / (instances.length || 1))));
  const points = instances.flatMap(owner => {
    const count = Math.max(1, Math.round((pointsMax * owner.weight) / weightMax));
    return Array.from({ length: count }, (_, i) => ({ hash: hash32(`${owner.id}#${i}`), owner }));
  });
  points.sort((a, b) => a.hash - b.hash);
  return { hashes: Uint32Array.from(points, ({ hash }) => hash), owners: points.map(({ owner }) => owner) };
}

/** What an instance counts for in the sums over all of them. */
interface Counted<I> {
  readonly instance: I;
  inFlight: number;
  weight: number;
}

class RingChoice<I extends Instance> implements Choice<I> {
  readonly #ring: () => Ring;
  readonly #otherwise: Choice<I>;
  readonly #counted = new Map<Instance, Counted<I>>();
  // Over those that can take work at all; kept, since it is asked for at each step on the ring.
  #inFlight = 0;
  #weight = 0;

  constructor(currentRing: () => Ring, otherwise: Choice<I>) {
    this.#ring = currentRing;
    this.#otherwise = otherwise;
  }

  get size(): number {
    return this.#counted.size;
  }

  add(instance: I): void {
    this.#otherwise.add(instance);
    const counted: Counted<I> = { instance, inFlight: 0, weight: 0 };
    this.#counted.set(instance, counted);
    this.#count(counted, instance);
  }

  remove(instance: I): void {
    this.#otherwise.remove(instance);
    const counted = this.#counted.get(instance);
    if (counted === undefined) return;
    this.#count(counted, { inFlight: 0, weight: 0 });
    this.#counted.delete(instance);
    if (this.#counted.size === 0) this.#weight = 0; // whatever rounding left
  }

  changed(instance: I): void {
    this.#otherwise.changed(instance);
    const counted = this.#counted.get(instance);
    if (counted !== undefined) this.#count(counted, instance);
  }

  served(instance: I): void {
    this.#otherwise.served(instance);
  }

  pick(affinity: string): I | undefined {
    if (affinity === '') return this.#otherwise.pick(affinity);
    const place = hash32(affinity);
    return this.#walk(place) ?? this.#nearest(place);
  }

  #count(counted: Counted<I>, { inFlight, weight }: Pick<Instance, 'inFlight' | 'weight'>): void {
    this.#inFlight += inFlight - counted.inFlight;
    this.#weight += weight - counted.weight;
    counted.inFlight = inFlight;
    counted.weight = weight;
  }

  /** The first of these at or behind `place` that has room, or else the first at all. */
  #walk(place: number): I | undefined {
    const { hashes, owners } = this.#ring();
    const start = firstAtOrAfter(hashes, place);
    const steps = Math.min(STEPS_MAX, owners.length);
    let first: I | undefined;
    for (let i = 0; i < steps; i++) {
      const owner = owners[(start + i) % owners.length];
      const instance = owner && this.#counted.get(owner)?.instance;
      if (instance === undefined) continue;
      if (this.#hasRoom(instance)) return instance;
      first ??= instance;
    }
    return first;
  }

  /** An idle one is never above the average. */
  #hasRoom({ inFlight, weight }: I): boolean {
    if (inFlight === 0) return true;
    return inFlight + 1 <= Math.ceil((LOAD_MAX * (this.#inFlight + 1) * weight) / this.#weight);
  }

  /** What is chosen when none near on the ring is here, that is, few are: still the same for the same affinity. */
  #nearest(place: number): I | undefined {
    let nearest: I | undefined;
    let most = -1;
    for (const { instance } of this.#counted.values()) {
      const score = hash32(`${instance.id}#${place}`);
      if (score > most || (score === most && instance.id < (nearest?.id ?? ''))) nearest = instance;
      most = Math.max(most, score);
    }
    return nearest;
  }
}

/** The first of these at or behind `place`, however far. */
function firstUsable(
  { hashes, owners }: Ring,
  place: number,
  isUsable: (instance: Instance) => boolean,
): Instance | undefined {
  const start = firstAtOrAfter(hashes, place);
  for (let i = 0; i < owners.length; i++) {
    const owner = owners[(start + i) % owners.length];
    if (owner !== undefined && isUsable(owner)) return owner;
  }
  return undefined;
}

function firstAtOrAfter(hashes: Uint32Array, place: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hashes[middle] ?? 0) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
