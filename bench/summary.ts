import type { Contestant } from './contestants/contestant.ts';
import type { Expectation } from './workloads/workload.ts';
import type { Measurement } from './wrk.ts';

/** One turn's figures. */
export interface Sample {
  readonly contestant: Contestant;
  readonly connections: number;
  readonly measurement: Measurement;
}

/** Medians of all rounds. */
export interface Row {
  readonly contestant: Contestant;
  readonly connections: number;
  readonly rounds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly cpuUsPerRequest: number | undefined;
  /** Requests of all rounds that were refused or got no answer. */
  readonly failures: number;
}

/** Takes the median of each figure over the rounds. */
export function summarise(samples: readonly Sample[]): Row[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = `${sample.connections} ${sample.contestant.id}`;
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].map(toRow).sort((a, b) => a.connections - b.connections);
}

function toRow(samples: readonly Sample[]): Row {
  const [first] = samples;
  if (first === undefined) throw new Error('a row needs a round');
  const over = (figure: (measurement: Measurement) => number) => median(samples.map(s => figure(s.measurement)));
  const hasCpu = samples.every(({ measurement }) => measurement.cpuUsPerRequest !== undefined);
  return {
    contestant: first.contestant,
    connections: first.connections,
    rounds: samples.length,
    p50Ms: over(m => m.p50Ms),
    p99Ms: over(m => m.p99Ms),
    perSecond: over(m => m.perSecond),
    cpuUsPerRequest: hasCpu ? over(m => m.cpuUsPerRequest ?? 0) : undefined,
    failures: samples.reduce((sum, { measurement }) => sum + measurement.refused + measurement.broken, 0),
  };
}

/** The middle one, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [lower = NaN, upper = NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}

/** What became of an expectation. */
export interface Finding {
  readonly expectation: Expectation;
  readonly against: string;
  readonly ratio: number;
  readonly isMet: boolean;
}

/** Compares as an expectation asks; undefined where a contestant was not measured. */
export function examine(rows: readonly Row[], expectation: Expectation): Finding | undefined {
  const same = rows.filter(({ connections }) => connections === expectation.connections);
  const own = same.find(({ contestant }) => contestant.id === expectation.of);
  const other =
    expectation.against === 'best-peer'
      ? bestPeer(same, expectation.measure)
      : same.find(({ contestant }) => contestant.id === expectation.against);
  if (own === undefined || other === undefined) return undefined;
  const ratio = own[expectation.measure] / other[expectation.measure];
  const { atMost = Infinity, atLeast = 0 } = expectation;
  return { expectation, against: other.contestant.title, ratio, isMet: ratio <= atMost && ratio >= atLeast };
}

/** The peer with the most requests a second, or the least time. */
export function bestPeer(rows: readonly Row[], measure: Expectation['measure']): Row | undefined {
  const sign = measure === 'perSecond' ? -1 : 1;
  return rows
    .filter(({ contestant }) => contestant.kind === 'peer')
    .toSorted((a, b) => sign * (a[measure] - b[measure]))[0];
}
