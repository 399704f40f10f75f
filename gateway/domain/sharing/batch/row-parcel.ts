import { JsonCursor, LOGICAL, TEXT, UNCLEAR } from '../json/json-scalars.ts';

/** How a body holds its rows. */
export type RowFormat = 'array' | 'columns';

/** The rows of one call, as texts that can stand beside those of others. */
export interface Parcel {
  readonly rows: number;
  /** The fields in their order, and what each column is to R: who differs in it may change what R reads of the other. */
  readonly shape: string;
  /** `array`: all rows, without the brackets around them. `columns`: the values of each column, without theirs. */
  readonly pieces: readonly string[];
  /** `columns`: the names, quoted as they were written; else empty. */
  readonly names: readonly string[];
}

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
export function readParcel(content: Buffer, format: RowFormat, rowsMax: number): Parcel | undefined {
  const cursor = new JsonCursor(content.toString('latin1'));
  const parcel = format === 'array' ? readArray(cursor, rowsMax) : readColumns(cursor, rowsMax);
  if (parcel === undefined || !Number.isNaN(cursor.next())) return undefined;
  return cursor.hasHighBytes && !isUtf8(content) ? undefined : parcel;
}

/** One body with the rows of all, in their order. All must be of one shape. */
export function joinParcels(parcels: readonly Parcel[], format: RowFormat): Buffer {
  return Buffer.from(format === 'array' ? joinArrays(parcels) : joinColumns(parcels), 'latin1');
}

/** The first row alone, as a parcel of its own. */
export function firstRowOf(parcel: Parcel): Parcel {
  if (parcel.rows === 1) return parcel;
  const isColumns = parcel.names.length > 0;
  return {
    ...parcel,
    rows: 1,
    pieces: parcel.pieces.map(piece => (isColumns ? firstValueOf(piece) : firstObjectOf(piece))),
  };
}

function joinArrays(parcels: readonly Parcel[]): string {
  let text = '[';
  for (const { pieces } of parcels) text += text.length === 1 ? (pieces[0] ?? '') : `,${pieces[0] ?? ''}`;
  return `${text}]`;
}

function joinColumns(parcels: readonly Parcel[]): string {
  const columns = (parcels[0]?.names ?? NO_NAMES).map(
    (name, i) => `${name}:[${parcels.map(({ pieces }) => pieces[i] ?? '').join(',')}]`,
  );
  return `{${columns.join(',')}}`;
}

/** The fields of the first row, and the greatest kind that any row has in each. */
interface Fields {
  readonly names: string[];
  readonly kinds: number[];
}

function readArray(cursor: JsonCursor, rowsMax: number): Parcel | undefined {
  if (!cursor.take(OPEN_ARRAY)) return undefined;
  const from = cursor.at;
  const fields: Fields = { names: [], kinds: [] };
  let rows = 0;
  do {
    if (rows === rowsMax || !readRow(cursor, fields, rows === 0)) return undefined;
    rows += 1;
  } while (cursor.take(COMMA));
  if (!cursor.take(CLOSE_ARRAY) || !areDistinct(fields.names)) return undefined;
  return { rows, shape: shapeOf(fields), pieces: [cursor.text.slice(from, cursor.at - 1)], names: NO_NAMES };
}

/** One record, whose fields must be those of the first in the same order. */
function readRow(cursor: JsonCursor, { names, kinds }: Fields, isFirst: boolean): boolean {
  if (!cursor.take(OPEN_OBJECT)) return false;
  let i = 0;
  do {
    const name = readName(cursor);
    if (name === undefined || i === FIELDS_MAX) return false;
    if (isFirst) names.push(name);
    else if (names[i] !== name) return false;
    const kind = cursor.scalar();
    if (kind === UNCLEAR) return false;
    kinds[i] = Math.max(kinds[i] ?? LOGICAL, kind);
    i += 1;
  } while (cursor.take(COMMA));
  return cursor.take(CLOSE_OBJECT) && i === names.length;
}

function readColumns(cursor: JsonCursor, rowsMax: number): Parcel | undefined {
  if (!cursor.take(OPEN_OBJECT)) return undefined;
  const columns = columnsAt(cursor, rowsMax);
  const names = columns.map(({ name }) => name);
  if (names.length === 0 || !cursor.take(CLOSE_OBJECT) || !areDistinct(names)) return undefined;
  const shape = shapeOf({ names, kinds: columns.map(({ kind }) => kind) });
  return { rows: columns[0]?.count ?? 0, shape, pieces: columns.map(({ text }) => text), names };
}

/** Columns of equal length; none where one is no such column. */
function columnsAt(cursor: JsonCursor, rowsMax: number): readonly Column[] {
  const columns: Column[] = [];
  do {
    const column = readColumn(cursor, rowsMax);
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

function readColumn(cursor: JsonCursor, rowsMax: number): Column | undefined {
  const name = readName(cursor);
  if (name === undefined) return undefined;
  if (!cursor.take(OPEN_ARRAY)) return readLoneValue(cursor, name);
  const from = cursor.at;
  let count = 0;
  let kind = LOGICAL;
  do {
    const own = cursor.scalar();
    if (own === UNCLEAR || count === rowsMax) return undefined;
    kind = Math.max(kind, own);
    count += 1;
  } while (cursor.take(COMMA));
  return cursor.take(CLOSE_ARRAY) ? { name, count, kind, text: cursor.text.slice(from, cursor.at - 1) } : undefined;
}

/** To R a value is a column of one; but a null is nothing there, and "NA" text, while in a column both are missing values. */
function readLoneValue(cursor: JsonCursor, name: string): Column | undefined {
  const isNull = cursor.next() === 0x6e;
  const from = cursor.at;
  const kind: number = cursor.scalar();
  if (kind === UNCLEAR || isNull || cursor.wasSpecial) return undefined;
  return { name, count: 1, kind, text: cursor.text.slice(from, cursor.at) };
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

function shapeOf({ names, kinds }: Fields): string {
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
