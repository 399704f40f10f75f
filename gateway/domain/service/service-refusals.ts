import { GatewayError } from '../errors.ts';
import type { ServiceCore } from './service-core.ts';

/** The service cannot do anything for this request; says when an instance will be tried again, where that is known. */
export function unavailable(core: ServiceCore): GatewayError {
  const nowMs = core.look();
  const ends = [...core.instances.values()].flatMap(({ order, outlier: { state } }) =>
    order === 'none' && state.kind === 'ejected' ? [state.untilMs - nowMs] : [],
  );
  const problem = `none of ${core.instances.size} instances of ${core.name} is in rotation`;
  return new GatewayError(
    'SERVICE_UNAVAILABLE',
    problem,
    ends.length === 0 ? {} : { retryAfterMs: Math.max(1, Math.min(...ends)) },
  );
}

/** One more cannot wait. */
export function queueFull(core: ServiceCore): GatewayError {
  return new GatewayError('QUEUE_FULL', `${core.queue.depth} requests are waiting for ${core.name} already`, {
    retryAfterMs: queueMsFor(core),
  });
}

/** The time in the queue is over. */
export function queueTimeout(core: ServiceCore, waitMsMax: number): GatewayError {
  if (core.rotation.eligible === 0) return unavailable(core);
  return new GatewayError('QUEUE_TIMEOUT', `no instance of ${core.name} became free within ${waitMsMax} ms`, {
    retryAfterMs: queueMsFor(core),
  });
}

/** How long the queue takes as things go; at most `waitMax`, after which everyone in it has left. */
function queueMsFor({ latency, moment, queue, rotation, policy }: ServiceCore): number {
  const answerMs = latency.averageMs(moment.nowMs) ?? Infinity;
  const places = Math.max(1, rotation.eligible * policy.concurrency);
  return Math.max(1, Math.min(policy.queueWaitMsMax, (answerMs * (queue.depth + 1)) / places));
}
