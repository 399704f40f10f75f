import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import { bodyTooLarge, GatewayError } from '../errors.ts';
import { appendField, fieldOf, fieldsOf, hasField, listOf, removeField, setField, type RawFields } from './fields.ts';
import type { Answer } from '../upstream.ts';

/** How a body may be compressed, a caller's or the answer to it (RFC 9110 §8.4.1, RFC 7932). */
export type ContentCoding = 'gzip' | 'br';

/** Unpacks a body; undefined: it is larger than `bytesMax`, and was unpacked no further. Rejects what is not so coded. */
export type Unpack = (content: Buffer, coding: ContentCoding, bytesMax: number) => Promise<Buffer | undefined>;

/** What callers are told of it (RFC 9110 §12.5.3). */
const ACCEPTED = ['Accept-Encoding', 'gzip, br'];
/** Of a body that is passed on as it comes. */
const NONE_ACCEPTED = ['Accept-Encoding', 'identity'];

/**
 * How a request's body is compressed (RFC 9110 §8.4); undefined: it is not. Throws UNSUPPORTED_MEDIA_TYPE for other
 * codings, and for several at once. R could not read any of them.
 */
export function contentCodingOf(fields: RawFields): ContentCoding | undefined {
  const said = codingSaid(fields);
  if (said === undefined) return undefined;
  if (said === 'gzip' || said === 'x-gzip') return 'gzip';
  if (said === 'br') return 'br';
  throw unsupported(ACCEPTED);
}

/** Refuses a compressed body where it would be passed on as it comes. Throws UNSUPPORTED_MEDIA_TYPE. */
export function refuseCoded(fields: RawFields): void {
  if (codingSaid(fields) !== undefined) throw unsupported(NONE_ACCEPTED);
}

function codingSaid(fields: RawFields): string | undefined {
  if (!hasContentCoding(fields)) return undefined;
  const said = fieldsOf(fields, 'content-encoding').join(',').trim().toLowerCase();
  return said === '' || said === 'identity' ? undefined : said;
}

function hasContentCoding(fields: RawFields): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.length === LENGTH && fields[i]?.toLowerCase() === 'content-encoding') return true;
  }
  return false;
}

const LENGTH = 'content-encoding'.length;

function unsupported(fields: readonly string[]): GatewayError {
  return new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'a body with a content coding that is not taken', { fields });
}

/** What describes the compressed body, and of no other. */
const OF_CODED: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-digest',
  'content-md5',
  'digest',
  'repr-digest',
]);

/** The fields of the same request once its body is unpacked. */
export function withoutCoding(fields: RawFields): string[] {
  return fields.filter((_, i) => !OF_CODED.has((fields[i - (i % 2)] ?? '').toLowerCase()));
}

/** What became of unpacking. Throws BODY_TOO_LARGE. */
export function unpackedOrRefused(content: Buffer | undefined, bytesMax: number): Buffer {
  if (content === undefined) throw bodyTooLarge(bytesMax);
  return content;
}

/** A body that is not what its fields say. */
export function notSoCoded(coding: ContentCoding): GatewayError {
  return new GatewayError('BAD_REQUEST', `the body is not ${coding}`, {
    detail: `The body is not what \`Content-Encoding: ${coding}\` says.`,
  });
}

/** Codes bodies for their way to a caller. */
export interface Compressor {
  /** False while it has enough to do: what comes then goes as it is. */
  hasRoom(): boolean;
  whole(body: Buffer, coding: ContentCoding): Promise<Buffer>;
  /** Ends as the body ends, well or not; the body ends when it is given up. */
  stream(body: Readable, coding: ContentCoding): Readable;
}

/** The better one first: it is chosen where a caller likes both alike. */
const CODINGS: readonly ContentCoding[] = ['br', 'gzip'];

/** A smaller body gains nothing: with its head it fits into one packet. */
const BODY_BYTES_MIN = 1_024;

/** A number from 0 to 1 with three places at most. */
const QUALITY = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

/** The coding that a caller likes best, by its `Accept-Encoding` (RFC 9110 §12.5.3); undefined: the body as it is. */
export function preferredCoding(fields: RawFields): ContentCoding | undefined {
  const liked = new Map<string, number>();
  for (const member of listOf(fields, 'accept-encoding')) {
    const [name = '', ...parameters] = member.split(';').map(part => part.trim());
    liked.set(name.toLowerCase(), qualityOf(parameters));
  }
  const likingOf = (coding: string) => liked.get(coding) ?? liked.get('*') ?? 0;
  const identity = liked.get('identity') ?? 0;
  let best: ContentCoding | undefined;
  for (const coding of CODINGS) {
    const liking = likingOf(coding);
    if (liking > 0 && liking >= identity && liking > (best === undefined ? 0 : likingOf(best))) best = coding;
  }
  return best;
}

/** What is no quality is none: the coding is not used. */
function qualityOf(parameters: readonly string[]): number {
  const written = parameters.find(parameter => /^q\s*=/i.test(parameter));
  return written === undefined ? 1 : Number(QUALITY.exec(written)?.[1] ?? 0);
}

/** Text, and what is written as text. */
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)[\w.+-]+|application\/(?!grpc)(?:[\w.+-]+\+)?(?:json|xml|yaml)|application\/(?:javascript|x-ndjson|x-javascript|wasm)|image\/svg\+xml)$/;

/** Fields that hold a sum of the body as it is sent, or say that it is coded already, or a part of another. */
const BODY_BOUND = ['content-encoding', 'content-range', 'content-md5', 'content-digest', 'repr-digest', 'digest'];

/** Answers without a body, or with a part of one. */
const WITHOUT_WHOLE_BODY: ReadonlySet<number> = new Set([204, 206, 304]);

/** True for an answer that may be coded for a caller who likes that; what is sent depends on `Accept-Encoding` then. */
export function isCompressible({ status, fields, body }: Answer): boolean {
  const isSmall = Buffer.isBuffer(body) && body.length < BODY_BYTES_MIN;
  if (isSmall || WITHOUT_WHOLE_BODY.has(status)) return false;
  const type = (fieldOf(fields, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!COMPRESSIBLE.test(type) || BODY_BOUND.some(name => hasField(fields, name))) return false;
  // A secret that stands beside a caller's own text can be read from the length of both, compressed (BREACH).
  if (hasField(fields, 'set-cookie')) return false;
  return !listOf(fields, 'cache-control').some(directive => directive.toLowerCase() === 'no-transform');
}

/** Caches must know that the answer depends on it, coded or not. */
export function varyByCoding(fields: string[]): void {
  const names = fieldsOf(fields, 'vary').flatMap(value => value.split(',').map(name => name.trim().toLowerCase()));
  if (!names.includes('*') && !names.includes('accept-encoding')) appendField(fields, 'Vary', 'Accept-Encoding');
}

/** What a coded body makes of its head: another length, another range, and a tag that means the same and not the same bytes. */
export function codeHead(fields: string[], coding: ContentCoding): void {
  for (const name of ['content-length', 'accept-ranges']) removeField(fields, name);
  fields.push('Content-Encoding', coding);
  const tag = fieldOf(fields, 'etag');
  if (tag?.startsWith('"') === true) setField(fields, 'ETag', `W/${tag}`);
}
