import type { Call } from '../domain/call.ts';
import type { GatewayError } from '../domain/errors.ts';
import { PluginFailure } from '../domain/plugin/guard.ts';
import type { Observe } from '../domain/events.ts';
import { refusalsOf } from '../domain/grpc/transcoder.ts';
import { type Answer, dropBody } from '../domain/upstream.ts';
import { addReplyFields, toProblem } from '../domain/http/reply.ts';

/** Gives a call its reply. */
export interface Respond {
  answer(call: Call, answer: Answer): void;
  /** As problem+json, or in the form of the caller's own protocol. */
  failure(call: Call, failure: GatewayError): void;
}

/** Sees that every reply carries what every reply must, and that a call has one only. */
export function createRespond({ observe }: { readonly observe: Observe }): Respond {
  function answer(call: Call, reply: Answer): void {
    if (call.isReplied) {
      dropBody(reply);
      return;
    }
    addReplyFields(reply.fields, call);
    call.isReplied = true;
    call.record.status = reply.meantStatus ?? reply.status;
    call.wire.send(call, reply);
  }

  return {
    answer,
    failure(call, failure) {
      call.record.code = failure.code;
      if (failure.code === 'INTERNAL') {
        observe({ kind: 'internal-error', where: 'flow', error: causeOf(failure), requestId: call.id });
      }
      if (failure instanceof PluginFailure) {
        observe({ kind: 'plugin-failed', plugin: failure.plugin, error: failure, requestId: call.id });
      }
      if (call.transcoder?.failure === undefined) call.transcoder = refusalsOf(call); // one of CSV has no say in failures
      answer(call, call.transcoder?.failure?.(call, failure) ?? toProblem(failure, call.id));
    },
  };
}

/** What really went wrong, with its stack. */
function causeOf(failure: GatewayError): unknown {
  const { cause } = failure;
  if (cause instanceof Error && 'code' in cause && cause.name === failure.name) return causeOf(cause as GatewayError);
  return cause ?? failure;
}
