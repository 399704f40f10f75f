import { hash32 } from '../hash32.ts';
import type { Instance } from '../instance.ts';
import { at, type NonEmpty } from '../non-empty.ts';
import type { BalancePolicy } from './policy.ts';

/** Points an instance of the greatest weight has on the ring: enough for even shares, fewer where instances are many. */
const POINTS_MAX = 160;
const POINTS_MIN = 16;
const POINTS_IN_ALL = 16_384;

/** How many points are looked at before choosing among the candidates alone. */
const STEPS_MAX = 128;

/** Nobody takes more than this much above the average: what is above goes on to the next on the ring. */
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
 */
export function ring(otherwise: BalancePolicy): BalancePolicy {
  let current: Ring = { hashes: new Uint32Array(), owners: [] };

  return {
    name: 'hash',
    adopt(instances) {
      current = createRing(instances);
      otherwise.adopt?.(instances);
    },
    pick(candidates, affinity) {
      if (affinity === '') return otherwise.pick(candidates, affinity);
      const place = hash32(affinity);
      return walk(current, candidates, place) ?? nearestOf(candidates, place);
    },
  };
}

function createRing(instances: readonly Instance[]): Ring {
  const weightMax = Math.max(...instances.map(({ weight }) => weight), Number.MIN_VALUE);
  const pointsMax = Math.min(POINTS_MAX, Math.max(POINTS_MIN, Math.floor(POINTS_IN_ALL / (instances.length || 1))));
  const points = instances.flatMap(owner => {
    const count = Math.max(1, Math.round((pointsMax * owner.weight) / weightMax));
    return Array.from({ length: count }, (_, i) => ({ hash: hash32(`${owner.id}#${i}`), owner }));
  });
  points.sort((a, b) => a.hash - b.hash);
  return { hashes: Uint32Array.from(points, ({ hash }) => hash), owners: points.map(({ owner }) => owner) };
}

/** The first candidate at or behind `place` that has room, or else the first at all. */
function walk<I extends Instance>({ hashes, owners }: Ring, candidates: NonEmpty<I>, place: number): I | undefined {
  const start = firstAtOrAfter(hashes, place);
  const steps = Math.min(STEPS_MAX, owners.length);
  const known: readonly Instance[] = candidates;
  let first: I | undefined;
  for (let i = 0; i < steps; i++) {
    const candidate = candidates[known.indexOf(at(owners, (start + i) % owners.length))];
    if (candidate === undefined) continue;
    if (hasRoom(candidate, candidates)) return candidate;
    first ??= candidate;
  }
  return first;
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

/** The average is over those that can take work at all; whoever is idle is never above it. */
function hasRoom(owner: Instance, candidates: NonEmpty<Instance>): boolean {
  if (owner.inFlight === 0) return true;
  let inFlight = 1;
  let weight = 0;
  for (const candidate of candidates) {
    inFlight += candidate.inFlight;
    weight += candidate.weight;
  }
  return owner.inFlight + 1 <= Math.ceil((LOAD_MAX * inFlight * owner.weight) / weight);
}

/** Who is chosen when nobody near on the ring is a candidate: still the same for the same affinity and candidates. */
function nearestOf<I extends Instance>(candidates: NonEmpty<I>, place: number): I {
  return candidates.reduce((best, candidate) =>
    hash32(`${candidate.id}#${place}`) > hash32(`${best.id}#${place}`) ? candidate : best,
  );
}
