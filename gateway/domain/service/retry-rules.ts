import type { FailureCode, GatewayError } from '../errors.ts';
import type { RetryReason } from '../route.ts';

/** RFC 9110 §9.2.2: calling twice has the effect of calling once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** A request that broke so many instances is not sent to another: it may be what breaks them. */
export const LOSSES_MAX = 2;

/** True when repeating a request does no harm, by its method or because the operator says so. */
export function isRepeatable(method: string, isPure: boolean): boolean {
  return isPure || IDEMPOTENT.has(method);
}

/** By what name `retry.on` asks for a failure. What stands here is all that is ever repeated. */
const REASONS: Partial<Record<FailureCode, RetryReason>> = {
  CONNECT_FAILED: 'connect-failure',
  CONNECTION_LOST: 'connection-lost',
  ATTEMPT_TIMEOUT: 'attempt-timeout',
  UPSTREAM_FAULT: 502, // an answer that is none is one more bad gateway
};

/** Why a failure may be repeated, in the words of `retry.on`; undefined: it never is. */
export function retryReasonOf(error: GatewayError): RetryReason | undefined {
  return REASONS[error.code];
}

/** True when the service could not even take the request: what happened before says more. */
export function isUnplaced(error: GatewayError): boolean {
  return error.code === 'QUEUE_FULL' || error.code === 'QUEUE_TIMEOUT' || error.code === 'SERVICE_UNAVAILABLE';
}
