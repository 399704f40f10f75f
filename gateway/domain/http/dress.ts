import type { Answer, Matched } from '../exchange.ts';
import { fieldOf, setField } from './fields.ts';

const NO_BODY = Buffer.alloc(0);

/**
 * An instance's answer as this caller gets it: changed by the route's filters, and without its body for HEAD.
 *
 * What several callers share is dressed for each: a filter may take from the request what it writes into the reply.
 */
export function dress(answer: Answer, matched: Matched): Answer {
  const { filters } = matched.route;
  const isHead = matched.method === 'HEAD';
  if (filters.length === 0 && !isHead) return answer;
  try {
    const draft = { status: answer.status, fields: [...answer.rawHeaders] };
    for (const filter of filters) filter.onReply?.(draft, matched);
    const body = isHead ? headOnly(draft, answer) : answer.body;
    return { kind: 'answer', status: draft.status, rawHeaders: draft.fields, body };
  } catch (error) {
    dropBody(answer);
    throw error;
  }
}

/** R was sent a GET, since Plumber knows no HEAD: the caller gets its head alone, with the length its body had. */
function headOnly(draft: { readonly status: number; readonly fields: string[] }, { body }: Answer): Buffer {
  const hasLength =
    draft.status !== 204 && draft.status !== 304 && fieldOf(draft.fields, 'content-length') === undefined;
  if (Buffer.isBuffer(body) && hasLength) setField(draft.fields, 'Content-Length', String(body.length));
  dropBody({ body });
  return NO_BODY;
}

/** A body that is still a stream keeps the instance until it is read or destroyed. */
export function dropBody({ body }: Pick<Answer, 'body'>): void {
  if (!Buffer.isBuffer(body)) body.destroy();
}
