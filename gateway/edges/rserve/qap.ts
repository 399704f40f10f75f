import type { RList, RValue, RVector } from '../../domain/rserve/r-value.ts';

/** What came is not QAP1: the connection is of no use any more. */
export class QapError extends Error {
  override readonly name = 'QapError';
}

/** Commands of QAP1 (Rserve's Rsrv.h). */
export const COMMAND = { login: 0x001, voidEval: 0x002, eval: 0x003, setEncoding: 0x082 } as const;

const HEADER_BYTES = 16;
const DT_STRING = 4;
const DT_SEXP = 10;
/** On a type: its length has 56 bits. */
const LARGE = 64;
const HAS_ATTRIBUTES = 128;
const XT = {
  ...{ null: 0, symbol: 19, list: 16, pairsWithoutTags: 20, pairs: 21, call: 22 },
  ...{ integers: 32, doubles: 33, strings: 34, logicals: 36, raw: 37 },
} as const;
/** A length below needs no large header; Rserve's own bound. */
const SMALL_MAX = 0xfffff0;
const INTEGER_NA = -2_147_483_648;
/** R's NA among the NaNs: the lower word of it is 1954, whatever the upper one has become. */
const NA_LOWER = 1954;
const NA_BYTES = Buffer.from([0xa2, 0x07, 0, 0, 0, 0, 0xf0, 0x7f]);
const STRING_NA = Buffer.from([0xff, 0]);
/** Lists within lists. */
const DEPTH_MAX = 64;
const DIMENSIONS_MAX = 16;

/** A command with a text: a login, an encoding, a piece of R that is ours. */
export function textCommand(command: number, text: string): Buffer {
  const bytes = padded(Buffer.from(`${text}\0`, 'utf8'), 0);
  return message(command, parameter(DT_STRING, bytes));
}

/**
 * The command to call a function with values. What stands where a value belongs can only be a value: nothing of it is
 * read as code.
 */
export function callCommand(name: string, values: readonly RValue[]): Buffer {
  const symbol = typed(XT.symbol, padded(Buffer.from(`${name}\0`, 'utf8'), 0));
  return message(COMMAND.eval, parameter(DT_SEXP, typed(XT.call, Buffer.concat([symbol, ...values.map(encode)]))));
}

function message(command: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(command, 0);
  header.writeUInt32LE(body.length, 4); // a body of ours stays far below 4 GiB
  return Buffer.concat([header, body]);
}

function parameter(type: number, content: Buffer): Buffer {
  return Buffer.concat([headerOf(type, content.length), content]);
}

function typed(type: number, content: Buffer, attributes?: Buffer): Buffer {
  if (attributes === undefined) return parameter(type, content);
  return parameter(type | HAS_ATTRIBUTES, Buffer.concat([attributes, content]));
}

function headerOf(type: number, length: number): Buffer {
  const isLarge = length > SMALL_MAX;
  const header = Buffer.alloc(isLarge ? 8 : 4);
  header.writeUInt8(isLarge ? type | LARGE : type, 0);
  header.writeUIntLE(length % 0x1000000, 1, 3);
  if (isLarge) header.writeUInt32LE(Math.floor(length / 0x1000000), 4);
  return header;
}

function padded(bytes: Buffer, by: number): Buffer {
  const rest = (4 - (bytes.length % 4)) % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(rest, by)]);
}

function encode(value: RValue): Buffer {
  if (value.type === 'null') return typed(XT.null, Buffer.alloc(0));
  if (value.type === 'raw') return typed(XT.raw, padded(withCount(value.bytes), 0));
  if (value.type === 'list') return typed(XT.list, Buffer.concat(value.values.map(encode)), attributesOf(value));
  return encodeVector(value);
}

function withCount(bytes: Uint8Array): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(bytes.length);
  return Buffer.concat([count, bytes]);
}

function encodeVector(vector: RVector): Buffer {
  if (vector.type === 'string') return typed(XT.strings, stringBytes(vector.values));
  if (vector.type === 'integer') {
    const bytes = Buffer.alloc(4 * vector.values.length);
    for (const [i, value] of vector.values.entries()) bytes.writeInt32LE(value ?? INTEGER_NA, i * 4);
    return typed(XT.integers, bytes);
  }
  if (vector.type === 'logical') return typed(XT.logicals, padded(withCount(logicalBytes(vector.values)), 0xff));
  return typed(XT.doubles, doubleBytes(vector.values));
}

function logicalBytes(values: readonly (boolean | null)[]): Uint8Array {
  return Uint8Array.from(values, value => (value === null ? 2 : Number(value)));
}

