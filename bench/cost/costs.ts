import { loadavg } from 'node:os';
import { inCounts, inNs, inTimes } from '../figures.ts';
import { measureMemory, type MemoryRow } from './memory.ts';
import { measureFile, type FileRow } from './routes.ts';
import { measureSchemes, type SchemeRow } from './schemes.ts';
import { measureInput, measureLookups, measurePermits, measurePicks, type CostRow } from './parts.ts';

/** What things cost where there are few of something, and where there are many. */
export interface Costs {
  /** When, and the load of the minute before; runs of before do not say. */
  readonly takenAt?: string;
  readonly loadBefore?: number;
  /** Of which something is expected. */
  readonly expected: readonly CostRow[];
  /** With all that goes with them. */
  readonly whole: readonly CostRow[];
  readonly memory: readonly MemoryRow[];
  /** Of a large routes file; runs of before have none. */
  readonly file?: readonly FileRow[];
  /** Of credentials; runs of before have none. */
  readonly schemes?: readonly SchemeRow[];
}

/** What was not measured. */
export const NO_COSTS: Costs = { expected: [], whole: [], memory: [] };

/** Measures it, in about a minute. */
export async function measureCosts(report: (text: string) => void): Promise<Costs> {
  const [takenAt, [loadBefore = 0]] = [new Date().toISOString(), loadavg()];
  const { file, expected: lookups } = measureRoutes(report);
  report('cost: picks');
  const expected = [...measurePicks(), ...lookups];
  const whole = [...measurePermits(), ...measureInput()];
  const { schemes = [] } = await measureCredentials(report);
  report('cost: memory');
  const memory = await measureMemory();
  return { takenAt, loadBefore, expected, whole, memory, schemes, ...(file === undefined ? {} : { file }) };
}

/** Measures what credentials cost, and nothing else. */
export async function measureCredentials(report: (text: string) => void): Promise<Costs> {
  report('cost: credentials of each scheme');
  return { ...NO_COSTS, schemes: await measureSchemes() };
}

/** Measures what many routes cost, and nothing else. */
export function measureRoutes(report: (text: string) => void): Costs {
  report('cost: a file of many routes, and lookups among them');
  return { ...NO_COSTS, file: measureFile(), expected: measureLookups() };
}

/** The tables of what grows; nothing where it was not measured. */
export function costSection(costs: Costs): string[] {
  return [...growthSection(costs), ...schemeSection(costs)];
}

function growthSection({ expected, whole, memory, file = [], takenAt, loadBefore = 0 }: Costs): string[] {
  if (expected.length === 0) return [];
  const lines = [...expected, ...whole].map(({ what, of, few, many, small, large, ratio }) => {
    return [what, of, `${inNs(small)} (${inCounts(few)})`, `${inNs(large)} (${inCounts(many)})`, inTimes(ratio)];
  });
  const kept = memory.map(({ what, count, bytesEach, heapBytesEach }) => {
    return [what, inCounts(count), inKib(bytesEach), inKib(heapBytesEach)];
  });
  const files = file.map(({ what, routes, firstMs, laterMs }) => {
    return [what, inCounts(routes), `${firstMs.toFixed()} ms`, `${laterMs.toFixed()} ms`];
  });
  return [
    '## Cost as it grows',
    `Processor time of the gateway’s own parts by themselves, among few and among many, in turns; and the memory of a gateway process${takenAt === undefined ? '' : `; on ${takenAt.slice(0, 10)} at a load of ${loadBefore.toFixed(1)} before`}.`,
    tableOf([['', 'among', 'few', 'many', 'ratio'], ['---', '---', '--:', '--:', '--:'], ...lines]),
    ...(files.length === 0
      ? []
      : [
          tableOf([
            ['a routes file, all of it new', 'routes', 'first', 'later'],
            ['---', '--:', '--:', '--:'],
            ...files,
          ]),
        ]),
    ...(kept.length === 0 ? [] : [memoryTable(kept)]),
  ];
}

function schemeSection({ schemes = [] }: Costs): string[] {
  if (schemes.length === 0) return [];
  const lines = schemes.map(({ what, firstNs, cachedNs }) => {
    return [what, firstNs === undefined ? 'its provider’s time' : inNs(firstNs), inNs(cachedNs)];
  });
  return [
    '## Credentials',
    'Processor time that finding out who is calling adds to a call, by scheme: of a credential met for the first time, and of one that is cached. 500 callers in turns, each with a credential and a connection of their own.',
    tableOf([['', 'first', 'cached'], ['---', '--:', '--:'], ...lines]),
  ];
}

function memoryTable(kept: readonly (readonly string[])[]): string {
  return tableOf([['memory of', 'measured with', 'each', 'of it heap'], ['---', '--:', '--:', '--:'], ...kept]);
}

function tableOf(rows: readonly (readonly string[])[]): string {
  return rows.map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

function inKib(bytes: number): string {
  return `${(bytes / 1_024).toFixed(1)} KiB`;
}
