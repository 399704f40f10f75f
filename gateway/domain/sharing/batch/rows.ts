import { JsonCursor } from '../json/json-cursor.ts';
import { DOUBLE, isSpecial, LOGICAL, readScalar, TEXT, UNCLEAR } from '../json/r-scalar.ts';

/** How a body holds its rows. */
export type RowFormat = 'array' | 'columns';

/** The rows of one call, as texts that can stand beside those of others. */
export interface Rows {
  readonly count: number;
  /** The fields in their order, and what each column is to R: a call that differs in it may change what R reads of the other. */
  readonly shape: string;
  /** `array`: all rows, without the brackets around them. `columns`: the values of each column, without theirs. */
  readonly pieces: readonly string[];
  /** `columns`: the names, quoted as they were written; else empty. */
  readonly names: readonly string[];
  /** What kinds of values stand in which column: see `markOf`. Each is less than `MARKS`. */
  readonly marks: readonly number[];
}

/** Marks are numbers below this. */
export const MARKS = 16_384;

const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];

/** More fields than that are no row of a model. */
const FIELDS_MAX = 1_024;
const NO_NAMES: readonly string[] = [];
const KIND_LETTERS = ['l', 'i', 'd', 't'] as const;

/**
 * The rows in a body; undefined where it must go alone: it is not JSON, holds no rows or too many, its values are not
 * scalars, its rows differ in their fields, or R would read it in a way that rows beside it could change.
 *
 * Numbers stay as they are written, since nothing is parsed but what tells where things begin and end.
 */
export function readRows(content: Buffer, format: RowFormat, rowsMax: number): Rows | undefined {
  const cursor = new JsonCursor(content.toString('latin1'));
  const rows = format === 'array' ? readArray(cursor, rowsMax) : readColumns(cursor, rowsMax);
  if (rows === undefined || !Number.isNaN(cursor.next())) return undefined;
  return cursor.hasHighBytes && !isUtf8(content) ? undefined : rows;
}

/** One body with the rows of all, in their order. All must be of one shape. */
export function concatRows(calls: readonly Rows[], format: RowFormat): Buffer {
  return Buffer.from(format === 'array' ? concatArrays(calls) : concatColumns(calls), 'latin1');
}

/** The first row alone. */
export function firstRowOf(rows: Rows): Rows {
  if (rows.count === 1) return rows;
  const isColumns = rows.names.length > 0;
  return {
    ...rows,
    count: 1,
    pieces: rows.pieces.map(piece => (isColumns ? firstValueOf(piece) : firstObjectOf(piece))),
  };
}

/** The values of a single row as they are written, in the order of its fields. */
export function valuesOf(row: Rows): readonly string[] {
  return row.names.length > 0 ? row.pieces : fieldsIn(row).map(([, value]) => value);
}

/** The same row with other values; undefined where that is none. */
export function withValues(row: Rows, values: readonly string[], format: RowFormat): Rows | undefined {
  const pieces = row.names.length > 0 ? values : [writtenRow(row, values)];
  return readRows(concatRows([{ ...row, pieces }], format), format, 1);
}

function writtenRow(row: Rows, values: readonly string[]): string {
  return `{${fieldsIn(row)
    .map(([name], i) => `${name}:${values[i] ?? 'null'}`)
    .join(',')}}`;
}

/** Names with their quotes, and values, of a record that was read before. */
function fieldsIn({ pieces }: Rows): readonly (readonly [name: string, value: string])[] {
  const cursor = new JsonCursor(pieces[0] ?? '');
  const fields: (readonly [string, string])[] = [];
  cursor.take(OPEN_OBJECT);
  do {
    const name = readName(cursor) ?? '';
    readScalar(cursor);
    fields.push([name, cursor.text.slice(cursor.from, cursor.at)]);
  } while (cursor.take(COMMA));
  return fields;
}

function concatArrays(calls: readonly Rows[]): string {
  let text = '[';
  for (const { pieces } of calls) text += text.length === 1 ? (pieces[0] ?? '') : `,${pieces[0] ?? ''}`;
  return `${text}]`;
}

function concatColumns(calls: readonly Rows[]): string {
  const columns = (calls[0]?.names ?? NO_NAMES).map(
    (name, i) => `${name}:[${calls.map(({ pieces }) => pieces[i] ?? '').join(',')}]`,
  );
  return `{${columns.join(',')}}`;
}

