import { dropBody } from '../../http/dress.ts';
import { fieldOf, fieldsOf, hasField, removeFieldsWhere, type RawFields } from '../../http/fields.ts';
import { parseHttpDate } from '../../http/http-date.ts';
import type { Answer, Received } from '../../exchange.ts';
import type { Digest } from '../../ports.ts';

/** The strong tag of a body of which nobody else has said one (RFC 9110 §8.8.3). */
export function entityTagOf(body: Buffer, digest: Digest): string {
  return `"${digest(body)}"`;
}

const NO_BODY = Buffer.alloc(0);

/** What describes the content that a 304 does not have; what guides whoever keeps it stays (RFC 9110 §15.4.5). */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
]);

/**
 * A good answer as 304 Not Modified where the caller has it already, by `If-None-Match`, or by `If-Modified-Since` where
 * that alone is said (RFC 9110 §13.2.2). Only for GET and HEAD; what is no success is told in full (§13.2.1).
 *
 * On a route that shares, R is not told of these fields: what answers one answers all.
 */
export function unlessKnown(answer: Answer, { method, rawHeaders }: Received): Answer {
  if (method !== 'GET' && method !== 'HEAD') return answer;
  if (answer.status < 200 || answer.status > 299 || !isKnown(answer.rawHeaders, rawHeaders)) return answer;
  dropBody(answer);
  const fields = [...answer.rawHeaders];
  removeFieldsWhere(fields, name => OF_CONTENT.has(name));
  return { kind: 'answer', status: 304, rawHeaders: fields, body: NO_BODY };
}

function isKnown(answered: RawFields, asked: RawFields): boolean {
  if (hasField(asked, 'if-none-match')) return isTagKnown(fieldOf(answered, 'etag'), asked);
  const since = fieldOf(asked, 'if-modified-since');
  if (since === undefined) return false;
  const [sinceMs, modifiedMs] = [since, fieldOf(answered, 'last-modified') ?? ''].map(parseHttpDate);
  return sinceMs !== undefined && modifiedMs !== undefined && modifiedMs <= sinceMs;
}

/** A tag may contain commas. */
const TAG = /(?:W\/)?"[^"]*"/g;

/** Compared weakly (RFC 9110 §13.1.2, §8.8.3.2). */
function isTagKnown(tag: string | undefined, asked: RawFields): boolean {
  const wanted = fieldsOf(asked, 'if-none-match').join(',');
  if (wanted.trim() === '*') return true;
  if (tag === undefined) return false;
  const opaque = withoutWeakness(tag);
  return [...wanted.matchAll(TAG)].some(([candidate]) => withoutWeakness(candidate) === opaque);
}

function withoutWeakness(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