function doubleBytes(values: readonly (number | null)[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) {
    if (value === null) NA_BYTES.copy(bytes, i * 8);
    else bytes.writeDoubleLE(value, i * 8);
  }
  return bytes;
}

/** Each ends with a null; the padding is no null, so that it is no string. */
function stringBytes(values: readonly (string | null)[]): Buffer {
  const each = values.map(value => (value === null ? STRING_NA : Buffer.from(`${value}\0`, 'utf8')));
  return padded(Buffer.concat(each), 1);
}

/** Names, and of a data frame what makes it one. */
function attributesOf({ names, rows }: RList): Buffer | undefined {
  const pairs: [string, RVector][] = [];
  if (names !== undefined) pairs.push(['names', { type: 'string', values: names }]);
  if (rows !== undefined) {
    // Row names that are only numbers: R's own short form of them.
    pairs.push(['row.names', { type: 'integer', values: [null, -rows] }]);
    pairs.push(['class', { type: 'string', values: ['data.frame'] }]);
  }
  if (pairs.length === 0) return undefined;
  const tagged = pairs.flatMap(([name, value]) => [
    encodeVector(value),
    typed(XT.symbol, padded(Buffer.from(`${name}\0`), 0)),
  ]);
  return typed(XT.pairs, Buffer.concat(tagged));
}

/** What a server answers: whether it did as it was told, and with what. */
export interface QapResponse {
  /** Undefined: done; else Rserve's number of an error. */
  readonly error: number | undefined;
  readonly body: Buffer;
}

