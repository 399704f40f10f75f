import type { Ask, Received, Reply, Stages } from './domain/exchange.ts';

/**
 * The journey of a request. Read this file first.
 *
 *   observe    one log line, one set of metrics around all the rest
 *   respond    any failure becomes problem+json; every answer gets the fields it owes
 *   match      finds the route                                           404 405
 *   preflight  answers a browser's question before it has a credential
 *   admit      who is calling, may they, and not too often               401 403 429
 *   carry      a stream goes its own way from here                       501 502 503
 *   receive    takes the body in                                         400 408 413
 *   answer     replies without asking R, where it can; asks once for several; dresses what comes back
 *   attempt    tries and retries, within the budget                      504
 *   schedule   waits for a place, then picks an instance                 503
 *   forward    one exchange with one instance                            502
 *
 * Every stage receives what the stage before it learned, and adds its own; the types make it impossible to forward what
 * was not admitted. A stage refuses by throwing a GatewayError, and `respond`, alone, turns that into an answer.
 *
 * `attempt` stands before `schedule` because a retry queues and chooses anew; it never insists on the instance that
 * failed. What `answer` puts to R is a question: one caller's request, or what several share. The body is taken in after
 * admission, so that a stranger's body costs no memory.
 */
export function createFlow(stages: Stages): (received: Received) => Promise<Reply> {
  const { observe, respond, match, preflight, admit, carry, receive, answer } = stages;
  const ask = createAsk(stages);

  return received => observe(received, () => respond(received, () => travel(received)));

  async function travel(received: Received): Promise<Reply> {
    const matched = match(received);
    return preflight(matched, async () => {
      const admitted = await admit(matched);
      if (admitted.route.policy.isStream) return carry(admitted);
      const complete = await receive(admitted);
      return answer(complete, ask);
    });
  }
}

/** The last part of the journey, on which the gateway also sends questions of its own. */
export function createAsk({ attempt, schedule, forward }: Pick<Stages, 'attempt' | 'schedule' | 'forward'>): Ask {
  return question =>
    attempt(question, current => schedule(question, current, place => forward(question, current, place)));
}
