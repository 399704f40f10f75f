import { createDeadline } from '../../deadline.ts';
import type { Ask, Question } from '../../exchange.ts';
import { dropBody } from '../../http/dress.ts';
import type { AskForProof } from './batch-proof.ts';
import { blankNotes } from '../../notes.ts';
import type { Clock, UpstreamMessage } from '../../ports.ts';
import type { Route } from '../../route.ts';

interface QuestionPorts {
  readonly ask: Ask;
  readonly clock: Clock;
  /** Breaks off what is under way. */
  readonly closing: AbortSignal;
}

/** One question waits and runs at most so long. */
const QUESTION_MS_MAX = 10_000;

/** By this name the gateway's own questions take their turn. */
const CALLER_ID = 'penstock';

/**
 * Asks a route's service in the gateway's own name: it takes a place like anyone, after everyone else. A streamed answer
 * is dropped, since nobody reads it.
 */
export function createAskForProof({ ask, clock, closing }: QuestionPorts, route: Route): AskForProof {
  return async message => {
    const deadline = createDeadline(clock);
    const notes = blankNotes(clock.nowMs());
    const giveUp = () => deadline.hangUp();
    closing.addEventListener('abort', giveUp);
    deadline.arm(QUESTION_MS_MAX);
    try {
      const answer = await ask({ ...questionOf(route, message), deadline, notes });
      dropBody(answer);
      return { answer, version: notes.version ?? '' };
    } finally {
      deadline.end();
      closing.removeEventListener('abort', giveUp);
    }
  };
}

function questionOf(route: Route, message: UpstreamMessage): Omit<Question, 'deadline' | 'notes'> {
  const patient = { ...route, policy: { ...route.policy, priority: 'low' as const } };
  const { method } = message;
  return { id: 'proof', route: patient, method, callerId: CALLER_ID, affinity: '', message: () => message };
}
