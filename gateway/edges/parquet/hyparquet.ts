import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  snappyUncompress,
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  type ParquetParsers,
  type SchemaElement,
  type SchemaTree,
} from 'hyparquet';
import { UNFIT_LINE } from '../../domain/jobs/answers.ts';
import { BoundedFile } from './bounded-file.ts';
import { UnfitFile, type ParquetTask } from './task.ts';

/** Read at once of a file: a stretch of one column, or what stands at the end of it. */
const SLICE_BYTES_MAX = 256 * 1024 * 1024;
/** Writers make pages of 1 MiB by default. */
const PAGE_BYTES_MAX = 64 * 1024 * 1024;
const COLUMNS_MAX = 1_024;
/** Each costs a look at each column. */
const GROUPS_MAX = 10_000;
/** Values in memory at once, and bytes of them, by what the file says of itself. */
const VALUES_MAX = 2 * 1024 * 1024;
const VALUE_BYTES_MAX = 64 * 1024 * 1024;
const MAGIC = 'PAR1';

/**
 * Writes each row of a Parquet file as a line of JSON, a stretch of rows at a time, and says how many bytes that are.
 * Rejects with what is wrong with the file.
 */
export async function toLines({ source, target, bytesMax }: ParquetTask, onStretch: () => void): Promise<number> {
  const descriptor = openSync(source, 'r');
  const lines = new BoundedFile(target, bytesMax);
  try {
    const file = bufferOf(descriptor);
    const metadata = await metadataOf(file);
    const columns = columnsOf(metadata);
    for (const stretch of stretchesOf(file, metadata, columns)) {
      const values = await valuesOf(stretch, onStretch);
      for (let i = 0; i < stretch.to - stretch.from; i += 1) lines.write(lineOf(columns, values, i));
      onStretch();
    }
    return lines.end();
  } finally {
    lines.close();
    closeSync(descriptor);
  }
}

interface ReadColumn {
  readonly name: string;
  /** `"name":` */
  readonly key: string;
  readonly parsers: Partial<ParquetParsers>;
  /** Of decimals: their digits behind the point. */
  readonly digits: number | undefined;
}

/** The file, of which no more is read at once than there is memory for; what lies outside it is not read. */
function bufferOf(descriptor: number): AsyncBuffer {
  const { size } = fstatSync(descriptor);
  return {
    byteLength: size,
    slice(start, end = size) {
      if (!(start >= 0 && start <= end && end <= size)) throw new UnfitFile('it points at what lies outside it');
      if (end - start > SLICE_BYTES_MAX) {
        const most = `${SLICE_BYTES_MAX / 1024 / 1024} MiB`;
        throw new UnfitFile(`a column of a row group is larger than ${most}: write it with smaller row groups`);
      }
      const bytes = Buffer.from(new ArrayBuffer(end - start));
      for (let at = 0; at < bytes.length;) {
        const read = readSync(descriptor, bytes, at, bytes.length - at, start + at);
        if (read === 0) throw new UnfitFile('it became shorter while it was read');
        at += read;
      }
      return bytes.buffer;
    },
  };
}

async function metadataOf(file: AsyncBuffer): Promise<FileMetaData> {
  if (file.byteLength < 12) throw new UnfitFile('it is too short for one');
  const magic = Buffer.from(await file.slice(0, MAGIC.length)).toString('latin1');
  const end = Buffer.from(await file.slice(file.byteLength - MAGIC.length)).toString('latin1');
  if (magic === 'PARE' || end === 'PARE') throw new UnfitFile('it is encrypted');
  if (magic !== MAGIC) throw new UnfitFile(`it does not begin with ${MAGIC}`);
  if (end !== MAGIC) throw new UnfitFile(`it does not end with ${MAGIC}: it was cut off`);
  const metadata = await parquetMetadataAsync(file, { geoparquet: false });
  if (metadata.row_groups.length > GROUPS_MAX) throw new UnfitFile(`it has more than ${GROUPS_MAX} row groups`);
  for (const element of metadata.schema) toConverted(element);
  return metadata;
}

