import type { Contestant } from '../contestants/contestant.ts';
import type { Load } from '../load/load.ts';
import type { Place } from '../place.ts';

/** What is asked of whom, and what is expected of it. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  /** The same in a few words, for the README. */
  readonly short: string;
  /** What it shows, in a sentence or two. */
  readonly about: string;
  readonly contestants: readonly Contestant[];
  readonly connections: readonly number[];
  /** The path that callers write before the instances' own. */
  readonly prefix: string;
  /** The path at the instances. */
  readonly path: string;
  /** Who calls, and how. */
  readonly load: Load;
  /** Who calls while one rehearses: another where equal calls, or slow ones, would not do. */
  readonly rehearsal: Load;
  /** Who calls before anything counts, where that is another caller. */
  readonly warmUp?: Load;
  /** A turn takes so many times as long as others', where little happens in a second. */
  readonly turnsTake?: number;
  /** Those that V8 compiles are started anew as well, and their first calls counted by themselves. */
  readonly areFirstCallsMeasured?: boolean;
  /** One request of that kind, to see before anything is measured that every contestant answers it alike. */
  readonly sample: RequestInit;
  /** What each instance works on at once. */
  readonly concurrency: number;
  /** Each contestant has one processor for itself, and everything else shares another. */
  readonly isOnOneCore: boolean;
  readonly columns: readonly Column[];
  readonly expectations: readonly Expectation[];
  /** Starts the instances and gives their addresses. */
  startInstances(place: Place, core: number | undefined): Promise<string[]>;
}

/** What a workload's table shows of each contestant. */
export type Column =
  | 'p50'
  | 'p99'
  | 'slow-p50'
  | 'per-second'
  | 'p50-to-direct'
  | 'per-second-to-peer'
  | 'reached'
  | 'cpu'
  | 'cpu-to-floor'
  | 'v8-cpu'
  | 'first-cpu'
  | 'allocated'
  | 'failed';

/** What most workloads show. */
export const USUAL_COLUMNS: readonly Column[] = [
  ...([
    'p50',
    'p99',
    'per-second',
    'p50-to-direct',
    'per-second-to-peer',
    'cpu',
    'v8-cpu',
    'allocated',
    'failed',
  ] as const),
];

/** A figure that can be expected to be something. */
export type Measure =
  'p50Ms' | 'p99Ms' | 'perSecond' | 'reached' | 'cpuUsPerRequest' | 'firstCpuUsPerRequest' | 'allocatedBytesPerRequest';

/** What one contestant should do, by itself or compared with another. */
export interface Expectation {
  /** What it says, in words for a reader of no code. */
  readonly title: string;
  readonly of: string;
  readonly measure: Measure;
  readonly connections: number;
  /** With whom it is compared: `best-peer` is the best of the other proxies. Without it the figure itself is meant. */
  readonly against?: string;
  /** Where it is measured with what it is compared with, where that is another workload of the same run. */
  readonly againstIn?: { readonly workload: string; readonly connections: number };
  /** What of theirs it is compared with, where that is not the same measure. */
  readonly againstMeasure?: Measure;
  readonly atMost?: number;
  readonly atLeast?: number;
}
