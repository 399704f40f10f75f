import type { Call } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import type { Observe, RequestEvent } from '../domain/events.ts';
import type { Audit } from './audit.ts';
import { NOT_SENT } from '../domain/upstream.ts';

interface ObservePorts {
  readonly clock: Clock;
  readonly observe: Observe;
  readonly audit: Pick<Audit, 'note'>;
}

/** Emits a call's one event when its reply is over: the log line and the metrics come of it. It is noted in the audit trail, where its route asks for that. */
export type ObserveCall = (call: Call) => void;

/**
 * A buffered reply is over when the edge has it; a poured one when its body has ended, well or badly; a stream when it has
 * ended by itself.
 */
export function createObserve({ clock, observe, audit }: ObservePorts): ObserveCall {
  return function observeCall(call) {
    if (call.route?.policy.isAudited === true) audit.note(call);
    observe(toEvent(call, clock.nowMs()));
  };
}

/** As the caller sent it, whatever R was sent in its place. */
function originalOf(call: Call): Pick<RequestEvent, 'protocol' | 'method' | 'path'> {
  const { transcoder, method, path } = call;
  if (transcoder === undefined) return call;
  const { protocol, originalMethod = method, originalPath = path } = transcoder;
  return { protocol, method: originalMethod, path: originalPath };
}

function toEvent(call: Call, nowMs: number): RequestEvent {
  const { id, caller, route, record } = call;
  const { protocol, method, path } = originalOf(call);
  const { instance, version, attempts, queueMs, connectMs, firstByteMs, last = null } = record.via ?? NOT_SENT;
  return {
    kind: 'request',
    id,
    caller: caller?.id ?? null,
    protocol,
    method,
    path,
    route: route?.id ?? null,
    service: route?.service.name ?? null,
    instance,
    version,
    status: record.status,
    code: record.code,
    attempts,
    queueMs,
    connectMs,
    firstByteMs,
    totalMs: nowMs - record.arrivedMs,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    cache: record.cache,
    isCoalesced: record.isCoalesced,
    attempt: last,
  };
}
