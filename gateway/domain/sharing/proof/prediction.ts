import { SHARED_SECRET_FIELD } from '../../http/upstream-request.ts';
import type { UpstreamMessage } from '../../ports.ts';

/** Where vetiver's models predict. */
export const PREDICT_TARGET = '/predict';

/** What a model of vetiver's is sent there, but for the rows. */
export function predictMessage(sharedSecret: string | undefined): Omit<UpstreamMessage, 'body'> {
  const secret = sharedSecret === undefined ? [] : [SHARED_SECRET_FIELD, sharedSecret];
  const rawHeaders = ['Content-Type', 'application/json', ...secret];
  return { method: 'POST', target: PREDICT_TARGET, host: undefined, rawHeaders };
}
