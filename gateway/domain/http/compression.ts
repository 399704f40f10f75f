import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import type { Answer } from '../upstream.ts';
import { appendField, fieldOf, fieldsOf, hasField, listOf, removeField, setField, type RawFields } from './fields.ts';

/** How a body may be coded towards a caller (RFC 9110 §8.4.1, RFC 7932). */
export type Coding = 'br' | 'gzip';

/** Codes bodies for their way to a caller. */
export interface Compressor {
  /** False while it has enough to do: what comes then goes as it is. */
  hasRoom(): boolean;
  whole(body: Buffer, coding: Coding): Promise<Buffer>;
  /** Ends as the body ends, well or not; the body ends when it is given up. */
  stream(body: Readable, coding: Coding): Readable;
}

/** The better one first: it is chosen where a caller likes both alike. */
const CODINGS: readonly Coding[] = ['br', 'gzip'];

/** A smaller body gains nothing: with its head it fits into one packet. */
const BODY_BYTES_MIN = 1_024;

/** A number from 0 to 1 with three places at most. */
const QUALITY = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

/** The coding that a caller likes best, by its `Accept-Encoding` (RFC 9110 §12.5.3); undefined: the body as it is. */
export function preferredCoding(fields: RawFields): Coding | undefined {
  const liked = new Map<string, number>();
  for (const member of listOf(fields, 'accept-encoding')) {
    const [name = '', ...parameters] = member.split(';').map(part => part.trim());
    liked.set(name.toLowerCase(), qualityOf(parameters));
  }
  const likingOf = (coding: string) => liked.get(coding) ?? liked.get('*') ?? 0;
  const identity = liked.get('identity') ?? 0;
  let best: Coding | undefined;
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
export function codeHead(fields: string[], coding: Coding): void {
  for (const name of ['content-length', 'accept-ranges']) removeField(fields, name);
  fields.push('Content-Encoding', coding);
  const tag = fieldOf(fields, 'etag');
  if (tag?.startsWith('"') === true) setField(fields, 'ETag', `W/${tag}`);
}