/** The fields of the first row, and the greatest kind that any row has in each. */
interface Fields {
  readonly names: string[];
  readonly kinds: number[];
  readonly marks: number[];
}

function readArray(cursor: JsonCursor, rowsMax: number): Rows | undefined {
  if (!cursor.take(OPEN_ARRAY)) return undefined;
  const from = cursor.at;
  const fields: Fields = { names: [], kinds: [], marks: [] };
  let rows = 0;
  do {
    if (rows === rowsMax || !readRow(cursor, fields, rows === 0)) return undefined;
    rows += 1;
  } while (cursor.take(COMMA));
  if (!cursor.take(CLOSE_ARRAY) || !areDistinct(fields.names)) return undefined;
  const pieces = [cursor.text.slice(from, cursor.at - 1)];
  return { count: rows, shape: shapeOf(fields), pieces, names: NO_NAMES, marks: marksIn(fields) };
}

/** One record, whose fields must be those of the first in the same order. */
function readRow(cursor: JsonCursor, { names, kinds, marks }: Fields, isFirst: boolean): boolean {
  if (!cursor.take(OPEN_OBJECT)) return false;
  let i = 0;
  do {
    const name = readName(cursor);
    if (name === undefined || i === FIELDS_MAX) return false;
    if (isFirst) names.push(name);
    else if (names[i] !== name) return false;
    const kind = readScalar(cursor);
    if (kind === UNCLEAR) return false;
    mark(cursor, { column: i, kind, marks });
    kinds[i] = Math.max(kinds[i] ?? LOGICAL, kind);
    i += 1;
  } while (cursor.take(COMMA));
  return cursor.take(CLOSE_OBJECT) && i === names.length;
}

function readColumns(cursor: JsonCursor, rowsMax: number): Rows | undefined {
  if (!cursor.take(OPEN_OBJECT)) return undefined;
  const marks: number[] = [];
  const columns = columnsAt(cursor, rowsMax, marks);
  const names = columns.map(({ name }) => name);
  if (names.length === 0 || !cursor.take(CLOSE_OBJECT) || !areDistinct(names)) return undefined;
  const kinds = columns.map(({ kind }) => kind);
  const shape = shapeOf({ names, kinds });
  return {
    count: columns[0]?.count ?? 0,
    shape,
    pieces: columns.map(({ text }) => text),
    names,
    marks: marksIn({ kinds, marks }),
  };
}

/** Columns of equal length; none where one is no such column. */
function columnsAt(cursor: JsonCursor, rowsMax: number, marks: number[]): readonly Column[] {
  const columns: Column[] = [];
  do {
    const column = readColumn(cursor, rowsMax, { column: columns.length, marks });
    if (column === undefined) return [];
    columns.push(column);
    if (column.count !== columns[0]?.count || columns.length > FIELDS_MAX) return [];
  } while (cursor.take(COMMA));
  return columns;
}

interface Column {
  readonly name: string;
  readonly count: number;
  readonly kind: number;
  readonly text: string;
}

function readColumn(cursor: JsonCursor, rowsMax: number, place: MarkPlace): Column | undefined {
  const name = readName(cursor);
  if (name === undefined) return undefined;
  if (!cursor.take(OPEN_ARRAY)) return readLoneValue(cursor, name, place);
  const from = cursor.at;
  let count = 0;
  let kind = LOGICAL;
  do {
    const own = readScalar(cursor);
    if (own === UNCLEAR || count === rowsMax) return undefined;
    mark(cursor, { ...place, kind: own });
    kind = Math.max(kind, own);
    count += 1;
  } while (cursor.take(COMMA));
  return cursor.take(CLOSE_ARRAY) ? { name, count, kind, text: cursor.text.slice(from, cursor.at - 1) } : undefined;
}

/** To R a value is a column of one; but a null is nothing there, and "NA" text, while in a column both are missing values. */
function readLoneValue(cursor: JsonCursor, name: string, place: MarkPlace): Column | undefined {
  const isNull = cursor.next() === 0x6e;
  const kind = readScalar(cursor);
  if (kind === UNCLEAR || isNull || isSpecial(cursor, kind)) return undefined;
  mark(cursor, { ...place, kind });
  return { name, count: 1, kind, text: cursor.text.slice(cursor.from, cursor.at) };
}

