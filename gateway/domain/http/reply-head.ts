import { GatewayError } from '../errors.ts';
import { hopByHopOf, isField } from './field-syntax.ts';
import type { UpstreamAnswer } from '../ports.ts';
import type { ReplyDraft } from '../route.ts';

/**
 * An instance's answer as a reply may begin: its status, and the fields that are meant for the caller.
 *
 * What frames the message (`Content-Length`, `Transfer-Encoding`, `Connection` and what it names) is the edge's to say
 * again. A field that could not be sent on is dropped; R's `Date` is kept, as the origin's (RFC 9110 §6.6.1).
 */
export function toReplyDraft(answer: Pick<UpstreamAnswer, 'status' | 'rawHeaders'>): ReplyDraft {
  const { status, rawHeaders } = answer;
  if (!isFinalStatus(status)) {
    throw new GatewayError('UPSTREAM_FAULT', `the instance answered with the status ${status}`);
  }
  const endsHere = hopByHopOf(rawHeaders);
  const fields: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    const lowerName = name.toLowerCase();
    if (endsHere(lowerName) || lowerName === 'content-length') continue;
    if (isField(name, value)) fields.push(name, value);
  }
  return { status, fields };
}

function isFinalStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599;
}
