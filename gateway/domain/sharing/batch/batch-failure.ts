import type { Batch } from './batch.ts';
import type { Subject } from './batch-subject.ts';
import type { Observe } from '../../events.ts';
import type { Clock } from '../../ports.ts';

/** What a failed batch is told to. */
interface FailurePorts {
  readonly subject: Subject;
  readonly clock: Clock;
  readonly observe: Observe;
}

/**
 * Takes note that a batch had to be divided. Where that happens too often, those whose calls brought it about travel
 * singly for a while; where nobody in particular did, all do.
 */
export function noteDivided({ route, members }: Batch, { subject, clock, observe }: FailurePorts): void {
  const nowMs = clock.nowMs();
  const forMs = subject.size.divided(nowMs);
  if (forMs === undefined) return;
  const callerIds = members.map(({ question }) => question.callerId);
  const culprits = subject.blame.setApart(callerIds, nowMs + forMs);
  const seconds = forMs / 1000;
  if (culprits.length === 0) {
    const reason = `batches keep failing: calls travel singly for ${seconds} s`;
    observe({ kind: 'batching', route: route.id, isOn: false, reason });
    return;
  }
  subject.size.resume();
  observe({
    kind: 'notice',
    level: 'warn',
    text: `batches keep failing by the calls of some: those travel singly for ${seconds} s`,
    about: { route: route.id, callers: culprits.join(', ') },
  });
}
