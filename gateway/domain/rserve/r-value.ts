/** A value of R's, as data: R's `NA` is null, and attributes but names and dimensions are gone. */
export type RValue = RNull | RVector | RList | RRaw;

interface RNull {
  readonly type: 'null';
}

/** A vector of R's; factors, dates and the like have become strings before. */
export type RVector = {
  /** Of a matrix or an array. */
  readonly dim?: readonly number[] | undefined;
} & (
  | { readonly type: 'double' | 'integer'; readonly values: readonly (number | null)[] }
  | { readonly type: 'logical'; readonly values: readonly (boolean | null)[] }
  | { readonly type: 'string'; readonly values: readonly (string | null)[] }
);

/** A list; of a data frame its columns. */
export interface RList {
  readonly type: 'list';
  readonly values: readonly RValue[];
  readonly names?: readonly (string | null)[] | undefined;
  /** The number of rows; undefined: it is no data frame. */
  readonly rows?: number | undefined;
}

/** Bytes. */
export interface RRaw {
  readonly type: 'raw';
  readonly bytes: Uint8Array;
}

/** A vector of one string, or of several. */
export function strings(...values: readonly (string | null)[]): RVector {
  return { type: 'string', values };
}

/** Base 64 of bytes; the edge gives it. */
export type ToBase64 = (bytes: Uint8Array) => string;

/**
 * What a model answers, as JSON in vetiver's shape: a vector is `{".pred": …}`, a data frame records, a list what it is.
 * All is as jsonlite writes it with scalars unboxed, but for numbers: they have all their digits, so that a reader
 * has R's very doubles.
 */
export function toModelAnswer(value: RValue, toBase64: ToBase64): string {
  const isPrediction = value.type !== 'list' && value.type !== 'null';
  const json = jsonOf(value, toBase64);
  return isPrediction ? `{".pred":${json}}` : json;
}

function jsonOf(value: RValue, toBase64: ToBase64): string {
  if (value.type === 'null') return 'null';
  if (value.type === 'raw') return JSON.stringify(toBase64(value.bytes));
  if (value.type === 'list') return value.rows === undefined ? listOf(value, toBase64) : recordsOf(value, toBase64);
  const { dim, values } = value;
  if (dim !== undefined) return arrayOf(value, { dim, at: 0, stride: 1, level: 0 });
  return values.length === 1 ? atomOf(value, 0) : `[${values.map((_, i) => atomOf(value, i)).join(',')}]`;
}

/** One element. What is no number in JSON is said as R says it, so that R reads it back. */
function atomOf(vector: RVector, at: number): string {
  const value = vector.values[at] ?? null;
  const isNumeric = vector.type === 'double' || vector.type === 'integer';
  if (value === null) return isNumeric ? '"NA"' : 'null';
  if (typeof value !== 'number') return JSON.stringify(value);
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
  return Number.isNaN(value) ? '"NaN"' : `"${value > 0 ? '' : '-'}Inf"`;
}

interface Slice {
  readonly dim: readonly number[];
  readonly at: number;
  readonly stride: number;
  readonly level: number;
}

/** R keeps arrays by columns; JSON has the first dimension outside. */
function arrayOf(vector: RVector, { dim, at, stride, level }: Slice): string {
  if (level === dim.length) return atomOf(vector, at);
  const size = dim[level] ?? 0;
  const parts = Array.from({ length: size }, (_, i) =>
    arrayOf(vector, { dim, at: at + i * stride, stride: stride * size, level: level + 1 }),
  );
  return `[${parts.join(',')}]`;
}

function listOf({ values, names }: RList, toBase64: ToBase64): string {
  if (names === undefined) return `[${values.map(value => jsonOf(value, toBase64)).join(',')}]`;
  const taken = new Set<string>();
  const fields = values.map((value, i) => `${keyOf(names[i], i, taken)}:${jsonOf(value, toBase64)}`);
  return `{${fields.join(',')}}`;
}

/** One without a name is called by its place. */
function keyOf(name: string | null | undefined, at: number, taken: Set<string>): string {
  const wanted = name === undefined || name === null || name === '' ? String(at + 1) : name;
  const key = taken.has(wanted) ? `${wanted}.${at + 1}` : wanted;
  taken.add(key);
  return JSON.stringify(key);
}

/** What is missing in a row is left out. */
function recordsOf(frame: RList, toBase64: ToBase64): string {
  const recordOf = recordsIn(frame, toBase64);
  return `[${Array.from({ length: frame.rows ?? 0 }, (_, row) => recordOf(row)).join(',')}]`;
}

/** Of a row of a data frame its record. */
function recordsIn({ values, names = [] }: RList, toBase64: ToBase64): (row: number) => string {
  const taken = new Set<string>();
  const columns = values.map((column, i) => ({ key: keyOf(names[i], i, taken), cellOf: cellsIn(column, toBase64) }));
  return row => {
    const fields = columns.flatMap(({ key, cellOf }) => {
      const cell = cellOf(row);
      return cell === undefined ? [] : `${key}:${cell}`;
    });
    return `{${fields.join(',')}}`;
  };
}

/** Of a row of a column what stands there; undefined: it is missing. */
function cellsIn(column: RValue, toBase64: ToBase64): (row: number) => string | undefined {
  if (column.type === 'null' || column.type === 'raw') return () => undefined;
  if (column.type === 'list') {
    if (column.rows !== undefined) return recordsIn(column, toBase64);
    return row => {
      const value = column.values[row];
      return value === undefined ? undefined : jsonOf(value, toBase64);
    };
  }
  const [rows = 0, ...inner] = column.dim ?? [];
  if (column.dim !== undefined) return row => arrayOf(column, { dim: inner, at: row, stride: rows, level: 0 });
  return row => (isThere(column.values[row]) ? atomOf(column, row) : undefined);
}

function isThere(value: string | number | boolean | null | undefined): boolean {
  return value !== null && value !== undefined && (typeof value !== 'number' || Number.isFinite(value));
}
