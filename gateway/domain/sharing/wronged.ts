import type { GatewayError } from '../errors.ts';
import type { Route } from '../route.ts';

/** One of those who share a question. */
interface Sharer {
  readonly callerId: string;
  readonly joinedMs: number;
}

/** The question as it was refused. */
interface Refused {
  readonly route: Route;
  /** Of whoever asked first: in their turn it waited. */
  readonly callerId: string | undefined;
  readonly nowMs: number;
}

/**
 * True where the failure of a shared question says little of one who shares it: the queue has refused whoever asked first,
 * and this one has waited for less long, or is another caller.
 */
export function isWronged({ code }: GatewayError, sharer: Sharer, { route, callerId, nowMs }: Refused): boolean {
  if (code === 'QUEUE_FULL') return sharer.callerId !== callerId;
  return code === 'QUEUE_TIMEOUT' && nowMs - sharer.joinedMs < route.service.policy.queueWaitMsMax;
}
