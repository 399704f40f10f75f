import { isRecord } from '../unknown-value.ts';

/** What stands in one field of a table. */
export type Cell = string | number | boolean | null;

/** A model's answer by columns, all of one length. */
export interface AnswerTable {
  readonly rows: number;
  readonly columns: readonly { readonly name: string; readonly cells: readonly Cell[] }[];
}

/** What a vector without a name is called: vetiver's name for what `predict()` returns. */
export const PREDICTION = '.pred';

/** Columns that few rows have would make far more cells than the answer has values. */
const CELLS_SPARE = 10_000;
const CELLS_PER_VALUE = 16;

/** Whether a table has far more cells than values were given for it. */
export function isSparse(cells: number, values: number): boolean {
  return cells > values * CELLS_PER_VALUE + CELLS_SPARE;
}

/**
 * The table in an answer in JSON; undefined where it holds none.
 *
 * A table is an array of records, an object of columns of one length (what is no list is the same in each row), one record,
 * or an array of values, which becomes the column `.pred`.
 */
export function tableOf(json: string): AnswerTable | undefined {
  const value = parsed(json);
  if (Array.isArray(value)) {
    if (value.every(isCell)) return { rows: value.length, columns: [{ name: PREDICTION, cells: value }] };
    return ofRecords(value);
  }
  return isRecord(value) ? ofColumns(value) : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function ofRecords(records: readonly unknown[]): AnswerTable | undefined {
  const names = new Set<string>();
  let values = 0;
  for (const record of records) {
    if (!isRecord(record)) return undefined;
    for (const [name, value] of Object.entries(record)) {
      if (!isCell(value)) return undefined;
      values += 1;
      names.add(name);
    }
  }
  if (names.size === 0 || isSparse(names.size * records.length, values)) return undefined;
  const cellsOf = (name: string) =>
    (records as readonly Record<string, Cell>[]).map(record =>
      Object.hasOwn(record, name) ? (record[name] ?? null) : null,
    );
  return { rows: records.length, columns: [...names].map(name => ({ name, cells: cellsOf(name) })) };
}

function ofColumns(members: Readonly<Record<string, unknown>>): AnswerTable | undefined {
  const names = Object.keys(members);
  let [lists, rows] = [0, 1];
  for (const name of names) {
    const value = members[name];
    if (!Array.isArray(value)) {
      if (!isCell(value)) return undefined;
    } else if ((lists > 0 && value.length !== rows) || !value.every(isCell)) return undefined;
    else {
      lists += 1;
      rows = value.length;
    }
  }
  if (names.length === 0 || isSparse(names.length * rows, lists * rows)) return undefined;
  const cellsOf = (value: unknown) => (Array.isArray(value) ? value : Array<unknown>(rows).fill(value)) as Cell[];
  return { rows, columns: names.map(name => ({ name, cells: cellsOf(members[name]) })) };
}

/** As R writes numbers that JSON has none for (jsonlite's defaults); null: a missing one. */
export const SPECIAL_NUMBERS: ReadonlyMap<unknown, number | null> = new Map<unknown, number | null>([
  ['NA', null],
  ['NaN', NaN],
  ['Inf', Infinity],
  ['-Inf', -Infinity],
]);

/** Whether a column is one of R's numbers: all in it are numbers, or missing, or what R writes for special ones. */
export function isNumeric(cells: readonly unknown[]): boolean {
  return cells.every(cell => cell === null || typeof cell === 'number' || SPECIAL_NUMBERS.has(cell));
}

/** True for what has a place in a table. */
export function isCell(value: unknown): value is Cell {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/**
 * An answer in JSON as CSV (RFC 4180); undefined where it is no table.
 *
 * A missing value is an empty field, and so is `"NA"` in a column of numbers; an empty text is `""`, `NA` as a text `"NA"`,
 * a logical `TRUE` or `FALSE`. A text is written as it is: one that begins with `=` is a formula to a spreadsheet.
 */
export function csvOfJson(json: string): string | undefined {
  const table = tableOf(json);
  if (table === undefined) return undefined;
  let text = `${table.columns.map(({ name }) => csvField(name)).join(',')}\r\n`;
  const columns = table.columns.map(({ cells }) => ({ cells, write: csvWriter(cells) }));
  for (let row = 0; row < table.rows; row++) {
    text += `${columns.map(({ cells, write }) => write(cells[row] ?? null)).join(',')}\r\n`;
  }
  return text;
}

const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

/** How the fields of a column are written that has these cells. */
export function csvWriter(cells: readonly unknown[]): (cell: Cell) => string {
  return isNumeric(cells) ? cell => (cell === 'NA' ? '' : csvField(cell)) : csvField;
}

/** One field. */
export function csvField(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'boolean') return cell ? 'TRUE' : 'FALSE';
  if (typeof cell === 'number') return String(cell);
  const isMistakable = cell === '' || cell === 'NA' || NEEDS_QUOTES.test(cell);
  return isMistakable ? `"${cell.replaceAll('"', '""')}"` : cell;
}