/** Of which column a value is, and where its marks are put. */
interface MarkPlace {
  readonly column: number;
  readonly marks: number[];
}

const COLUMNS_MARKED = 64;
const MARKS_OF_KIND = 64;
const MARKS_OF_COLUMN = 4 * MARKS_OF_KIND;
const [MISSING, SPECIAL, FALSE, TRUE, EMPTY, POWER] = [0, 1, 2, 3, 4, 5];
const [LENGTHS, NEGATIVE_LENGTHS, HASHES] = [8, 24, 40];

/**
 * Notes of the value just read by what it may be told apart from those seen before: whether it is missing, how long it
 * is, which text or whole number (in a few bits). A model whose rows influence one another may do so for some values only.
 */
function mark(cursor: JsonCursor, { column, kind, marks }: MarkPlace & { readonly kind: number }): void {
  const base = (column % COLUMNS_MARKED) * MARKS_OF_COLUMN + kind * MARKS_OF_KIND;
  const { text, at: end, from } = cursor;
  if (kind === LOGICAL) {
    const first = text.charCodeAt(from);
    marks.push(base + (first === 0x74 ? TRUE : first === 0x66 ? FALSE : MISSING));
    return;
  }
  if (isSpecial(cursor, kind)) {
    marks.push(base + SPECIAL);
    return;
  }
  if (kind !== DOUBLE) marks.push(base + HASHES + hashOf(text, from, end));
  marks.push(base + (kind === TEXT ? lengthMark(end - from - 2) : numberMark(text, from, end)));
}

/** A value missing beside others counts as one of their kind. */
function marksIn({ kinds, marks }: Pick<Fields, 'kinds' | 'marks'>): readonly number[] {
  for (const [i, each] of marks.entries()) {
    if (each % MARKS_OF_COLUMN === MISSING) marks[i] = each + (kinds[each / MARKS_OF_COLUMN] ?? 0) * MARKS_OF_KIND;
  }
  return marks;
}

function lengthMark(length: number): number {
  return length === 0 ? EMPTY : LENGTHS + Math.min(length, 15);
}

function numberMark(text: string, from: number, end: number): number {
  if (text.charCodeAt(from) === 0x2d) return NEGATIVE_LENGTHS + Math.min(end - from, 15);
  for (let at = from; at < end; at++) if ((text.charCodeAt(at) | 0x20) === 0x65) return POWER;
  return LENGTHS + Math.min(end - from, 15);
}

/** In 24 values; only the beginning of a long text counts. */
function hashOf(text: string, from: number, end: number): number {
  let hash = 0;
  const to = Math.min(end, from + 32);
  for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return (Math.imul(hash, 0x9e3779b1) >>> 16) % 24;
}

/** A name and its colon. Names with escapes could be equal and look different; some mean something to jsonlite. */
function readName(cursor: JsonCursor): string | undefined {
  if (cursor.next() !== QUOTE) return undefined;
  const from = cursor.at;
  if (!cursor.string()) return undefined;
  const name = cursor.text.slice(from, cursor.at);
  if (!cursor.take(COLON) || name.length === 2 || name.includes('\\')) return undefined;
  return name.charCodeAt(1) === 0x24 || name === '"_row"' ? undefined : name;
}

function areDistinct(names: readonly string[]): boolean {
  return names.length === 1 || new Set(names).size === names.length;
}

function shapeOf({ names, kinds }: Pick<Fields, 'names' | 'kinds'>): string {
  let shape = '';
  for (let i = 0; i < names.length; i++) shape += `${names[i] ?? ''}${KIND_LETTERS[kinds[i] ?? TEXT] ?? ''}`;
  return shape;
}

function firstObjectOf(piece: string): string {
  return piece.slice(0, endOfFirst(piece, CLOSE_OBJECT) + 1);
}

function firstValueOf(piece: string): string {
  return piece.slice(0, endOfFirst(piece, COMMA));
}

/** Where the character first stands outside a string, in a text that was read already. */
function endOfFirst(piece: string, wanted: number): number {
  const cursor = new JsonCursor(piece);
  while (cursor.at < piece.length && piece.charCodeAt(cursor.at) !== wanted) {
    if (piece.charCodeAt(cursor.at) === QUOTE) cursor.string();
    else cursor.at += 1;
  }
  return cursor.at;
}

function isUtf8(content: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(content);
    return true;
  } catch {
    return false;
  }
}
