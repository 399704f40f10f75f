import type { Call } from '../call.ts';
import { GatewayError } from '../errors.ts';
import { notSoCoded, unpackedOrRefused, type Unpack } from '../http/content-coding.ts';
import { fieldOf } from '../http/fields.ts';
import { type Speech, malformed } from './speech.ts';

/** Before each message: a byte of flags and four of its length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export const PREFIX_BYTES = 5;

/** The message is compressed as its fields say. */
const COMPRESSED = 0x01;
/** gRPC-Web's: the trailers stand in the body. */
const TRAILERS = 0x80;

/** A message as it came. */
export interface Enveloped {
  readonly isCompressed: boolean;
  readonly content: Buffer;
}

/** The one message of a body. Throws BAD_REQUEST for none, for several, and for one that is cut off. */
export function onlyMessageOf(body: Buffer): Enveloped {
  if (body.length < PREFIX_BYTES) throw malformed('The body holds no whole message of gRPC.');
  const flags = body.readUInt8(0);
  const length = body.readUInt32BE(1);
  if ((flags & ~COMPRESSED) !== 0) throw malformed('The body is not framed as messages of gRPC are.');
  if (body.length < PREFIX_BYTES + length) throw malformed('The message is cut off.');
  if (body.length > PREFIX_BYTES + length) throw malformed('The method takes one message, and the body holds more.');
  return { isCompressed: flags === COMPRESSED, content: body.subarray(PREFIX_BYTES) };
}

/** A message in its envelope. */
export function enveloped(content: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(PREFIX_BYTES + content.length);
  whole.writeUInt8(0, 0);
  whole.writeUInt32BE(content.length, 1);
  content.copy(whole, PREFIX_BYTES);
  return whole;
}

/** gRPC-Web's trailers, which end its body: fields as HTTP/1.1 writes them, names in lower case. */
export function envelopedTrailers(fields: readonly string[]): Buffer {
  let text = '';
  for (let i = 0; i + 1 < fields.length; i += 2) text += `${fields[i] ?? ''}: ${fields[i + 1] ?? ''}\r\n`;
  const whole = enveloped(Buffer.from(text, 'latin1'));
  whole.writeUInt8(TRAILERS, 0);
  return whole;
}

/** gRPC-Web's form in text: base64, of which each piece may be padded by itself. Throws BAD_REQUEST for what is none. */
export function fromBase64(body: Buffer): Buffer {
  const text = body.toString('latin1');
  if (!/^[A-Za-z0-9+/=]*$/.test(text)) throw malformed('The body is no base64.');
  const pieces = text.match(/[^=]+={0,2}/g) ?? [];
  return Buffer.concat(pieces.map(piece => Buffer.from(piece, 'base64')));
}

/** How a message is taken out of a body. */
export interface MessageParts {
  readonly speech: Speech;
  readonly unpack: Unpack;
  /** Of the message, once it is unpacked. */
  readonly bytesMax: number;
}

/**
 * Hands on the one message of a call's body, at once, or once it is unpacked. Throws BAD_REQUEST for a body that holds no
 * message, or several; UNSUPPORTED_MEDIA_TYPE for a compression that is not taken; BODY_TOO_LARGE.
 */
export function takeMessage(call: Call, parts: MessageParts, next: (content: Buffer) => void): void {
  const { protocol, isText } = parts.speech;
  if (protocol === 'connect') {
    next(call.content);
    return;
  }
  const { isCompressed, content } = onlyMessageOf(isText ? fromBase64(call.content) : call.content);
  if (isCompressed) unpackMessage(call, content, { ...parts, next });
  else next(content);
}

interface Unpacking extends MessageParts {
  readonly next: (content: Buffer) => void;
}

function unpackMessage(call: Call, content: Buffer, { unpack, bytesMax, next }: Unpacking): void {
  const coding = fieldOf(call.fields, 'grpc-encoding')?.trim();
  if (coding !== 'gzip') {
    const detail = 'The message is compressed in a way that is not taken: `gzip` is.';
    throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'a message with an encoding that is not taken', {
      detail,
      fields: TAKEN,
    });
  }
  const unpacked = unpack(content, coding, bytesMax).catch(() => Promise.reject(notSoCoded(coding)));
  call.awaits(unpacked, whole => next(unpackedOrRefused(whole, bytesMax)));
}

const TAKEN = ['grpc-accept-encoding', 'identity,gzip'];
