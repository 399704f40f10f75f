import { GatewayError, type FailureCode } from '../errors.ts';
import type { Matched } from '../call.ts';
import { isRecord } from '../unknown-value.ts';
import type { Answer } from '../upstream.ts';
import { fieldOf, removeFieldsWhere, setField } from './fields.ts';
import { toProblem } from './reply.ts';

/** What Plumber itself answers, by status; all else is the service's own word. */
const WORDS: Readonly<Record<number, string>> = {
  404: '404 - Resource Not Found',
  405: '405 - Method Not Allowed',
  500: '500 - Internal server error',
};

const CODES: Readonly<Record<number, readonly [code: FailureCode, detail: string]>> = {
  404: ['NO_ROUTE', 'The service has no such path.'],
  405: ['METHOD_NOT_ALLOWED', 'The service has this path, but not for this method.'],
};

/** Plumber's own errors are short, but for R's message. */
const BYTES_MAX = 64 * 1_024;

/**
 * Puts what Plumber itself says of an error into the gateway's shape, with its status: that it has no such path, or not
 * for this method. Of its 500, which may be a caller's mistake, R's message is taken out unless the route tells it; that
 * it is Plumber's 500 is still to be seen. An answer that a handler has written is not touched.
 */
export function withPlumberError(answer: Answer, call: Matched): Answer {
  if (answer.status >= 400) translateError(answer, call);
  return answer;
}

function translateError(answer: Answer, { route, id }: Matched): void {
  const words = WORDS[answer.status];
  if (words === undefined) return;
  const said = plumberErrorIn(answer);
  if (said === undefined || textIn(said['error']) !== words) return;
  const own = CODES[answer.status];
  if (own !== undefined) {
    const [code, detail] = own;
    const problem = toProblem(new GatewayError(code, 'answered by Plumber', { detail }), id);
    replaceBody(answer, problem.body, 'application/problem+json');
  } else if ('message' in said && !route.policy.showsErrorMessages) {
    replaceBody(answer, Buffer.from(JSON.stringify({ error: words })), 'application/json');
  }
}

/** A JSON object with nothing but an error, and perhaps R's message. */
function plumberErrorIn({ body, fields }: Answer): Readonly<Record<string, unknown>> | undefined {
  if (!Buffer.isBuffer(body) || body.length > BYTES_MAX) return undefined;
  if (fieldOf(fields, 'content-type')?.startsWith('application/json') !== true) return undefined;
  try {
    const said: unknown = JSON.parse(body.toString('utf8'));
    const isPlumbers = isRecord(said) && Object.keys(said).every(key => key === 'error' || key === 'message');
    return isPlumbers ? said : undefined;
  } catch {
    return undefined;
  }
}

/** Where R boxes its scalars, each is a list of one. */
function textIn(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

function replaceBody(answer: Answer, body: Answer['body'], type: string): void {
  answer.body = body;
  removeFieldsWhere(answer.fields, name => name === 'content-length' || name === 'etag' || name === 'content-encoding');
  setField(answer.fields, 'Content-Type', type);
}
