import { GatewayError } from '../errors.ts';
import type { Call } from '../call.ts';
import { fieldOf, lowerNameOf, type RawFields } from '../http/fields.ts';

/**
 * How a caller calls a method (its media type says so).
 *
 *   grpc      over HTTP/2, the end in trailers
 *   grpc-web  for browsers: the trailers in the body, which may be base64 as a whole
 *   connect   Connect's unary calls: the message alone is the body
 */
export interface Speech {
  readonly protocol: 'grpc' | 'grpc-web' | 'connect';
  readonly format: 'proto' | 'json';
  /** The body is base64. */
  readonly isText: boolean;
  /** Of the answer. */
  readonly mediaType: string;
}

/** What a request that has a body speaks; undefined: none of these. */
export function speechOf(fields: RawFields): Speech | undefined {
  const type = fieldOf(fields, 'content-type') ?? '';
  const end = type.indexOf(';');
  return SPEECHES.get((end < 0 ? type : type.slice(0, end)).trim().toLowerCase());
}

function envelopedSpeech(name: string, format: '' | '+proto' | '+json'): Speech {
  return {
    protocol: name === 'grpc' ? 'grpc' : 'grpc-web',
    format: format === '+json' ? 'json' : 'proto',
    isText: name === 'grpc-web-text',
    mediaType: `application/${name}${format}`,
  };
}

/** Connect's. */
export function connectSpeech(format: 'proto' | 'json'): Speech {
  return { protocol: 'connect', format, isText: false, mediaType: `application/${format}` };
}

/** By media type. */
const SPEECHES: ReadonlyMap<string, Speech> = new Map(
  [
    ...['grpc', 'grpc-web', 'grpc-web-text'].flatMap(name =>
      (['', '+proto', '+json'] as const).map(format => envelopedSpeech(name, format)),
    ),
    ...(['proto', 'json'] as const).map(connectSpeech),
  ].map(speech => [speech.mediaType, speech]),
);

const TYPES = ['grpc', 'grpc-web', 'proto', 'json'].map(name => `application/${name}`).join(', ');

/** Refuses a call of a method by a media type that is none of these (gRPC over HTTP/2, "Content-Type"). */
export function notSpoken(): GatewayError {
  return new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'a method called by another media type', {
    detail: `A method is called by ${TYPES}.`,
    fields: ['Accept', TYPES],
  });
}

/** Fields that say how the call is made: not R's to know, or not true of what R is sent. */
const OF_SPEECH = /^(?:if|grpc|connect)-|^(?:accept|content-type|content-encoding|te|range|x-grpc-web)$/;

/** The fields of the request that R is sent in the call's place. */
export function withoutSpeech(fields: RawFields): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    if (!OF_SPEECH.test(lowerNameOf(name))) kept.push(name, value);
  }
  return kept;
}

/** Units of `grpc-timeout`, in milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** What `grpc-timeout` says, in milliseconds: at most eight digits and a unit; undefined for what is none. */
export function timeoutMsOf(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0);
}

/** What `Connect-Timeout-Ms` says: at most ten digits; undefined for what is none. */
export function connectTimeoutMsOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** What a call's caller leaves it, in milliseconds; Infinity where it does not say. Throws BAD_REQUEST for what is no time. */
export function timeoutOf({ fields }: Call, { protocol }: Speech): number {
  const [name, read] = protocol === 'connect' ? CONNECT_TIMEOUT : GRPC_TIMEOUT;
  const said = fieldOf(fields, name);
  if (said === undefined) return Infinity;
  const timeoutMs = read(said.trim());
  if (timeoutMs === undefined) throw malformed(`The field ${name} is malformed.`);
  return timeoutMs;
}

const CONNECT_TIMEOUT = ['connect-timeout-ms', connectTimeoutMsOf] as const;
const GRPC_TIMEOUT = ['grpc-timeout', timeoutMsOf] as const;

/** The refusal of a request that is not well-formed. */
export function malformed(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', detail, { detail });
}
