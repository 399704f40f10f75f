import { named } from '../validation/findings.ts';
import {
  kindOf,
  roundedOf,
  sizeOf,
  unfit,
  type Datatype,
  type Element,
  type Tensor,
  type TensorView,
} from './tensor.ts';

/**
 * Elements in the raw form: little-endian, without padding; a text with its length in four bytes before it; a truth in
 * one. This is `raw_input_contents` of gRPC, and the binary data of Triton's extension for REST.
 */
export function readRaw(raw: Buffer, { name, datatype, shape }: TensorView): Element[] {
  const size = sizeOf(shape, name);
  const { kind, bytes } = kindOf(datatype);
  if (bytes === 0) return readTexts(raw, size, name);
  if (raw.length !== size * bytes)
    throw unfit(`${named(name)}: its shape takes ${size * bytes} bytes, and ${raw.length} came`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const elements = Array.from({ length: size }, (_, i) => READ[datatype](view, i * bytes));
  const rounded = kind === 'int' && bytes === 8 ? elements.find(each => !Number.isSafeInteger(each)) : undefined;
  if (rounded !== undefined) throw roundedOf(rounded, name);
  return elements;
}

type ReadElement = (view: DataView, at: number) => Element;

const number = (value: number): Element => (Number.isNaN(value) ? null : value);

const READ: Readonly<Record<Datatype, ReadElement>> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => Number(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => Number(view.getBigInt64(at, true)),
  FP16: (view, at) => number(halfOf(view.getUint16(at, true))),
  FP32: (view, at) => number(view.getFloat32(at, true)),
  FP64: (view, at) => number(view.getFloat64(at, true)),
  BYTES: () => null, // read by their lengths
};

/** IEEE 754 binary16. */
function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

const LENGTH_BYTES = 4;

function readTexts(raw: Buffer, size: number, name: string): string[] {
  if (size * LENGTH_BYTES > raw.length) throw unfit(`${named(name)}: its shape has more texts than came`);
  const texts: string[] = [];
  let at = 0;
  while (texts.length < size) {
    const from = at + LENGTH_BYTES;
    const to = from <= raw.length ? from + raw.readUInt32LE(at) : Infinity;
    if (to > raw.length) throw unfit(`${named(name)}: its last text is cut off`);
    texts.push(textIn(raw.subarray(from, to), name));
    at = to;
  }
  if (at !== raw.length) throw unfit(`${named(name)}: more bytes came than its texts have`);
  return texts;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as text. Throws INVALID_INPUT where they are none. */
export function textIn(bytes: Uint8Array, name: string): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw unfit(`${named(name)}: a text is not UTF-8`);
  }
}

/** The elements of a tensor that a model has answered in the raw form: FP64, BOOL or BYTES. A missing text is empty. */
export function writeRaw({ datatype, elements }: Tensor): Buffer {
  if (datatype === 'BYTES') return Buffer.concat(elements.map(writeText));
  if (datatype === 'BOOL') return Buffer.from(elements.map(element => (element === true ? 1 : 0)));
  const raw = Buffer.alloc(elements.length * 8);
  elements.forEach((element, i) => raw.writeDoubleLE(element === null ? NaN : Number(element), i * 8));
  return raw;
}

function writeText(element: Element): Buffer {
  const text = Buffer.from(element === null ? '' : String(element));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}
