import type { Complete, Question } from './exchange.ts';
import { composeUpstream } from './http/upstream-request.ts';
import type { UpstreamMessage } from './ports.ts';
import { affinityOf } from './service/affinity.ts';
import type { Shared } from './sharing/shared.ts';

/** A request put to R for its own caller alone. */
export function questionOf(complete: Complete): Question {
  let message: UpstreamMessage | undefined;
  const { deadline, notes } = complete;
  return {
    ...askedBy(complete),
    ...{ deadline, notes },
    message: () => (message ??= composeUpstream(complete, complete.content)),
  };
}

/** For how long a question is shared, what is noted of it, and who would remember the answer. */
type Share = Pick<Question, 'deadline' | 'notes' | 'keep'>;

/**
 * A request put to R for all who share it, or may come to: whoever asked first waits in the queue for them all, in the
 * turn of their own caller.
 */
export function sharedQuestion(shared: Shared, share: Share): Question {
  const { deadline, notes } = share;
  return {
    ...askedBy(shared.complete),
    ...{ deadline, notes },
    isOpenEnded: true,
    message: () => shared.message,
    get keep() {
      return share.keep; // one who would may come later
    },
  };
}

function askedBy(complete: Complete): Pick<Question, 'id' | 'route' | 'method' | 'callerId' | 'affinity'> {
  const { id, route, method, caller } = complete;
  return { id, route, method, callerId: caller.id, affinity: affinityOf(route.service.policy.balance, complete) };
}
