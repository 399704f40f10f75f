import type { Call } from '../call.ts';
import { GatewayError } from '../errors.ts';
import { notSoCoded, unpackedOrRefused, type Unpack } from '../http/content-coding.ts';
import { fieldOf } from '../http/fields.ts';
import { fromBase64, onlyMessageOf } from './envelope.ts';
import type { Speech } from './speech.ts';

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
