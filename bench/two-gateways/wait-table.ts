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
