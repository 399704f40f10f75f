import { bodyTooLarge, GatewayError } from '../errors.ts';
import { fieldsOf, type RawFields } from './fields.ts';

/** How a body may be compressed. */
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

/** What tells of the compressed body, and of no other. */
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