/** Later writers give the logical type alone, and the library asks for the converted one. */
function toConverted(element: SchemaElement): void {
  const { logical_type: logical } = element;
  if (logical === undefined || !isConverted(logical.type)) return;
  element.converted_type ??= logical.type;
  if (logical.type === 'DECIMAL') element.scale ??= logical.scale;
}

const isConverted = (type: string) => type === 'DATE' || type === 'JSON' || type === 'DECIMAL';

function columnsOf(metadata: FileMetaData): readonly ReadColumn[] {
  const { children } = parquetSchema(metadata);
  if (children.length === 0) throw new UnfitFile('it has no columns');
  if (children.length > COLUMNS_MAX) throw new UnfitFile(`it has more than ${COLUMNS_MAX} columns`);
  const names = new Set<string>();
  return children.map(tree => {
    const { name } = tree.element;
    if (names.has(name)) throw new UnfitFile(`column ${JSON.stringify(name)} comes twice`);
    names.add(name);
    refuseBytes(tree, name);
    return { name, key: `${JSON.stringify(name)}:`, parsers: parsersOf(tree.element), digits: digitsOf(tree.element) };
  });
}

/** What the library multiplies for them is a digit in the last place beside it at times. */
function digitsOf({ converted_type: converted, scale = 0 }: SchemaElement): number | undefined {
  return converted === 'DECIMAL' && scale >= 0 && scale <= 100 ? scale : undefined;
}

const FIXED = new Set(['UUID', 'FLOAT16', 'DECIMAL']);

/** Bytes that are no text have no place in JSON. */
function refuseBytes({ element, children }: SchemaTree, column: string): void {
  const kind = element.converted_type ?? element.logical_type?.type ?? '';
  const isBytes = element.type === 'FIXED_LEN_BYTE_ARRAY' && !FIXED.has(element.logical_type?.type ?? kind);
  if (isBytes) throw new UnfitFile(`column ${JSON.stringify(column)} holds bytes, which JSON cannot`);
  for (const child of children) refuseBytes(child, column);
}

interface Stretch {
  readonly file: AsyncBuffer;
  /** Of one row group. */
  readonly metadata: FileMetaData;
  readonly columns: readonly ReadColumn[];
  /** Of the group's rows. */
  readonly from: number;
  readonly to: number;
}

/** Of the rows of a group at a time as many as there is memory for. */
function* stretchesOf(file: AsyncBuffer, all: FileMetaData, columns: readonly ReadColumn[]): Generator<Stretch> {
  for (const group of all.row_groups) {
    const rows = Number(group.num_rows);
    const metadata = { ...all, row_groups: [group], num_rows: group.num_rows };
    const bytesOfRow = Math.max(1, Number(group.total_byte_size) / Math.max(1, rows));
    const step = Math.max(1_000, Math.floor(Math.min(VALUES_MAX / columns.length, VALUE_BYTES_MAX / bytesOfRow)));
    for (let from = 0; from < rows; from += step) {
      yield { file, metadata, columns, from, to: Math.min(from + step, rows) };
    }
  }
}

type Values = readonly (readonly unknown[])[];

/** The values of each column, one column after the other, since one is decoded by pages and these may be large. */
async function valuesOf({ columns, ...stretch }: Stretch, onColumn: () => void): Promise<Values> {
  const values = [];
  for (const column of columns) {
    values.push(await columnOf(stretch, column));
    onColumn();
  }
  return values;
}

type OfColumn = Omit<Stretch, 'columns'>;

async function columnOf({ file, metadata, from, to }: OfColumn, column: ReadColumn): Promise<readonly unknown[]> {
  const values = new Array<unknown>(to - from);
  let found = 0;
  await parquetRead({
    ...{ file, metadata, columns: [column.name], rowStart: from, rowEnd: to },
    ...{ compressors: COMPRESSORS, parsers: column.parsers },
    onChunk({ columnData, rowStart }) {
      const [first, last] = [Math.max(from, rowStart), Math.min(to, rowStart + columnData.length)];
      for (let row = first; row < last; row += 1) values[row - from] = columnData[row - rowStart];
      found += Math.max(0, last - first);
    },
  });
  if (found !== values.length) throw new UnfitFile(`column ${JSON.stringify(column.name)} has not a value in each row`);
  return values;
}

