import type { Answer, Ask, Complete, Question, Stages } from '../domain/exchange.ts';
import { dress } from '../domain/http/dress.ts';
import type { Digest } from '../domain/ports.ts';
import { questionOf } from '../domain/question.ts';
import type { Sharing } from '../domain/route.ts';
import { sharedOf } from '../domain/sharing/shared-key.ts';
import { unlessKnown } from '../domain/sharing/cache/entity-tag.ts';
import type { Gather, Join, Remember } from '../domain/sharing/shared.ts';

interface AnswerPorts {
  readonly digest: Digest;
  readonly remember: Remember;
  readonly join: Join;
  readonly gather: Gather;
  /** Hears of what was asked and answered apart from all that is shared. */
  readonly noteWrite: (question: Question, answer: Answer) => void;
}

/**
 * Replies without asking R where a filter of the route can, as a redirect, or where the answer is remembered; asks R
 * once for several where they ask the same, or can travel together.
 *
 * In this order: what is remembered needs no flight, and a flight is one traveller, however many wait for it. What comes
 * back is R's own; each caller gets it dressed for them, or hears that they have it already: R was not told of that.
 */
export function createAnswer(ports: AnswerPorts): Stages['answer'] {
  return async function answer(complete, ask) {
    const { filters, policy } = complete.route;
    for (const { onBehalf } of filters) {
      if (onBehalf !== undefined) return onBehalf(complete);
    }
    const isShared = policy.sharing?.methods.has(complete.method) === true;
    if (!isShared) return dress(await askAlone(complete, ask), complete);
    return unlessKnown(dress(await share(complete, policy.sharing, ask), complete), complete);
  };

  function share(complete: Complete, sharing: Sharing, ask: Ask): Promise<Answer> {
    const { digest, remember, join, gather } = ports;
    const shared = sharedOf(complete, sharing, digest);
    return remember(shared, keep => join(shared, keep, question => gather(shared, question, ask)));
  }

  async function askAlone(complete: Complete, ask: Ask): Promise<Answer> {
    const question = questionOf(complete);
    const answer = await ask(question);
    ports.noteWrite(question, answer);
    return answer;
  }
}
