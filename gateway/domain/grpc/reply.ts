import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import { removeFieldsWhere } from '../http/fields.ts';
import type { Answer, Via } from '../upstream.ts';
import { enveloped, envelopedTrailers } from './envelope.ts';
import type { Speech } from './speech.ts';
import { CODES, detailsOf, encodeMessage, statusDetails, type CodeName, type RpcStatus } from './status.ts';

/** What describes R's content, and not that of the message made of it. */
const OF_CONTENT = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'etag',
  'last-modified',
]);

const NOTHING = Buffer.alloc(0);

/** A message as the caller's protocol says it, with the fields of R's answer. */
export function messageReply(speech: Speech, message: Buffer, { fields, via }: Pick<Answer, 'fields' | 'via'>): Answer {
  removeFieldsWhere(fields, name => OF_CONTENT.has(name));
  fields.push('Content-Type', speech.mediaType);
  if (speech.protocol === 'connect') return { status: 200, fields, body: message, via };
  const end = ['grpc-status', '0'];
  if (speech.protocol === 'grpc-web')
    return { status: 200, fields, body: webBody(speech, [enveloped(message), envelopedTrailers(end)]), via };
  return { status: 200, fields, body: enveloped(message), trailers: end, via };
}

/** Messages that come as they come about, and what follows them. */
export interface Ending {
  readonly body: Readable;
  readonly trailers: readonly string[];
}

/** Where such messages are written to. */
export interface MessagesOut {
  readonly body: Readable;
  write(message: Buffer): void;
  end(): void;
  /** Their caller has left, or all are written. */
  onClose(over: () => void): void;
}

/** How a call ended without one. */
export interface Ended extends RpcStatus {
  /** What a call of REST would have been answered with: the log and the metrics tell it. */
  readonly httpStatus: number;
  readonly fields: readonly string[];
  readonly via: Via | null;
}

/** An end without a message, as the caller's protocol says it. */
export function endReply(speech: Speech, ended: Ended): Answer {
  const { httpStatus: meantStatus, via } = ended;
  const fields = [...ended.fields];
  const { retryAfterMs } = ended.failure ?? {};
  if (retryAfterMs !== undefined) fields.push('Retry-After', String(Math.ceil(retryAfterMs / 1_000)));
  if (speech.protocol === 'connect') {
    const { status, body } = connectError(ended);
    fields.push('Content-Type', 'application/json', 'Cache-Control', 'no-store');
    return { status, fields, body, via, meantStatus };
  }
  fields.push('Content-Type', speech.mediaType);
  const end = endFields(ended);
  if (speech.protocol === 'grpc') return { status: 200, fields, body: NOTHING, trailers: end, via, meantStatus };
  return { status: 200, fields, body: webBody(speech, [envelopedTrailers(end)]), via, meantStatus };
}

/** How a call of gRPC ended, as its trailers say it. */
export function endFields(ended: RpcStatus): string[] {
  const fields = ['grpc-status', String(CODES[ended.code]), 'grpc-message', encodeMessage(ended.message)];
  const details = statusDetails(ended);
  return details === undefined ? fields : [...fields, 'grpc-status-details-bin', details];
}

function webBody({ isText }: Speech, frames: readonly Buffer[]): Buffer {
  const body = Buffer.concat(frames);
  return isText ? Buffer.from(body.toString('base64'), 'latin1') : body;
}

/** What Connect answers with (connectrpc.com/docs/protocol, "Error codes"). */
const CONNECT_STATUS: Readonly<Partial<Record<CodeName, number>>> = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  UNAUTHENTICATED: 401,
};

function connectError({ code, message, failure }: RpcStatus): { status: number; body: Buffer } {
  const details = (failure === undefined ? [] : detailsOf(failure)).map(({ type, value }) => {
    return { type, value: value.toString('base64').replace(/=+$/, '') };
  });
  const name = code === 'CANCELLED' ? 'canceled' : code.toLowerCase();
  const said = { code: name, message, ...(details.length > 0 ? { details } : {}) };
  return { status: CONNECT_STATUS[code] ?? 500, body: Buffer.from(JSON.stringify(said)) };
}