/** Puts answers together from what comes, up to a bound. */
export class ResponseReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The answer, once all of it has come. Throws QapError, and TooLarge. */
  take(chunk: Buffer): QapResponse | undefined {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < HEADER_BYTES) return undefined;
    const head = this.#head();
    const code = head.readUInt32LE(0);
    const status = code & 0xffffff;
    if (status !== 0x10001 && status !== 0x10002) throw new QapError('it answered with what is no answer of QAP1');
    const length = head.readUInt32LE(4) + head.readUInt32LE(12) * 0x100000000;
    if (length > this.#bytesMax) throw new TooLarge(this.#bytesMax);
    if (this.#bytes < HEADER_BYTES + length) return undefined;
    if (this.#bytes > HEADER_BYTES + length) throw new QapError('it sent more than its answer');
    const body = Buffer.concat(this.#chunks).subarray(HEADER_BYTES);
    return { error: status === 0x10001 ? undefined : (code >>> 24) & 127, body };
  }

  #head(): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= HEADER_BYTES) return first;
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }
}

/** The answer is larger than it may be. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
  constructor(bytesMax: number) {
    super(`it answered with more than ${bytesMax} bytes`);
  }
}

/** The value in an answer to `eval`. Throws QapError. */
export function valueIn(body: Buffer): RValue {
  const { type, start, end } = headerAt(body, 0, body.length);
  if (type !== DT_SEXP) throw new QapError('its answer holds no value');
  return decode(body, { start, end, depth: 0 }).value;
}

interface Within {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
}

interface Header {
  /** Without what says how long it is. */
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

function headerAt(bytes: Buffer, at: number, end: number): Header {
  const written = at + 4 <= end ? bytes.readUInt8(at) : 0;
  const isLarge = (written & LARGE) !== 0;
  const start = at + (isLarge ? 8 : 4);
  if (start > end) throw new QapError('a value is cut off');
  const length = bytes.readUIntLE(at + 1, 3) + (isLarge ? bytes.readUInt32LE(at + 4) * 0x1000000 : 0);
  if (start + length > end) throw new QapError('a value is longer than what holds it');
  return { type: written & ~LARGE, start, end: start + length };
}

interface Decoded {
  readonly value: RValue;
  readonly next: number;
}

function decode(bytes: Buffer, { start: at, end: limit, depth }: Within): Decoded {
  if (depth > DEPTH_MAX) throw new QapError('its value is nested too deeply');
  const { type, start, end } = headerAt(bytes, at, limit);
  if ((type & HAS_ATTRIBUTES) === 0) return { value: bare(bytes, type, { start, end, depth }), next: end };
  const attributes = attributesIn(bytes, { start, end, depth: depth + 1 });
  const value = bare(bytes, type & ~HAS_ATTRIBUTES, { start: attributes.next, end, depth });
  return { value: withAttributes(value, attributes.pairs), next: end };
}

function bare(bytes: Buffer, type: number, within: Within): RValue {
  const { start, end } = within;
  const content = bytes.subarray(start, end);
  switch (type) {
    case XT.null:
      return { type: 'null' };
    case XT.doubles:
      return { type: 'double', values: numbersIn(content, 8) };
    case XT.integers:
      return { type: 'integer', values: numbersIn(content, 4) };
    case XT.logicals: {
      const values = Array.from(counted(content), byte => (byte === 1 ? true : byte === 0 ? false : null));
      return { type: 'logical', values };
    }
    case XT.strings:
      return { type: 'string', values: stringsIn(content) };
    case XT.raw:
      return { type: 'raw', bytes: counted(content) };
    case XT.list:
      return { type: 'list', values: valuesIn(bytes, { ...within, depth: within.depth + 1 }) };
    default:
      throw new QapError(`its value is of a type that is no data (${type})`);
  }
}

function numbersIn(content: Buffer, width: 4 | 8): (number | null)[] {
  if (content.length % width !== 0) throw new QapError('a vector is cut off');
  return Array.from({ length: content.length / width }, (_, i) => {
    if (width === 8) return doubleAt(content, i * width);
    const value = content.readInt32LE(i * width);
    return value === INTEGER_NA ? null : value;
  });
}

function doubleAt(content: Buffer, at: number): number | null {
  const value = content.readDoubleLE(at);
  return Number.isNaN(value) && content.readUInt32LE(at) === NA_LOWER ? null : value;
}

/** As many bytes as are said to be there. */
function counted(content: Buffer): Buffer {
  const count = content.length < 4 ? Infinity : content.readUInt32LE(0);
  if (4 + count > content.length) throw new QapError('a vector is cut off');
  return content.subarray(4, 4 + count);
}

function stringsIn(content: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let from = 0;
  for (let at = content.indexOf(0); at !== -1; at = content.indexOf(0, from)) {
    const isMarked = content[from] === 0xff;
    if (isMarked && at === from + 1) values.push(null);
    else values.push(content.toString('utf8', isMarked ? from + 1 : from, at));
    from = at + 1;
  }
  return values;
}

function valuesIn(bytes: Buffer, within: Within): RValue[] {
  const values: RValue[] = [];
  for (let at = within.start; at < within.end;) {
    const { value, next } = decode(bytes, { ...within, start: at });
    values.push(value);
    at = next;
  }
  return values;
}

function attributesIn(bytes: Buffer, within: Within): { pairs: Map<string, RValue>; next: number } {
  const { type, start, end } = headerAt(bytes, within.start, within.end);
  const pairs = new Map<string, RValue>();
  if (type !== XT.pairs && type !== XT.pairsWithoutTags) throw new QapError('attributes are of a type that is none');
  for (let at = start; at < end && type === XT.pairs;) {
    const { value, next } = decode(bytes, { start: at, end, depth: within.depth + 1 });
    const tag = headerAt(bytes, next, end);
    const text = bytes.toString('utf8', tag.start, tag.end);
    if (tag.type === XT.symbol) pairs.set(text.slice(0, text.indexOf('\0')), value);
    at = tag.end;
  }
  return { pairs, next: end };
}

/** Names, dimensions, and that it is a data frame; no other attribute says anything of data. */
function withAttributes(value: RValue, pairs: ReadonlyMap<string, RValue>): RValue {
  if (value.type === 'null' || value.type === 'raw') return value;
  if (value.type !== 'list') return withDim(value, pairs.get('dim'));
  const [names, classes] = [pairs.get('names'), pairs.get('class')];
  const named = names?.type === 'string' ? { ...value, names: names.values } : value;
  const isFrame = classes?.type === 'string' && classes.values.includes('data.frame');
  return isFrame ? { ...named, rows: rowsIn(pairs.get('row.names'), value) } : named;
}

function withDim(value: RVector, dim: RValue | undefined): RVector {
  if (dim?.type !== 'integer' && dim?.type !== 'double') return value;
  const sizes = dim.values.map(size => size ?? 0);
  const count = sizes.reduce((product, size) => product * size, 1);
  if (sizes.length > DIMENSIONS_MAX || count !== value.values.length || sizes.some(size => size < 0))
    throw new QapError('an array has another size');
  // Of an array without elements the empty dimensions would still be written out.
  return count === 0 ? value : { ...value, dim: sizes };
}

/** No more than its columns have. */
function rowsIn(names: RValue | undefined, { values }: RList): number {
  const [first] = values;
  const longest = first === undefined || first.type === 'null' ? 0 : lengthOf(first);
  if (names?.type !== 'integer' || names.values.length !== 2 || names.values[0] !== null) return longest;
  return Math.min(longest, Math.abs(names.values[1] ?? 0));
}

function lengthOf(value: Exclude<RValue, { type: 'null' }>): number {
  if (value.type === 'raw') return value.bytes.length;
  if (value.type === 'list') return value.values.length;
  return value.dim?.[0] ?? value.values.length;
}
