/** One field of a message in protocol buffers' wire format. */
export interface ProtoField {
  readonly number: number;
  /** Of a varint its value, which is exact up to 2^53; of a fixed one 0; of bytes their length. */
  readonly value: number;
  /** Of a length-delimited field what it holds; else empty. */
  readonly bytes: Uint8Array;
  /** The field as it stands, with its tag. */
  readonly whole: Uint8Array;
}

/** The bytes are no message of protocol buffers. */
export class ProtoError extends Error {}

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5];
const NOTHING = new Uint8Array(0);

/** The fields of a message, in their order; what a field holds is not looked at. Throws ProtoError. */
export function* protoFields(message: Uint8Array): Generator<ProtoField> {
  const reader = { message, at: 0 };
  while (reader.at < message.length) {
    const from = reader.at;
    const tag = varint(reader);
    const number = Math.floor(tag / 8);
    if (number === 0 || number > 536_870_911) throw new ProtoError('a field has no number');
    const { value, bytes } = content(reader, tag % 8);
    yield { number, value, bytes, whole: message.subarray(from, reader.at) };
  }
}

interface Reader {
  readonly message: Uint8Array;
  at: number;
}

function content(reader: Reader, wireType: number): Pick<ProtoField, 'value' | 'bytes'> {
  switch (wireType) {
    case VARINT:
      return { value: varint(reader), bytes: NOTHING };
    case FIXED64:
    case FIXED32:
      return { value: 0, bytes: skip(reader, wireType === FIXED64 ? 8 : 4) };
    case DELIMITED: {
      const value = varint(reader);
      return { value, bytes: skip(reader, value) };
    }
    default:
      throw new ProtoError(`there is no wire type ${wireType}`);
  }
}

function skip(reader: Reader, length: number): Uint8Array {
  const end = reader.at + length;
  if (end > reader.message.length) throw new ProtoError('it ends too soon');
  const bytes = reader.message.subarray(reader.at, end);
  reader.at = end;
  return bytes;
}

const VARINT_BYTES_MAX = 10;

/** A negative one, and each above 2^53, comes out inexact: none that is read here may be such. */
function varint(reader: Reader): number {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = reader.message[reader.at];
    if (byte === undefined) throw new ProtoError('it ends too soon');
    reader.at += 1;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new ProtoError('a number is too long');
}

/** The numbers in a repeated field, packed or not, as signed 64-bit numbers. */
export function signedVarints({ bytes, value }: ProtoField, isPacked: boolean): bigint[] {
  if (!isPacked) return [BigInt.asIntN(64, BigInt(value))];
  const numbers: bigint[] = [];
  let [number, shift] = [0n, 0n];
  for (const byte of bytes) {
    number |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (shift > 70n) throw new ProtoError('a number is too long');
    if (byte >= 0x80) continue;
    numbers.push(BigInt.asIntN(64, number));
    [number, shift] = [0n, 0n];
  }
  return numbers;
}

/** A length-delimited field. */
export function delimited(number: number, content: Uint8Array): Uint8Array[] {
  return [varintBytes(number * 8 + DELIMITED), varintBytes(content.length), content];
}

/** A field of one whole number, not negative. */
export function numeral(number: number, value: number): Uint8Array[] {
  return [varintBytes(number * 8 + VARINT), varintBytes(value)];
}

function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

/** All in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
