import type { CellType } from './columns.ts';

/** The values of a tensor, one after the other. */
export type Cells = string[] | NumberCells | BigInt64Array | BigUint64Array;

type NumberCells =
  | Float16Array
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array;

/** Puts a value of JSON into a tensor; what is wrong with it, in the words that come after it. */
export type WriteCell = (value: unknown, at: number) => string | undefined;

const ARRAYS = {
  float16: Float16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** Room for so many. */
export function cells(type: CellType, count: number): Cells {
  return type === 'string' ? new Array<string>(count).fill('') : new ARRAYS[type](count);
}

const [NO_NUMBER, NO_INTEGER, OUT_OF_RANGE] = ['is not a number', 'is not a whole number', 'is out of range'];
const NO_MISSING = 'is a missing value, which this column cannot have';

/** Texts that R reads as numbers. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL: ReadonlyMap<unknown, number> = new Map([
  ['NA', NaN],
  ['', NaN],
  ['NaN', NaN],
  ['Inf', Infinity],
  ['-Inf', -Infinity],
]);

/** What writes into these. */
export function cellWriter(type: CellType, data: Cells): WriteCell {
  if (type === 'string') return writeText(data as string[]);
  if (type === 'bool') return writeBoolean(data as Uint8Array);
  if (type.startsWith('float')) return writeFloat(data as NumberCells);
  const [min, max] = rangeOf(type);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return writeBigInt(data, [min, max]);
  return writeInteger(data as NumberCells, [Number(min), Number(max)]);
}

type Range<T> = readonly [min: T, max: T];

function rangeOf(type: CellType): Range<bigint> {
  const bits = BigInt(/\d+$/.exec(type)?.[0] ?? 0);
  return type.startsWith('u') ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

/** A missing value is NaN, as trees that know missing values take it. */
function writeFloat(data: NumberCells): WriteCell {
  return (value, at) => {
    if (typeof value === 'number') {
      data[at] = value;
      return Number.isFinite(data[at]) ? undefined : OUT_OF_RANGE;
    }
    if (value === null) {
      data[at] = NaN;
      return undefined;
    }
    const special = SPECIAL.get(value);
    if (special !== undefined) {
      data[at] = special;
      return undefined;
    }
    if (typeof value === 'bigint') data[at] = Number(value);
    else if (typeof value === 'string' && NUMBER.test(value.trim())) data[at] = Number(value);
    else return NO_NUMBER;
    return Number.isFinite(data[at]) ? undefined : OUT_OF_RANGE;
  };
}

function isMissing(value: unknown): boolean {
  return value === null || value === 'NA' || value === '';
}

function writeInteger(data: NumberCells, [min, max]: Range<number>): WriteCell {
  return (value, at) => {
    if (isMissing(value)) return NO_MISSING;
    const number = typeof value === 'string' && NUMBER.test(value.trim()) ? Number(value) : value;
    if (typeof number === 'bigint') return OUT_OF_RANGE;
    if (typeof number !== 'number') return NO_INTEGER;
    if (!Number.isInteger(number)) return Number.isFinite(number) ? NO_INTEGER : OUT_OF_RANGE;
    if (number < min || number > max) return OUT_OF_RANGE;
    data[at] = number;
    return undefined;
  };
}

const DIGITS = /^[+-]?\d{1,20}$/;

function writeBigInt(data: BigInt64Array | BigUint64Array, [min, max]: Range<bigint>): WriteCell {
  return (value, at) => {
    if (isMissing(value)) return NO_MISSING;
    const number = bigIntOf(value);
    if (typeof number === 'string') return number;
    if (number < min || number > max) return OUT_OF_RANGE;
    data[at] = number;
    return undefined;
  };
}

/** Exactly what was written, or what is wrong with it. */
function bigIntOf(value: unknown): bigint | string {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'string' && DIGITS.test(value.trim())) return BigInt(value.trim().replace(/^\+/, ''));
  const number = typeof value === 'string' && NUMBER.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number') return NO_INTEGER;
  if (Number.isInteger(number)) return BigInt(number);
  return Number.isFinite(number) ? NO_INTEGER : OUT_OF_RANGE;
}

const BOOLEANS: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ...[true, 1, 'T', 'TRUE', 'true', 'True'].map(value => [value, 1] as const),
  ...[false, 0, 'F', 'FALSE', 'false', 'False'].map(value => [value, 0] as const),
]);

function writeBoolean(data: Uint8Array): WriteCell {
  return (value, at) => {
    const bit = BOOLEANS.get(value);
    if (bit === undefined) return isMissing(value) ? NO_MISSING : 'is not true or false';
    data[at] = bit;
    return undefined;
  };
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** `""` and `"NA"` are texts like others. */
function writeText(data: string[]): WriteCell {
  return (value, at) => {
    if (value === null) return NO_MISSING;
    if (typeof value !== 'string') return 'is not text';
    if (LONE_SURROGATE.test(value)) return 'is no Unicode';
    data[at] = value;
    return undefined;
  };
}

const LONG_INTEGER = /^-?\d{16,}$/;
/** Somewhere in a body. */
const HAS_LONG_INTEGER = /\d{16}/;

/** What a text says as JSON, with each whole number that a double cannot hold as it is written; undefined: it is none. */
export function parseExact(text: string, isWide: boolean): { readonly value: unknown } | undefined {
  try {
    const value: unknown = isWide && HAS_LONG_INTEGER.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
    return { value };
  } catch {
    return undefined; // It is no JSON, or nested too deeply to be rows.
  }
}

/** ECMA-262 2025: a reviver is told how a primitive was written. */
function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined && LONG_INTEGER.test(source) ? BigInt(source) : value;
}
