import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Answer, Received, Reply, Stages } from '../domain/exchange.ts';
import { payOwedFields } from '../domain/http/owed-fields.ts';
import { toProblem } from '../domain/problem.ts';

/** Turns any failure into problem+json, and sees that every answer carries what it owes. */
export function createRespond({ observe }: { readonly observe: Observe }): Stages['respond'] {
  return async (received, next) => {
    const reply = await answerOrProblem(received, next);
    return reply.kind === 'answer' ? withOwedFields(reply, received) : reply;
  };

  async function answerOrProblem(received: Received, next: () => Promise<Reply>): Promise<Reply> {
    try {
      if (received.refusal !== undefined) throw received.refusal;
      return await next();
    } catch (error) {
      const failure = toGatewayError(error);
      received.notes.code = failure.code;
      if (failure.code === 'INTERNAL') {
        observe({ kind: 'internal-error', where: 'flow', error: causeOf(failure), requestId: received.id });
      }
      return toProblem(failure, received.id);
    }
  }
}

function withOwedFields(answer: Answer, received: Received): Answer {
  const fields = [...answer.rawHeaders];
  payOwedFields(fields, received);
  return { kind: 'answer', status: answer.status, rawHeaders: fields, body: answer.body };
}

/** What really went wrong, with its stack. */
function causeOf(failure: GatewayError): unknown {
  return failure.cause instanceof GatewayError ? causeOf(failure.cause) : (failure.cause ?? failure);
}
