import type { Random } from '../../gateway/domain/clock.ts';

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

/** Who stands before the instances. */
export type Case = 'one gateway' | 'two, with the rule' | 'two, without' | 'two, own alone';

/** How long calls waited before R began with them. */
export interface Waits {
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface WaitRow extends Waits {
  readonly kind: Case;
  readonly load: number;
}

/** What there is to say of so many waits. */
export function waitsOf(waits: readonly number[]): Waits {
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { meanMs: waits.reduce((sum, ms) => sum + ms, 0) / waits.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** The rows as a table in Markdown, a line for each case, with a column for each load. */
export function toTable(rows: readonly WaitRow[]): string {
  const loads = [...new Set(rows.map(({ load }) => load))];
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  const head = ['wait in ms: mean / p50 / p99', ...loads.map(load => `${Math.round(load * 100)} %`)];
  const lines = kinds.map(kind => [kind, ...loads.map(load => cellOf(rows, kind, load))]);
  return [head, ['---', ...loads.map(() => '--:')], ...lines].map(cells => `| ${cells.join(' | ')} |\n`).join('');
}

function cellOf(rows: readonly WaitRow[], kind: Case, load: number): string {
  const row = rows.find(each => each.kind === kind && each.load === load);
  return row === undefined ? '' : [row.meanMs, row.p50Ms, row.p99Ms].map(toText).join(' / ');
}

function toText(ms: number): string {
  return ms.toFixed(ms < 9.95 ? 1 : 0);
}
