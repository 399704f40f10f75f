import type { Contestant } from '../contestants/contestant.ts';
import type { Place } from '../place.ts';

/** What is asked of whom, and what is expected of it. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  /** What it shows, in a sentence. */
  readonly about: string;
  readonly contestants: readonly Contestant[];
  readonly connections: readonly number[];
  /** The path that callers write before the instances' own. */
  readonly prefix: string;
  /** The path at the instances. */
  readonly path: string;
  /** The script in load/ by which wrk makes requests. */
  readonly script: string;
  /** One request of that kind, to see before anything is measured that every contestant answers it alike. */
  readonly sample: RequestInit;
  /** What each instance works on at once. */
  readonly concurrency: number;
  /** Each contestant has one processor for itself, and everything else shares another. */
  readonly isOnOneCore: boolean;
  readonly expectations: readonly Expectation[];
  /** Starts the instances and gives their addresses. */
  startInstances(place: Place, core: number | undefined): Promise<string[]>;
}

/** What one contestant should do compared with another; `best-peer` is the best of the other proxies. */
export interface Expectation {
  readonly of: string;
  readonly against: string;
  readonly measure: 'p50Ms' | 'p99Ms' | 'perSecond';
  readonly connections: number;
  readonly atMost?: number;
  readonly atLeast?: number;
}
