import { FAILURES, type GatewayError } from './errors.ts';
import type { Answer } from './upstream.ts';

/** A failure as the caller sees it (RFC 9457). It names the code and nothing of our insides. */
export function toProblem(error: GatewayError, requestId: string): Answer {
  const { status, title } = FAILURES[error.code];
  const body = Buffer.from(
    JSON.stringify({
      type: `urn:penstock:error:${error.code}`,
      title,
      status,
      detail: error.detail,
      code: error.code,
      requestId,
      message: error.detail, // vetiver's client shows `message`
    }),
  );
  const fields = ['Content-Type', 'application/problem+json', 'Cache-Control', 'no-store', ...error.fields];
  if (error.retryAfterMs !== undefined) fields.push('Retry-After', String(Math.ceil(error.retryAfterMs / 1000)));
  return { status, fields, body, via: null };
}
