import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { GatewayError } from '../../domain/errors.ts';
import type { Observe, RequestEvent } from '../../domain/events.ts';
import type { Clock } from '../../domain/ports.ts';
import { toProblem } from '../../domain/problem.ts';
import { answerRaw } from './raw-answer.ts';

interface Parts {
  readonly observe: Observe;
  readonly clock: Clock;
}

/** Refuses what is no request, on the connection itself, and tells of it as of a request. */
export function refuseRaw(failure: GatewayError, socket: Duplex, { observe, clock }: Parts): void {
  const id = randomUUID();
  const problem = toProblem(failure, id);
  observe({ kind: 'request-began' });
  observe(faultEvent(failure, id, problem));
  answerRaw(socket, { ...problem, rawHeaders: [...problem.rawHeaders, 'X-Request-Id', id] }, clock.wallMs());
}

/** The access line of what was no request: nothing is known of it but how it was refused. */
function faultEvent(failure: GatewayError, id: string, problem: { readonly body: unknown }): RequestEvent {
  return {
    kind: 'request',
    id,
    caller: null,
    method: '',
    path: '',
    route: null,
    service: null,
    instance: null,
    version: null,
    status: failure.status,
    code: failure.code,
    attempts: 0,
    queueMs: 0,
    connectMs: null,
    firstByteMs: null,
    totalMs: 0,
    bytesIn: 0,
    bytesOut: Buffer.isBuffer(problem.body) ? problem.body.length : 0,
  };
}
