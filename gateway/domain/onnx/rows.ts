import type { InputError } from '../errors.ts';
import { isRecord } from '../unknown-value.ts';
import { found, named, pointerStep, quoted, shortened, type Findings } from '../validation/findings.ts';
import type { CellType, OnnxColumn, OnnxPlan } from './columns.ts';
import { cellWriter, cells, type Cells, type WriteCell } from './cells.ts';

/** What one input of the model is fed. */
export interface Feed {
  readonly name: string;
  readonly type: CellType;
  readonly data: Cells;
  readonly dims: readonly number[];
}

/** A caller's rows as the model takes them, or what is wrong with them. */
export type FedRows =
  { readonly rows: number; readonly feeds: readonly Feed[] } | { readonly errors: readonly InputError[] };

/** Rows from an array of records, or from columns, each an array of one length; further fields are dropped. */
export function feedsOf(body: unknown, plan: OnnxPlan): FedRows {
  let fed: FedRows | undefined;
  const errors = found(findings => {
    const rows = Array.isArray(body) ? recordsIn(body, findings) : columnsIn(body, plan, findings);
    fed = { rows: rows.count, feeds: feedsFrom(plan, rows, findings) };
  });
  return errors.length > 0 || fed === undefined ? { errors } : fed;
}

/** Where the cells of a column are, row by row. */
interface RowsRead {
  readonly count: number;
  cell(column: string, row: number): unknown;
  pointer(column: string, row: number): string;
}

function recordsIn(records: readonly unknown[], findings: Findings): RowsRead {
  const read: Readonly<Record<string, unknown>>[] = [];
  for (const [row, record] of records.entries()) {
    if (!isRecord(record)) findings.end(`/${row}`, `row ${row + 1} is not a JSON object`);
    read.push(record);
  }
  return {
    count: read.length,
    cell(column, row) {
      const record = read[row];
      return record !== undefined && Object.hasOwn(record, column) ? record[column] : undefined;
    },
    pointer: (column, row) => `/${row}${pointerStep(column)}`,
  };
}

function columnsIn(body: unknown, { columns }: OnnxPlan, findings: Findings): RowsRead {
  if (!isRecord(body))
    findings.end('', 'the body must be a JSON array of records, such as [{"x": 1}], or an object of columns');
  const lists = new Map<string, readonly unknown[]>();
  let count: number | undefined;
  for (const { name } of columns) {
    if (!Object.hasOwn(body, name)) continue; // it is found missing below
    const written = body[name];
    const list: readonly unknown[] = Array.isArray(written) ? written : [written];
    count ??= list.length;
    if (list.length !== count) findings.end(pointerStep(name), 'the columns differ in their length');
    lists.set(name, list);
  }
  return {
    count: count ?? 1,
    cell: (column, row) => lists.get(column)?.[row],
    pointer: (column, row) => (lists.has(column) ? `${pointerStep(column)}/${row}` : pointerStep(column)),
  };
}

function feedsFrom({ columns, inputs }: OnnxPlan, rows: RowsRead, findings: Findings): Feed[] {
  return inputs.map(({ name, type, dims }, i) => {
    const own = columns.filter(({ input }) => input === i);
    const known = own[0]?.dims === undefined ? (dims as readonly number[]) : dimsOf(own[0], rows, findings);
    const width = known.reduce((product, dim) => product * dim, 1);
    const data = cells(type, rows.count * width);
    const write = cellWriter(type, data);
    for (const column of own) {
      if (column.dims === undefined) fillColumn({ column, rows, findings, write, width });
      else fillArrays({ column, rows, findings, write, width }, known);
    }
    return { name, type, data, dims: [rows.count, ...known] };
  });
}

interface Filling {
  readonly column: OnnxColumn;
  readonly rows: RowsRead;
  readonly findings: Findings;
  readonly write: WriteCell;
  /** How many values the input has in a row. */
  readonly width: number;
}

function fillColumn({ column: { name, offset }, rows, findings, write, width }: Filling): void {
  for (let row = 0; row < rows.count; row++) {
    const value = rows.cell(name, row);
    const wrong = value === undefined ? MISSING : write(value, row * width + offset);
    if (wrong !== undefined) report({ name, row, rows, findings }, value, wrong);
  }
}

const MISSING = 'is missing';
const SHAPE = 'must hold an array';

type CellFinding = Pick<Filling, 'rows' | 'findings'> & { readonly name: string; readonly row: number };

function report({ name, row, rows, findings }: CellFinding, value: unknown, wrong: string): void {
  const where = rows.count > 1 ? `row ${row + 1}: ` : '';
  const what = value === undefined || wrong.startsWith('must') ? '' : `: ${shown(value)}`;
  findings.add(rows.pointer(name, row), `${where}${named(name)}${what} ${wrong}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  return typeof value === 'object' && value !== null ? 'that' : shortened(String(value));
}

/** Of the arrays in a column: what is free is as the first row has it. */
function dimsOf({ name, dims = [] }: OnnxColumn, rows: RowsRead, findings: Findings): readonly number[] {
  let value = rows.count === 0 ? [] : rows.cell(name, 0);
  const isFlat = !Array.isArray(Array.isArray(value) ? value[0] : undefined);
  if (isFlat && dims.every(dim => dim !== undefined)) return dims;
  return dims.map(dim => {
    if (dim !== undefined && !Array.isArray(value)) return dim;
    const length = Array.isArray(value) ? value.length : undefined;
    if (length === undefined)
      report({ name, row: 0, rows, findings }, undefined, value === undefined ? MISSING : arrayOf(dims));
    value = Array.isArray(value) ? (value as readonly unknown[])[0] : undefined;
    return dim ?? length ?? 0;
  });
}

function arrayOf(dims: readonly (number | undefined)[]): string {
  return `${SHAPE} of ${dims.map(dim => dim ?? 'n').join(' by ')}`;
}

function fillArrays(
  { column: { name, dims = [] }, rows, findings, write, width }: Filling,
  known: readonly number[],
): void {
  for (let row = 0; row < rows.count; row++) {
    const value = rows.cell(name, row);
    const flat = Array.isArray(value) ? flattened(value, known) : undefined;
    const about = { name, row, rows, findings };
    if (flat === undefined) report(about, value, value === undefined ? MISSING : shapeWanted(dims, known, row));
    for (const [i, each] of (flat ?? []).entries()) {
      const wrong = write(each, row * width + i);
      if (wrong === undefined) continue;
      report(about, each, wrong);
      break; // one for each array
    }
  }
}

function shapeWanted(dims: readonly (number | undefined)[], known: readonly number[], row: number): string {
  return row === 0 ? arrayOf(dims) : `${SHAPE} of ${known.join(' by ')}, as the row before`;
}

/** The values of a nested array of these dimensions, or of one in which they stand one after the other. */
function flattened(value: readonly unknown[], dims: readonly number[]): readonly unknown[] | undefined {
  const [length = 0, ...inner] = dims;
  if (!Array.isArray(value[0])) {
    return value.length === dims.reduce((product, dim) => product * dim, 1) ? value : undefined;
  }
  if (value.length !== length || inner.length === 0) return undefined;
  const parts = value.map(part => (Array.isArray(part) ? flattened(part as readonly unknown[], inner) : undefined));
  return parts.includes(undefined) ? undefined : parts.flatMap(part => part ?? []);
}
