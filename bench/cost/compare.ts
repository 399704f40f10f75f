/** What one thing costs where there are few and where there are many, in nanoseconds of processor time. */
export interface CostRow {
  readonly what: string;
  readonly small: number;
  readonly large: number;
  readonly ratio: number;
  /** How many of what `small` and `large` are for. */
  readonly of: string;
  readonly few: number;
  readonly many: number;
}

/** Something that is done over and over. */
export interface Work {
  run(times: number): Promise<void> | void;
  end?(): void;
}

interface Comparison {
  readonly what: string;
  readonly of: string;
  readonly few: number;
  readonly many: number;
  readonly rounds?: number | undefined;
  readonly prepare: (count: number) => Promise<Work> | Work;
}

const ROUNDS = 25;
const WARM_UP_TIMES = 30_000;
const TIMES = 10_000;

/** Does both in turns, so that no hour of the machine favours one, and takes the median of each. */
export async function compareCost(comparison: Comparison): Promise<CostRow> {
  const { what, of, few, many, rounds = ROUNDS, prepare } = comparison;
  const [small, large] = [await prepare(few), await prepare(many)];
  for (const work of [small, large]) await work.run(WARM_UP_TIMES);
  const took: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    took[0].push(await nsOf(small));
    took[1].push(await nsOf(large));
  }
  small.end?.();
  large.end?.();
  const [smallNs, largeNs] = [median(took[0]), median(took[1])];
  return { what, of, few, many, small: smallNs, large: largeNs, ratio: largeNs / smallNs };
}

async function nsOf(work: Work): Promise<number> {
  const before = process.cpuUsage(); // others on this machine take time, but not ours
  await work.run(TIMES);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / TIMES;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
