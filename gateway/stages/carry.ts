import { affinityOf } from '../domain/service/affinity.ts';
import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Admitted, Place, Stages } from '../domain/exchange.ts';
import { payOwedFields } from '../domain/http/owed-fields.ts';
import type { Carrier, Carrying, Clock, Settled, StreamWanted } from '../domain/ports.ts';
import { toReplyDraft } from '../domain/http/reply-head.ts';
import type { ReplyDraft } from '../domain/route.ts';
import type { AttemptOutcome } from '../domain/service.ts';
import { outcomeWithoutAnswer } from '../domain/http/upstream-verdict.ts';
import { composeUpstream } from '../domain/http/upstream-request.ts';

interface CarryPorts {
  readonly carrier: Carrier;
  readonly clock: Clock;
  readonly observe: Observe;
}

const NOTHING = Buffer.alloc(0);

/**
 * Gives a stream a place beside the permits, and hands it over to an edge that carries it.
 *
 * It is never repeated, and has no deadline: silence ends it. The place is given back when the stream is over on the
 * instance's side.
 */
export function createCarry(ports: CarryPorts): Stages['carry'] {
  return async admitted => {
    admitted.deadline.disarm();
    const startedMs = ports.clock.nowMs();
    const place = boardFor(admitted);
    const carrying = begin(ports.carrier, admitted, place);
    const ended = carrying.settled.then(settled => {
      place.release();
      note(admitted, carrying, settled);
    });
    const tell = (outcome: AttemptOutcome) =>
      tellOf(ports, { admitted, place, outcome, durationMs: ports.clock.nowMs() - startedMs });
    try {
      const status = await carrying.head;
      tell('ok');
      return { kind: 'handed-over', status, ended };
    } catch (error) {
      tell(outcomeOfFailure(await carrying.settled));
      throw toGatewayError(error);
    }
  };
}

function boardFor(admitted: Admitted): Place {
  const { route, caller, deadline, notes } = admitted;
  const { service, policy } = route;
  const affinity = affinityOf(service.policy.balance, admitted);
  const place = service.board({
    ...{ signal: deadline.signal, tried: [], affinity, callerId: caller.id },
    ...{ priority: policy.priority, remainingMs: Infinity },
  });
  notes.attempts = 1;
  notes.instance = place.instance.id;
  notes.version = place.instance.version;
  return place;
}

function begin(carrier: Carrier, admitted: Admitted, place: Place): Carrying {
  const { route, wire, method } = admitted;
  try {
    return carrier.carry({
      wire,
      request: { ...composeUpstream(admitted, NOTHING), origin: place.instance.origin },
      isHeadOnly: method === 'HEAD',
      connectTimeoutMs: route.service.policy.connectTimeoutMs,
      idleMsMax: route.policy.streamIdleMs,
      toHead: answer => toHead(admitted, answer),
    });
  } catch (error) {
    place.release();
    throw error;
  }
}

/** A switch of protocols is a final answer to an upgrade, though its number is not one of those. */
function toHead(admitted: Admitted, answer: Parameters<StreamWanted['toHead']>[0]): ReplyDraft {
  const isSwitch = answer.status === 101 && admitted.isUpgrade;
  const draft = toReplyDraft(isSwitch ? { ...answer, status: 200 } : answer);
  for (const filter of admitted.route.filters) filter.onReply?.(draft, admitted);
  payOwedFields(draft.fields, admitted);
  if (isSwitch) draft.status = 101;
  return draft;
}

function note({ notes }: Admitted, { timings, bytes }: Carrying, settled: Settled): void {
  notes.connectMs = timings.connectMs ?? null;
  notes.firstByteMs = timings.firstByteMs ?? null;
  notes.bytesIn = bytes.in;
  notes.bytesOut = bytes.out;
  if (settled === 'lost') notes.code ??= new GatewayError('CONNECTION_LOST', 'broken off in the middle').code;
}

/** A head that did not come is no hang: that is measured by the service's own time, and for calls. */
function outcomeOfFailure(settled: Settled): AttemptOutcome {
  if (settled === 'hung') return 'timeout';
  return settled === 'answered' ? 'fault' : outcomeWithoutAnswer(settled);
}

interface Told {
  readonly admitted: Admitted;
  readonly place: Place;
  readonly outcome: AttemptOutcome;
  readonly durationMs: number;
}

function tellOf({ observe }: CarryPorts, { admitted, place, outcome, durationMs }: Told): void {
  const { notes: request, caller, route } = admitted;
  route.service.report(place.instance, { request, callerId: caller.id, outcome, durationMs });
  observe({ kind: 'attempt', service: route.service.name, instance: place.instance.id, outcome, durationMs });
}
