import type { Caller } from '../domain/caller.ts';
import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import { isMatched, type Received, type Reply, type Stages } from '../domain/exchange.ts';
import type { Clock } from '../domain/ports.ts';

interface ObservePorts {
  readonly clock: Clock;
  readonly observe: Observe;
}

/**
 * Tells that a request began, and once, when its reply is over, how it went.
 *
 * A buffered reply is over when it leaves the flow; a streamed one when its body has ended, well or badly; what was
 * handed over when it has ended by itself.
 */
export function createObserve({ clock, observe: emit }: ObservePorts): Stages['observe'] {
  const tell = (received: Received, status: number) => emit(toEvent(received, status, clock.nowMs()));

  return async (received, next) => {
    emit({ kind: 'request-began' });
    let reply: Reply;
    try {
      reply = await next();
    } catch (error) {
      const failure = toGatewayError(error);
      received.notes.code = failure.code;
      tell(received, failure.status);
      throw error;
    }
    whenOver(received, reply, () => tell(received, reply.status));
    return reply;
  };
}

function whenOver(received: Received, reply: Reply, tell: () => void): void {
  if (reply.kind === 'handed-over') {
    void reply.ended.then(tell);
    return;
  }
  const { body } = reply;
  if (Buffer.isBuffer(body)) {
    received.notes.bytesOut = received.method === 'HEAD' ? 0 : body.length;
    tell();
    return;
  }
  // The edge counts the bytes of a stream as they leave.
  body.once('close', () => {
    if (body.errored !== null) received.notes.code = toGatewayError(body.errored).code;
    else if (!body.readableEnded && received.method !== 'HEAD') received.notes.code = goneOrLate(received);
    tell();
  });
}

/** A body that was left before its end: the request's own signal says why, else the caller is gone. */
function goneOrLate({ deadline }: Received): GatewayError['code'] {
  const reason: unknown = deadline.signal.reason;
  return reason instanceof GatewayError ? reason.code : 'CALLER_GONE';
}

function toEvent(received: Received, status: number, nowMs: number): Parameters<Observe>[0] {
  const { notes } = received;
  const route = isMatched(received) ? received.route : undefined;
  return {
    kind: 'request',
    id: received.id,
    caller: callerOf(received)?.id ?? null,
    method: received.method,
    path: received.path,
    route: route?.id ?? null,
    service: route?.service.name ?? null,
    instance: notes.instance,
    version: notes.version,
    status,
    code: notes.code,
    attempts: notes.attempts,
    queueMs: notes.queueMs,
    connectMs: notes.connectMs,
    firstByteMs: notes.firstByteMs,
    totalMs: nowMs - notes.startedMs,
    bytesIn: notes.bytesIn,
    bytesOut: notes.bytesOut,
  };
}

function callerOf(received: Received & { readonly caller?: Caller }): Caller | undefined {
  return received.caller;
}
