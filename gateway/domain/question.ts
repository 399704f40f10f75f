import type { Complete, Question } from './exchange.ts';
import { composeUpstream } from './http/upstream-request.ts';
import type { UpstreamMessage } from './ports.ts';
import { affinityOf } from './service/affinity.ts';

/** A request put to R for its own caller alone. */
export function questionOf(complete: Complete): Question {
  const { id, route, method, caller, deadline, notes } = complete;
  const affinity = affinityOf(route.service.policy.balance, complete);
  let message: UpstreamMessage | undefined;
  return {
    ...{ id, route, method, callerId: caller.id, affinity, deadline, notes },
    message: () => (message ??= composeUpstream(complete, complete.content)),
  };
}
