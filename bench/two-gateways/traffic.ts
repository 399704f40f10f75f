import type { Random } from '../../gateway/domain/ports.ts';

/** One call: when it comes, to which gateway, and how long R computes for it. */
export interface Call {
  readonly atMs: number;
  /** From 0 to 1: gateways share this out among themselves. */
  readonly toward: number;
  readonly computeMs: number;
}

/** How calls come, and how long they take. */
export interface Traffic {
  readonly id: string;
  readonly title: string;
  /** The share of calls that reach the first of two gateways. */
  readonly firstShare: number;
  /** How many come at once, on average. */
  readonly burst: number;
  /** Of the mean time. */
  readonly compute: 'exponential' | 'constant' | 'mixed';
}

/** What is simulated. */
export const TRAFFICS: readonly Traffic[] = [
  {
    ...{ id: 'exponential', title: 'Poisson arrivals, exponential times' },
    ...{ firstShare: 0.5, burst: 1, compute: 'exponential' },
  },
  { id: 'constant', title: 'Poisson arrivals, constant times', firstShare: 0.5, burst: 1, compute: 'constant' },
  {
    ...{ id: 'mixed', title: 'Poisson arrivals, one call of 300 ms to nine of 3 ms' },
    ...{ firstShare: 0.5, burst: 1, compute: 'mixed' },
  },
  {
    ...{ id: 'bursty', title: 'bursts of 6 on average to one gateway, exponential times' },
    ...{ firstShare: 0.5, burst: 6, compute: 'exponential' },
  },
  {
    ...{ id: 'skewed', title: 'four of five calls to one gateway, exponential times' },
    ...{ firstShare: 0.8, burst: 1, compute: 'exponential' },
  },
];

/** The mean time R computes; 300 ms and nine times 3 ms have it too. */
export const COMPUTE_MS = 32.7;

/** As many calls as asked for, at that load of so many instances. The same for the same chance. */
export function makeCalls(
  { burst, compute }: Traffic,
  { calls, load, instances }: { readonly calls: number; readonly load: number; readonly instances: number },
  random: Random,
): Call[] {
  const uniform = () => (random.below(2 ** 31) + 1) / (2 ** 31 + 1);
  const exponential = (mean: number) => -mean * Math.log(uniform());
  const computeMs = {
    exponential: () => exponential(COMPUTE_MS),
    constant: () => COMPUTE_MS,
    mixed: () => (uniform() < 0.1 ? 300 : 3),
  }[compute];
  const betweenMs = (burst * COMPUTE_MS) / (load * instances);

  const made: Call[] = [];
  let [atMs, toward] = [0, 0];
  while (made.length < calls) {
    if (made.length === 0 || uniform() < 1 / burst) {
      atMs += exponential(betweenMs);
      toward = uniform(); // a burst is of one caller, on one connection
    }
    made.push({ atMs, toward, computeMs: computeMs() });
  }
  return made;
}
