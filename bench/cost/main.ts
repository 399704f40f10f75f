import type { CostRow } from './compare.ts';
import { measureLookups } from './lookups.ts';
import { measureMemory, type MemoryRow } from './memory.ts';
import { measurePicks, measurePlaces } from './picks.ts';

/** What grows, and how: the table of `bench/cost`. */
interface Costs {
  readonly costs: readonly CostRow[];
  readonly memory: readonly MemoryRow[];
}

/** Measures all of it, in about a minute. */
async function measureAll(): Promise<Costs> {
  const costs = [...(await measurePicks()), ...(await measurePlaces()), ...(await measureLookups())];
  return { costs, memory: await measureMemory() };
}

/** The table in Markdown. */
function toCostTable({ costs, memory }: Costs): string {
  const costLines = costs.map(({ what, of, few, many, small, large, ratio }) => {
    const among = `${few.toLocaleString('en')} and ${many.toLocaleString('en')} ${of}`;
    return [what, among, toUs(small), toUs(large), ratio.toFixed(2)];
  });
  const memoryLines = memory.map(({ what, count, bytesEach, heapBytesEach }) => {
    return [what, count.toLocaleString('en'), toKib(bytesEach), toKib(heapBytesEach)];
  });
  return [
    toRows([['what', 'among', 'µs', 'µs', 'ratio'], ['---', '---', '--:', '--:', '--:'], ...costLines]),
    toRows([['memory of', 'measured with', 'KiB each', 'of it heap'], ['---', '--:', '--:', '--:'], ...memoryLines]),
  ].join('\n');
}

function toRows(rows: readonly (readonly string[])[]): string {
  return rows.map(cells => `| ${cells.join(' | ')} |\n`).join('');
}

function toUs(ns: number): string {
  return (ns / 1_000).toFixed(2);
}

function toKib(bytes: number): string {
  return (bytes / 1_024).toFixed(1);
}

if (import.meta.main) process.stdout.write(toCostTable(await measureAll()));
