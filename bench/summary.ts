import type { ContestantFacts } from './contestants/contestant.ts';
import type { Figures } from './load/load.ts';
import type { Expectation, Measure } from './workloads/workload.ts';

/** What one turn of one contestant showed. */
export interface Measurement extends Figures {
  /** Good answers alone. */
  readonly perSecond: number;
  /** Processor time of the contestant itself; undefined where it has none or cannot be seen. */
  readonly cpuUsPerRequest?: number | undefined;
  /** Of it, that of V8's own threads; undefined of what does not run on V8. */
  readonly v8CpuUsPerRequest?: number | undefined;
  /** By V8. */
  readonly allocatedBytesPerRequest?: number | undefined;
}

/** One turn's figures. */
export interface Sample {
  readonly contestant: ContestantFacts;
  readonly connections: number;
  readonly measurement: Measurement;
}

/** Medians of all rounds. */
export interface Row {
  readonly contestant: ContestantFacts;
  readonly connections: number;
  readonly rounds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
  readonly slowP50Ms?: number | undefined;
  readonly reached?: number | undefined;
  readonly cpuUsPerRequest?: number | undefined;
  readonly v8CpuUsPerRequest?: number | undefined;
  /** Over the first calls after a start. */
  readonly firstCpuUsPerRequest?: number | undefined;
  readonly allocatedBytesPerRequest?: number | undefined;
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
  const overSome = (figure: (measurement: Measurement) => number | undefined) => {
    const known = samples.flatMap(({ measurement }) => figure(measurement) ?? []);
    return known.length === samples.length ? median(known) : undefined;
  };
  return {
    contestant: first.contestant,
    connections: first.connections,
    rounds: samples.length,
    p50Ms: over(m => m.p50Ms),
    p99Ms: over(m => m.p99Ms),
    perSecond: over(m => m.perSecond),
    slowP50Ms: overSome(m => m.slowP50Ms),
    reached: overSome(m => m.reached),
    cpuUsPerRequest: overSome(m => m.cpuUsPerRequest),
    v8CpuUsPerRequest: overSome(m => m.v8CpuUsPerRequest),
    allocatedBytesPerRequest: overSome(m => m.allocatedBytesPerRequest),
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
  /** The figure it is about. */
  readonly own: number;
  /** With what it is compared, and whose that is; undefined where the figure itself is meant. */
  readonly other: { readonly title: string; readonly figure: number } | undefined;
  /** Of one to the other, or the figure itself. */
  readonly ratio: number;
  /** A fast failure is no speed: a contestant that failed a call meets nothing. */
  readonly isMet: boolean;
}

/** Compares as an expectation asks; undefined where a contestant was not measured. `elsewhere`: rows of other workloads. */
export function examine(
  rows: readonly Row[],
  expectation: Expectation,
  elsewhere: (workload: string) => readonly Row[] = () => [],
): Finding | undefined {
  const { of, measure, against, againstIn, connections } = expectation;
  const row = rowsAt(rows, connections).find(({ contestant }) => contestant.id === of);
  const own = row?.[measure];
  if (row === undefined || own === undefined) return undefined;
  const isMet = (ratio: number) => isWithin(ratio, expectation) && row.failures === 0;
  if (against === undefined) return { expectation, own, other: undefined, ratio: own, isMet: isMet(own) };
  const others = againstIn === undefined ? rows : elsewhere(againstIn.workload);
  const other = otherOf(rowsAt(others, (againstIn ?? expectation).connections), expectation);
  return other && { expectation, own, other, ratio: own / other.figure, isMet: isMet(own / other.figure) };
}

function rowsAt(rows: readonly Row[], connections: number): Row[] {
  return rows.filter(row => row.connections === connections);
}

function isWithin(ratio: number, { atMost = Infinity, atLeast = 0 }: Expectation): boolean {
  return ratio <= atMost && ratio >= atLeast;
}

function otherOf(same: readonly Row[], { against, measure, againstMeasure }: Expectation): Finding['other'] {
  const compared = againstMeasure ?? measure;
  const isBest = against === 'best-peer';
  const row = isBest ? bestPeer(same, compared) : same.find(({ contestant }) => contestant.id === against);
  const figure = row?.[compared];
  return row === undefined || figure === undefined ? undefined : { title: row.contestant.title, figure };
}

/** The peer with the most requests a second, or the least of anything else. */
export function bestPeer(rows: readonly Row[], measure: Measure): Row | undefined {
  const sign = measure === 'perSecond' ? -1 : 1;
  return rows
    .filter(row => row.contestant.kind === 'peer' && row[measure] !== undefined)
    .toSorted((a, b) => sign * ((a[measure] ?? 0) - (b[measure] ?? 0)))[0];
}
