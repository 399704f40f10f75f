import { PassThrough } from 'node:stream';
import type { CallerSide } from '../../domain/call.ts';
import { toGatewayError } from '../../domain/errors.ts';
import { enveloped, PREFIX_BYTES } from '../../domain/grpc/envelope.ts';
import { malformed } from '../../domain/grpc/speech.ts';
import { endFields, type Ending, type MessagesOut } from '../../domain/grpc/reply.ts';
import { statusOfFailure } from '../../domain/grpc/status.ts';
import { Http2Wire } from '../http2/wire.ts';

/** Messages to a caller as they come about. */
export function openMessages(): MessagesOut {
  const body = new PassThrough();
  return {
    body,
    write: message => body.write(enveloped(message)),
    end: () => body.end(),
    onClose: over => body.once('close', over),
  };
}

interface Conversing {
  /** Of one message. */
  readonly bytesMax: number;
  /** A message's answer. Throws a GatewayError, which ends the call. */
  readonly reply: (message: Buffer) => Buffer;
}

const NOTHING = Buffer.alloc(0);

/** Answers each of a caller's messages as it comes, and no faster than the answers are taken. Over HTTP/2 alone. */
export function converse(wire: CallerSide, { bytesMax, reply }: Conversing): Ending {
  if (!(wire instanceof Http2Wire)) throw malformed('Messages in both directions take HTTP/2.');
  const { req } = wire;
  const body = new PassThrough();
  const trailers: string[] = [];
  let [pending, isEnded, isFull] = [NOTHING, false, false];

  const over = (fields: readonly string[]) => {
    req.off('data', take).off('end', ended);
    trailers.push(...fields);
    body.end();
  };
  const next = () => {
    const message = firstMessage(pending, bytesMax);
    if (message === undefined) return false;
    pending = pending.subarray(PREFIX_BYTES + message.length);
    isFull = !body.write(enveloped(reply(message)));
    return true;
  };
  const pump = () => {
    try {
      while (!isFull && next());
      if (isFull) req.pause();
      else if (isEnded) over(ENDED);
    } catch (error) {
      over(endFields(statusOfFailure(toGatewayError(error))));
    }
  };
  const take = (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    pump();
  };
  const ended = () => {
    isEnded = true;
    pump();
  };
  body.on('drain', () => {
    isFull = false;
    req.resume();
    pump();
  });
  body.once('close', () => req.off('data', take).off('end', ended));
  req.on('data', take).once('end', ended);
  return { body, trailers };
}

const ENDED = ['grpc-status', '0'];

/** The first message of what came; undefined: it is not whole yet. */
function firstMessage(bytes: Buffer, bytesMax: number): Buffer | undefined {
  if (bytes.length < PREFIX_BYTES) return undefined;
  const length = bytes.readUInt32BE(1);
  if (bytes.readUInt8(0) !== 0) throw malformed('Messages to this method are not compressed.');
  if (length > bytesMax) throw malformed(`A message to this method has at most ${bytesMax} bytes.`);
  return bytes.length < PREFIX_BYTES + length ? undefined : bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
}
