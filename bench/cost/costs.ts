import { inCounts, inNs, inTimes } from '../figures.ts';
import { measureMemory, type MemoryRow } from './memory.ts';
import { measureInput, measureLookups, measurePermits, measurePicks, type CostRow } from './parts.ts';

/** What things cost where there are few of something, and where there are many. */
export interface Costs {
  /** Of which something is expected. */
  readonly expected: readonly CostRow[];
  /** With all that goes with them. */
  readonly whole: readonly CostRow[];
  readonly memory: readonly MemoryRow[];
}

/** What was not measured. */
export const NO_COSTS: Costs = { expected: [], whole: [], memory: [] };

/** Measures it, in about a minute. */
export async function measureCosts(tell: (text: string) => void): Promise<Costs> {
  tell('cost: picks and lookups');
  const expected = [...measurePicks(), ...measureLookups()];
  const whole = [...measurePermits(), ...measureInput()];
  tell('cost: memory');
  return { expected, whole, memory: await measureMemory() };
}

/** The tables of what grows; nothing where it was not measured. */
export function costSection({ expected, whole, memory }: Costs): string[] {
  if (expected.length === 0) return [];
  const lines = [...expected, ...whole].map(({ what, of, few, many, small, large, ratio }) => {
    return [what, of, `${inNs(small)} (${inCounts(few)})`, `${inNs(large)} (${inCounts(many)})`, inTimes(ratio)];
  });
  const kept = memory.map(({ what, count, bytesEach, heapBytesEach }) => {
    return [what, inCounts(count), inKib(bytesEach), inKib(heapBytesEach)];
  });
  return [
    '## Cost as it grows',
    'Processor time of the gateway’s own parts by themselves, among few and among many, in turns; and the memory of a gateway process.',
    tableOf([['', 'among', 'few', 'many', 'ratio'], ['---', '---', '--:', '--:', '--:'], ...lines]),
    tableOf([['memory of', 'measured with', 'each', 'of it heap'], ['---', '--:', '--:', '--:'], ...kept]),
  ];
}

function tableOf(rows: readonly (readonly string[])[]): string {
  return rows.map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

function inKib(bytes: number): string {
  return `${(bytes / 1_024).toFixed(1)} KiB`;
}
