import type { Answer } from '../../exchange.ts';
import { hasField, removeField, type RawFields } from '../../http/fields.ts';
import type { Digest } from '../../ports.ts';
import { entityTagOf } from './entity-tag.ts';
import type { Term, WholeAnswer } from './freshness.ts';

/** An answer of R's that may serve again. */
export interface Remembered {
  readonly status: number;
  /** R's own, an entity tag among them where it has a body, and no `Age`. */
  readonly rawHeaders: RawFields;
  readonly body: Buffer;
  /** The entity tag that R's answer lacked; undefined: it lacked none. */
  readonly tag: string | undefined;
  readonly term: Term;
  /** What R was asked, as it stood in the request line. */
  readonly target: string;
  /** When it was asked for, by the steady clock. */
  readonly askedMs: number;
}

/** What there is to know of an answer beside itself. */
interface Circumstances {
  readonly term: Term;
  readonly target: string;
  readonly askedMs: number;
  readonly digest: Digest;
}

/** An answer as it is remembered. */
export function toRemembered({ status, rawHeaders, body }: WholeAnswer, about: Circumstances): Remembered {
  const fields = [...rawHeaders];
  removeField(fields, 'age'); // what it was when it came is in the term
  const isTagged = body.length === 0 || hasField(fields, 'etag');
  const tag = isTagged ? undefined : entityTagOf(body, about.digest);
  if (tag !== undefined) fields.push('ETag', tag);
  const { term, target, askedMs } = about;
  return { status, rawHeaders: fields, body, tag, term, target, askedMs };
}

/** A remembered answer as it is given: with its age (RFC 9111 §5.1), and how it came about. */
export function fromRemembered(
  { status, rawHeaders, body, term }: Remembered,
  nowMs: number,
  cacheStatus: string,
): Answer {
  const ageSeconds = Math.max(0, Math.floor((nowMs - term.bornMs) / 1000));
  const fields = [...rawHeaders, 'Age', String(ageSeconds), 'Cache-Status', cacheStatus];
  return { kind: 'answer', status, rawHeaders: fields, body };
}

/** How long a remembered answer is still fresh; negative: since when it is not. */
export function leftMsOf({ term }: Remembered, nowMs: number): number {
  return term.bornMs + term.freshMs - nowMs;
}