type Decompressor = NonNullable<Compressors['GZIP']>;

/** A page that says it is larger than the bound, or is larger than it says, is not unpacked any further. */
function bounded(unpack: (input: Uint8Array, bytes: number) => Uint8Array): Decompressor {
  return (input, bytes) => {
    if (!(bytes >= 0 && bytes <= PAGE_BYTES_MAX)) {
      throw new UnfitFile(`a page of it is larger than ${PAGE_BYTES_MAX / 1024 / 1024} MiB`);
    }
    try {
      return unpack(input, bytes);
    } catch {
      throw new UnfitFile('a page of it is not packed as it says');
    }
  };
}

/** By zlib at places of its own: the library reads numbers where they lie. */
const placed = (unpacked: Buffer) => new Uint8Array(unpacked);

const COMPRESSORS: Compressors = {
  SNAPPY: bounded((input, bytes) => {
    const output = new Uint8Array(bytes);
    snappyUncompress(input, output);
    return output;
  }),
  GZIP: bounded((input, bytes) => placed(gunzipSync(input, { maxOutputLength: Math.max(1, bytes) }))),
  ZSTD: bounded((input, bytes) => placed(zstdDecompressSync(input, { maxOutputLength: Math.max(1, bytes) }))),
  BROTLI: bounded((input, bytes) => placed(brotliDecompressSync(input, { maxOutputLength: Math.max(1, bytes) }))),
};

const DAY_MS = 86_400_000;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Dates and times as ISO 8601 writes them; those of no zone have none. */
function parsersOf({ logical_type: logical }: SchemaElement): Partial<ParquetParsers> {
  const zone = logical?.type === 'TIMESTAMP' && !logical.isAdjustedToUTC ? '' : 'Z';
  return {
    dateFromDays: days => new Date(days * DAY_MS).toISOString().slice(0, 10),
    timestampFromMilliseconds: millis => timeOf(millis * 1_000_000n, zone),
    timestampFromMicroseconds: micros => timeOf(micros * 1_000n, zone),
    timestampFromNanoseconds: nanos => timeOf(nanos, zone),
    stringFromBytes: textOf,
    jsonFromBytes: bytes => JSON.parse(textOf(bytes)) as unknown,
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new UnfitFile('a text in it is not UTF-8');
  }
}

const SECOND_NS = 1_000_000_000n;

function timeOf(sinceEpochNs: bigint, zone: string): string {
  const fraction = ((sinceEpochNs % SECOND_NS) + SECOND_NS) % SECOND_NS;
  const seconds = new Date(Number((sinceEpochNs - fraction) / 1_000_000n)).toISOString().slice(0, -'.000Z'.length);
  const digits = fraction === 0n ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
  return `${seconds}${digits}${zone}`;
}

/** A row as a record of JSON, or why it is none. */
function lineOf(columns: readonly ReadColumn[], values: Values, row: number): string {
  let text = '{';
  for (const [i, { key, name, digits }] of columns.entries()) {
    const found = values[i]?.[row];
    const value = digits !== undefined && typeof found === 'number' ? Number(found.toFixed(digits)) : found;
    if (value === Infinity || value === -Infinity) {
      return `${UNFIT_LINE}column ${JSON.stringify(name)} is infinite, which JSON cannot say\n`;
    }
    text += (i === 0 ? '' : ',') + key + jsonOf(value);
  }
  return `${text}}\n`;
}

/** What is missing is null, and so is what is no number. Whole numbers have all their digits. */
function jsonOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return 'null';
  const isPlain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
  if (isPlain) return String(value);
  return JSON.stringify(value, inNested);
}

function inNested(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? rawJson(String(value)) : value;
}

/** Not in TypeScript's library yet. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON: (text: string) => unknown };
