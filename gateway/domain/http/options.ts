import { GatewayError } from '../errors.ts';
import type { Answer } from '../upstream.ts';
import { fieldOf, type RawFields } from './fields.ts';

/** What some route or other may take. TRACE is none of them: it would tell a script what it must not read. */
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

const NOTHING = Buffer.alloc(0);

/**
 * The answer to what is asked of the gateway itself and of no route: `OPTIONS *`, and OPTIONS that may be forwarded no
 * further (RFC 9110 §7.6.2). TRACE is refused, wherever it should end.
 */
export function answerOfOurOwn(request: {
  readonly method: string;
  readonly path: string;
  readonly fields: RawFields;
}): Answer | undefined {
  const { method, path, fields } = request;
  if (method === 'TRACE') {
    throw new GatewayError('METHOD_NOT_ALLOWED', 'TRACE is answered nowhere', { fields: ['Allow', ALLOW] });
  }
  if (method !== 'OPTIONS') return undefined;
  if (path !== '*' && !/^0+$/.test(fieldOf(fields, 'max-forwards') ?? '')) return undefined;
  return { status: 204, fields: ['Allow', ALLOW], body: NOTHING, via: null };
}

/** The `Max-Forwards` with which OPTIONS travels on; what is no number travels as it is. */
export function oneForwardLess(maxForwards: string): string {
  return /^\d{1,9}$/.test(maxForwards) ? String(Math.max(0, Number(maxForwards) - 1)) : maxForwards;
}
