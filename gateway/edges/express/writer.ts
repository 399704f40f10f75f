import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Answer, Received } from '../../domain/exchange.ts';
import { hasField } from '../../domain/http/fields.ts';
import type { Clock } from '../../domain/ports.ts';
import { lingerAtEnd } from './linger.ts';
import type { HttpWire } from './wire.ts';

/** What is left of a body that nobody wants is read to its end up to this size; beyond, the connection is closed. */
const DRAIN_BYTES_MAX = 64 * 1024;

const TOO_SLOW = 408;

interface WriterParts {
  readonly clock: Clock;
  /** A caller who takes nothing of the answer for so long is let go. */
  readonly idleMsMax: number;
}

/** Writes one answer to its caller. */
export type WriteAnswer = (wire: HttpWire, received: Received, answer: Answer) => void;

/** The writer of one listener. `isLast` says whether connections are to end with their answers. */
export function createWriter({ clock, idleMsMax }: WriterParts, isLast: () => boolean): WriteAnswer {
  return (wire, received, answer) => {
    const { req, res } = wire;
    if (res.destroyed || res.headersSent) {
      leave(answer);
      return;
    }
    const mustClose = isLast() || isRestUnwanted(wire, received, answer);
    if (mustClose && !req.complete) lingerAtEnd(req, clock);
    res.writeHead(answer.status, framed(answer, received, mustClose));
    const { body } = answer;
    if (Buffer.isBuffer(body)) endWith(isBodiless(answer) ? undefined : body, res, idleMsMax);
    else if (isBodiless(answer) || received.method === 'HEAD') {
      leave(answer);
      res.end();
    } else pour(body, res, { received, idleMsMax });
    readPast(req);
  };
}

/** What nobody wanted of a body must not stand between this request and the next one on the connection. */
function readPast(req: IncomingMessage): void {
  if (!req.complete) req.resume();
}

function leave({ body }: Answer): void {
  if (!Buffer.isBuffer(body)) body.destroy();
}

function isBodiless({ status }: Answer): boolean {
  return status === 204 || status === 304;
}

function framed(answer: Answer, received: Received, mustClose: boolean): string[] {
  const fields = [...answer.rawHeaders];
  if (Buffer.isBuffer(answer.body) && isLengthDue(answer, received)) {
    fields.push('Content-Length', String(answer.body.length));
  }
  if (mustClose) fields.push('Connection', 'close');
  return fields;
}

/** The answer to HEAD may have brought the length that its body had, or not know it. */
function isLengthDue(answer: Answer, { method }: Received): boolean {
  if (isBodiless(answer)) return false;
  if (method !== 'HEAD') return true;
  return Buffer.isBuffer(answer.body) && answer.body.length > 0 && !hasField(answer.rawHeaders, 'content-length');
}

/** Node leaves the body out by itself where HEAD asked. */
function endWith(body: Buffer | undefined, res: ServerResponse, idleMsMax: number): void {
  res.end(body);
  const isWaiting = !res.writableFinished && (res.socket?.writableLength ?? 0) > 0;
  if (isWaiting) res.setTimeout(idleMsMax);
}

/** A body that was not taken in whole: a short rest may come and go, for a long one the connection is not worth it. */
function isRestUnwanted(wire: HttpWire, { body }: Received, { status }: Answer): boolean {
  if (wire.isBodyWithheld) return true; // the caller may send it yet, or not: nobody could tell
  if (status === TOO_SLOW) return true; // it might come for ever (RFC 9110 §15.5.9)
  return !wire.req.complete && (body.length === undefined || body.length > DRAIN_BYTES_MAX);
}

/** Moves a stream to the caller as fast as the caller takes it, counting as it goes. */
function pour(body: Readable, res: ServerResponse, about: { received: Received; idleMsMax: number }): void {
  const { received, idleMsMax } = about;
  const { signal } = received.deadline;
  const late = () => void body.destroy(signal.reason as Error);
  signal.addEventListener('abort', late, { once: true });

  body.on('data', (chunk: Buffer) => {
    received.notes.bytesOut += chunk.length;
    if (res.write(chunk)) return;
    body.pause();
    res.setTimeout(idleMsMax);
  });
  res.on('drain', () => {
    res.setTimeout(0);
    body.resume();
  });
  body.on('end', () => res.end());
  body.on('error', () => res.destroy()); // too late for another answer: a cut one is told from a whole one by its length
  body.on('close', () => signal.removeEventListener('abort', late));
  res.on('close', () => body.destroy());
}
