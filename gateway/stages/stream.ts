import type { Admitted, Leavable } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import { bodyTooLarge, type GatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import { speechOf } from '../domain/grpc/speech.ts';
import { refusalsIn } from '../domain/grpc/transcoder.ts';
import { refuseCoded } from '../domain/http/content-coding.ts';
import { addReplyFields, filterReply, toAnswer } from '../domain/http/reply.ts';
import { composeUpstream } from '../domain/http/upstream-request.ts';
import { outcomeWithoutAnswer, type Answer, type UpstreamAnswer, type Via } from '../domain/upstream.ts';
import { affinityOf } from '../domain/service/balance/policy.ts';
import type { AttemptOutcome, Instance, AcquiredStream } from '../domain/service.ts';
import type { CarriedStream, Carrier, StreamEnd, StreamListener } from '../domain/stream.ts';

/** Carries a call as a stream. */
export type Stream = (admitted: Admitted) => void;

interface StreamPorts {
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
export function createStream(ports: StreamPorts): Stream {
  return function stream(admitted) {
    const { route, caller, body } = admitted;
    const { streamBodyBytesMax } = route.policy;
    if (body.length !== undefined && body.length > streamBodyBytesMax) throw bodyTooLarge(streamBodyBytesMax);
    if (body.length !== 0) refuseCoded(admitted.fields); // it would reach R as it comes
    admitted.disarm();
    // Where it is refused it is so in its own protocol; a transcoder that goes on is no part of a stream.
    const speech = speechOf(admitted.fields);
    if (speech?.protocol === 'grpc') admitted.transcoder = refusalsIn(speech);
    const affinity = affinityOf(route.service.policy.balance, admitted);
    const acquired = route.service.acquireStream({ affinity, callerId: caller.id });
    new CarriedCall(ports, admitted, { acquired, tried: [acquired.instance] }).begin();
  };
}

/** A call that is carried as a stream; its own account of what answered it. */
class CarriedCall implements StreamListener, Leavable, Via {
  readonly instance: string;
  readonly version: string | null;
  readonly attempts: number;
  readonly queueMs = 0;
  connectMs: number | null = null;
  firstByteMs: number | null = null;
  readonly #ports: StreamPorts;
  readonly #call: Admitted;
  readonly #acquired: AcquiredStream;
  /** The last of them is where it is. */
  readonly #tried: readonly Instance[];
  readonly #startedMs: number;
  #stream: CarriedStream | undefined = undefined;
  #isReported = false;

  constructor(ports: StreamPorts, call: Admitted, { acquired, tried }: Acquired) {
    this.#ports = ports;
    this.#call = call;
    this.#acquired = acquired;
    this.#tried = tried;
    this.attempts = tried.length;
    this.#startedMs = ports.clock.nowMs();
    this.instance = acquired.instance.id;
    this.version = acquired.instance.version;
  }

  begin(): void {
    const call = this.#call;
    const { route, method, wire } = call;
    call.record.via = this;
    try {
      const message = composeUpstream(call, NOTHING);
      call.waitsFor = this;
      this.#stream = this.#ports.carrier.carry({
        wire,
        message,
        origin: this.#acquired.instance.origin,
        isHeadOnly: method === 'HEAD',
        connectTimeoutMs: route.service.policy.connectTimeoutMs,
        tls: route.service.policy.tls,
        idleMsMax: route.policy.streamIdleMs,
        bodyBytesMax: route.policy.streamBodyBytesMax,
        listener: this,
      });
    } catch (error) {
      call.waitsFor = undefined;
      this.#acquired.release();
      throw error;
    }
  }

  leave(reason: GatewayError): void {
    this.#stream?.leave(reason);
  }

  onInterim(status: number, fields: string[]): void {
    this.#call.interim(status, fields);
  }

  /** A switch of protocols is a final answer to an upgrade, though its number is not one of those. */
  onHead({ status, fields, body }: UpstreamAnswer): Answer {
    const call = this.#call;
    const isSwitch = status === 101 && call.isUpgrade;
    const answer = toAnswer({ status: isSwitch ? 200 : status, fields, body }, this);
    filterReply(answer, call);
    addReplyFields(answer.fields, call);
    if (isSwitch) answer.status = 101;
    this.#measure();
    this.#report('ok', status);
    call.waitsFor = undefined;
    call.isReplied = true;
    call.record.status = answer.status;
    return answer;
  }

  onEnd(end: StreamEnd): void {
    const call = this.#call;
    const { record } = call;
    this.#acquired.release();
    this.#measure();
    if (!this.#isReported) {
      this.#report(outcomeOfFailure(end), null);
      if (end.kind !== 'answered' && !this.#goesElsewhere(end)) call.failed(end.failure, this);
      return;
    }
    if (end.kind !== 'answered') record.code ??= end.failure.code;
    call.over();
  }

  /** A call of which no instance has seen anything is carried to another, where the route's `retry` allows it. */
  #goesElsewhere({ kind }: StreamEnd): boolean {
    const call = this.#call;
    const { route, caller } = call;
    const isUnseen = this.#stream?.isUntouched === true && UNSEEN.has(kind);
    const { attempts, on } = route.policy.retry;
    if (!isUnseen || call.isReplied || this.attempts >= attempts || !on.has('connect-failure')) return false;
    const affinity = affinityOf(route.service.policy.balance, call);
    try {
      const acquired = route.service.acquireStream({ affinity, callerId: caller.id, tried: this.#tried });
      const requestId = call.id;
      this.#ports.observe({
        kind: 'retry',
        service: route.service.name,
        reason: 'connect-failure',
        requestId,
        instance: this.instance,
      });
      new CarriedCall(this.#ports, call, { acquired, tried: [...this.#tried, acquired.instance] }).begin();
      return true;
    } catch {
      return false; // there is no other: the failure that came of this one says more
    }
  }

  #measure(): void {
    const { record } = this.#call;
    const stream = this.#stream;
    if (stream === undefined) return;
    this.connectMs = stream.connectMs;
    this.firstByteMs = stream.firstByteMs;
    record.bytesIn = stream.bytesIn;
    record.bytesOut = stream.bytesOut;
  }

  #report(outcome: AttemptOutcome, status: number | null): void {
    const { caller, route } = this.#call;
    const { instance } = this.#acquired;
    const durationMs = this.#ports.clock.nowMs() - this.#startedMs;
    this.#isReported = true;
    const finding = { request: this, callerId: caller.id, routeId: route.id, outcome, status, durationMs };
    route.service.report(instance, finding);
    const { name: service } = route.service;
    const facts = { outcome, status, durationMs, queueMs: null };
    this.#ports.observe({ kind: 'attempt', service, instance: instance.id, ...facts });
  }
}

interface Acquired {
  readonly acquired: AcquiredStream;
  readonly tried: readonly Instance[];
}

/** Ends before an instance has seen a call that can still be had whole. */
const UNSEEN: ReadonlySet<StreamEnd['kind']> = new Set(['refused', 'connect-timeout', 'lost']);

/** A head that did not come is no hang: that is measured by the service's own time, and for calls. */
function outcomeOfFailure({ kind }: StreamEnd): AttemptOutcome {
  if (kind === 'hung') return 'timeout';
  return kind === 'answered' ? 'fault' : outcomeWithoutAnswer(kind);
}
