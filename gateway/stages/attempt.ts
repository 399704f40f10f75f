import type { Complete } from '../domain/call.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { Deadlines, Timed } from '../domain/deadlines.ts';
import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import { composeUpstream } from '../domain/http/upstream-request.ts';
import { toAnswer } from '../domain/http/reply.ts';
import type { Instance, AttemptOutcome, Permit, PermitRequest, Priority, Finding } from '../domain/service.ts';
import type { RetryReason, Route } from '../domain/route.ts';
import { affinityOf } from '../domain/service/balance/policy.ts';
import { fullJitterDelayMs } from '../domain/back-off.ts';
import { isRepeatable, isUnplaced, LOSSES_MAX, retryReasonOf } from '../domain/service/retry.ts';
import {
  type Answer,
  type SendUpstream,
  type AttemptFacts,
  dropBody,
  type Exchange,
  type ExchangeBounds,
  type ExchangeEnd,
  type ExchangeListener,
  outcomeOfEnd,
  outcomeOfLeaving,
  statusOfEnd,
  type Transport,
  type UpstreamAnswer,
  type UpstreamMessage,
  type UpstreamRequest,
  type UpstreamRequestOptions,
  verdictOf,
  type Via,
} from '../domain/upstream.ts';

interface AttemptPorts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  readonly observe: Observe;
}

/**
 * Tries, and tries again where the route's retry policy, the nature of the request and the service's budget allow it.
 *
 * What the last attempt brought is what the caller gets, an answer of R as R gave it. When a retry does not even find an
 * instance, what was brought before says more.
 */
export function createAttempt(ports: AttemptPorts): SendUpstream {
  return function attempt(options) {
    const request = new AttemptedRequest(ports, options);
    request.begin();
    return request;
  };
}

/** What is put to R for one call alone. */
export function requestOf(call: Complete): UpstreamRequestOptions {
  const { id, route, method, caller, endsMs } = call;
  return {
    id,
    route,
    method,
    endsMs,
    callerId: caller.id,
    affinity: affinityOf(route.service.policy.balance, call),
    isShared: false,
    waiting: call,
    keepLate: undefined,
    message: () => composeUpstream(call, call.content),
  };
}

/** How one attempt ended. */
type Ended = { readonly answer: Answer; readonly error?: undefined } | { readonly error: GatewayError };

const NO_INSTANCES: readonly Instance[] = [];

/**
 * One request put to R.
 *
 *   queued   → sent      it has a permit
 *   sent     → queued    it is retried at once
 *   sent     → waiting   it is retried after its back-off
 *   waiting  → queued
 *   any      → over      what waits for it was told, or has left
 *
 * It is what the queue, the transport and the clock call back. The exchange with R is its own owner: when what waits
 * leaves, or the attempt's time is over, only the waiting ends, and the permit is given back when R is done.
 */
class AttemptedRequest implements UpstreamRequest, PermitRequest, ExchangeListener, Timed {
  readonly affinity: string;
  readonly callerId: string;
  readonly priority: Priority;
  readonly routeId: string;
  usefulUntilMs: number;
  tried: readonly Instance[] = NO_INSTANCES;
  queued: object | undefined = undefined;
  endsMs = Infinity;
  watchedAt = -1;

  instance: string | null = null;
  version: string | null = null;
  attempts = 0;
  queueMs = 0;
  connectMs: number | null = null;
  firstByteMs: number | null = null;
  /** Undefined where an event of its own reported it. */
  last: AttemptFacts | undefined = undefined;

  readonly #ports: AttemptPorts;
  readonly #options: UpstreamRequestOptions;
  #state: 'queued' | 'sent' | 'waiting' | 'over' = 'queued';
  #number = 0;
  #losses = 0;
  #sinceMs = 0;
  /** Of this attempt alone. */
  #queuedMs = 0;
  #message: UpstreamMessage | undefined = undefined;
  /** That the attempt was made at; undefined: it found none. */
  #instance: Instance | undefined = undefined;
  #permit: Permit | undefined = undefined;
  #exchange: Exchange | undefined = undefined;
  /** What the attempt before brought. */
  #before: Ended | undefined = undefined;
  /** Of an answer whose body is still poured. */
  #poured: UpstreamAnswer | undefined = undefined;
  #answeredMs: number | undefined = undefined;

  constructor(ports: AttemptPorts, options: UpstreamRequestOptions) {
    const { route, callerId, affinity, endsMs } = options;
    this.#ports = ports;
    this.#options = options;
    this.affinity = affinity;
    this.callerId = callerId;
    this.priority = options.priority ?? route.policy.priority;
    this.routeId = route.id;
    this.usefulUntilMs = endsMs;
  }

  get isSent(): boolean {
    return this.#message !== undefined;
  }

  begin(): void {
    this.#options.route.service.budget.request();
    this.#tryOnce();
  }

  extend(endsMs: number): void {
    this.usefulUntilMs = Math.max(this.usefulUntilMs, endsMs);
  }

  leave(reason: GatewayError): void {
    const { route, waiting, keepLate } = this.#options;
    const state = this.#state;
    const before = this.#before;
    if (state === 'over') return;
    this.#state = 'over';
    this.#ports.deadlines.remove(this);
    if (state === 'queued') {
      route.service.leave(this);
      this.#noteQueued();
    } else if (state === 'sent') this.#abandon(reason, keepLate);
    // A deadline says less than an answer that one more attempt was to better.
    if (reason.code === 'DEADLINE_EXCEEDED' && before !== undefined && before.error === undefined) {
      waiting.answered(before.answer);
    }
  }

  // —— schedule: a permit, at once or after waiting in the service's queue

  #tryOnce(): void {
    this.#number += 1;
    this.#state = 'queued';
    this.#instance = undefined;
    this.#sinceMs = this.#ports.clock.nowMs();
    let permit: Permit | undefined;
    try {
      permit = this.#options.route.service.acquire(this);
    } catch (error) {
      this.#noteQueued();
      this.#ended({ error: toGatewayError(error) });
      return;
    }
    if (permit !== undefined) this.onPermit(permit);
  }

  onRefused(failure: GatewayError): void {
    this.#noteQueued();
    this.#ended({ error: failure });
  }

  onPermit(permit: Permit): void {
    this.#noteQueued();
    try {
      this.#send(permit);
    } catch (error) {
      if (!permit.hasBegun) permit.release(); // nothing was sent: the instance is free
      this.#ended({ error: toGatewayError(error) });
    }
  }

  #noteQueued(): void {
    this.#queuedMs = this.#ports.clock.nowMs() - this.#sinceMs;
    this.queueMs += this.#queuedMs;
  }

  // —— forward: one exchange with one instance

  #send(permit: Permit): void {
    const { transport, clock, deadlines } = this.#ports;
    const { route, isShared } = this.#options;
    const { instance } = permit;
    this.attempts = this.#number;
    this.#instance = instance;
    this.instance = instance.id;
    this.version = instance.version;
    this.connectMs = null;
    this.firstByteMs = null;
    const message = (this.#message ??= this.#options.message());
    if (this.#state === 'over') {
      permit.release(); // composing the message can end what waits
      return;
    }
    this.#sinceMs = clock.nowMs();
    this.#answeredMs = undefined;
    this.#exchange = transport.send(instance.origin, message, { bounds: boundsOf(route), listener: this, route });
    permit.begin(); // not before it is on its way: what the transport would not send never ends
    this.#permit = permit;
    this.#state = 'sent';
    const timeoutMs = this.#timeoutMs();
    if (isShared || this.#sinceMs + timeoutMs < this.usefulUntilMs) deadlines.move(this, this.#sinceMs + timeoutMs);
  }

  onInterim(status: number, fields: string[]): void {
    if (!this.#options.isShared) this.#options.waiting.interim?.(status, fields);
  }

  onStream(answer: UpstreamAnswer): void {
    this.#noteTimes();
    this.#ports.deadlines.remove(this);
    this.#poured = answer;
    this.#arrived(answer);
  }

  onEnd(end: ExchangeEnd): void {
    this.#ports.deadlines.remove(this);
    this.#noteTimes();
    const poured = this.#poured;
    this.#settle(outcomeOfEnd(end, this.#options.route), statusOfEnd(end));
    if (poured !== undefined) return; // what waits has it already
    if (end.kind === 'answered') this.#arrived(end.answer);
    else this.#ended({ error: end.failure });
  }

  #arrived(answer: UpstreamAnswer): void {
    let ended: Ended;
    try {
      ended = { answer: judged(answer, this.#options, this) };
    } catch (error) {
      dropBody(answer);
      ended = { error: toGatewayError(error) };
    }
    this.#ended(ended, answer.status);
  }

  /** The attempt is reported, and the instance is free again: in this order. */
  #settle(outcome: AttemptOutcome, status: number | null): void {
    this.#exchange = undefined;
    this.#report(outcome, status);
    this.#permit?.release();
    this.#permit = undefined;
  }

  /** A slow reader of the answer's rest is not the instance's slowness. */
  #report(outcome: AttemptOutcome, status: number | null): void {
    const { route, callerId } = this.#options;
    const permit = this.#permit;
    if (permit === undefined) return;
    const sinceMs = Math.max(this.#sinceMs, permit.sinceMs); // R may have been given it ahead
    const durationMs = Math.max(0, (this.#answeredMs ?? this.#ports.clock.nowMs()) - sinceMs);
    const finding = { request: this, callerId, routeId: route.id, outcome, status, durationMs, permit };
    route.service.report(permit.instance, finding);
    this.last = { outcome, status, durationMs, queueMs: this.#queuedMs };
    if (this.#options.isShared) this.#emit();
  }

  /** Reports an attempt by an event of its own: of what is shared, and of all but a call's last. */
  #emit(): void {
    const { last } = this;
    if (last === undefined) return;
    this.last = undefined;
    this.#ports.observe({
      kind: 'attempt',
      service: this.#options.route.service.name,
      instance: this.instance ?? '',
      ...last,
    });
  }

  /** Only the waiting ends: the exchange goes on, and gives back the permit. */
  #abandon(reason: GatewayError, keepLate: UpstreamRequestOptions['keepLate']): void {
    const [permit, exchange] = [this.#permit, this.#exchange];
    if (permit === undefined || exchange === undefined) return;
    this.#noteTimes();
    permit.abandon();
    const heldMs = this.#ports.clock.nowMs() - this.#sinceMs;
    const outcome = outcomeOfLeaving({ reason, heldMs, timeoutMs: this.#options.route.policy.timeoutMs });
    const finding = { request: this, callerId: this.callerId, routeId: this.routeId };
    const { observe } = this.#ports;
    exchange.listener = new AbandonedExchange({ ...finding, permit, options: this.#options, via: this, observe });
    this.#report(outcome, null);
    if (keepLate === undefined) exchange.discard();
    this.#permit = undefined;
    this.#exchange = undefined;
  }

  #noteTimes(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { sentMs, firstByteMs } = exchange;
    this.#answeredMs ??= this.#ports.clock.nowMs();
    this.connectMs = sentMs === undefined ? null : sentMs - this.#sinceMs;
    this.firstByteMs = firstByteMs === undefined ? null : firstByteMs - this.#sinceMs;
  }

  // —— attempt: once more, or the end

  /** The attempt's own time is over, or that of its back-off. */
  onTimeOver(): void {
    if (this.#state === 'waiting') this.#tryOnce();
    else if (this.#state === 'sent') {
      const message = `${this.instance ?? ''} gave no answer within ${this.#timeoutMs()} ms`;
      const error = new GatewayError('ATTEMPT_TIMEOUT', message);
      this.#abandon(error, this.#options.keepLate);
      this.#ended({ error });
    }
  }

  /** `status` as the instance itself gave it, whatever was made of it. */
  #ended(ended: Ended, status?: number): void {
    if (this.#state === 'over') {
      if (ended.error === undefined) dropBody(ended.answer);
      return;
    }
    const before = this.#before;
    if (before !== undefined && saysLess(ended, before)) {
      this.#finish(before);
      return;
    }
    if (ended.error?.code === 'CONNECTION_LOST') this.#losses += 1;
    const waitMs = this.#losses < LOSSES_MAX ? this.#waitToRetry(ended, status) : undefined;
    if (waitMs === undefined) {
      this.#finish(ended);
      return;
    }
    this.#before = ended;
    this.#emit();
    if (waitMs <= 0) this.#tryOnce();
    else {
      this.#state = 'waiting';
      this.#ports.deadlines.move(this, this.#ports.clock.nowMs() + waitMs);
    }
  }

  #finish(ended: Ended): void {
    const { waiting } = this.#options;
    this.#state = 'over';
    try {
      if (ended.error === undefined) waiting.answered(ended.answer);
      else waiting.failed(ended.error, this);
    } catch (error) {
      this.#failInstead(error);
    }
  }

  /** A mistake of ours in what waits costs that its answer: the connection and the timer that reported it go on. */
  #failInstead(mistake: unknown): void {
    const { waiting, id: requestId } = this.#options;
    try {
      waiting.failed(toGatewayError(mistake), this);
    } catch (error) {
      this.#ports.observe({ kind: 'internal-error', where: 'attempt', error, requestId });
    }
  }

  /** How long to wait before one more attempt; undefined: there is none. */
  #waitToRetry(ended: Ended, status: number | undefined): number | undefined {
    const { route, id: requestId } = this.#options;
    const reason = this.#reasonToRetry(ended, status);
    if (reason === undefined) return undefined;
    const waitMs = fullJitterDelayMs(this.#number, this.#ports.random);
    if (waitMs >= this.usefulUntilMs - this.#ports.clock.nowMs()) return undefined;
    if (!route.service.budget.tryRetry(route.policy.retry.budgetPercent)) return undefined; // asked last: asking takes
    const instance = this.#instance;
    const service = route.service.name;
    this.#ports.observe({ kind: 'retry', service, reason: String(reason), requestId, instance: instance?.id ?? '' });
    if (instance !== undefined) this.tried = [...this.tried, instance];
    return waitMs;
  }

  /** Why one more attempt is asked for and safe; undefined: it is not. */
  #reasonToRetry(ended: Ended, status: number | undefined): RetryReason | undefined {
    const { retry } = this.#options.route.policy;
    if (this.#number >= retry.attempts) return undefined;
    const mayRepeat = this.#mayRepeat();
    const reason = ended.error === undefined ? statusToRetry(ended.answer, status) : retryReasonOf(ended.error);
    const isSafe = ended.error?.isSafeToRetry(mayRepeat) ?? mayRepeat;
    return reason !== undefined && isSafe && retry.on.has(reason) ? reason : undefined;
  }

  #mayRepeat(): boolean {
    const { route, method } = this.#options;
    return isRepeatable(method, route.policy.isPure);
  }

  /** What may be repeated leaves time for another attempt; what may not takes all there is. */
  #timeoutMs(): number {
    const { retry } = this.#options.route.policy;
    return this.#mayRepeat() ? retry.repeatableTimeoutMs : retry.attemptTimeoutMs;
  }
}

/** An answer whose body is still to come is not asked for again: the instance is giving it. */
function statusToRetry(answer: Answer, status: number | undefined): number | undefined {
  return Buffer.isBuffer(answer.body) ? status : undefined;
}

/** A retry that found no instance says less than the attempt before it. */
function saysLess({ error }: Ended, before: Ended): boolean {
  if (error === undefined) return false;
  return isUnplaced(error) || (error.code === 'DEADLINE_EXCEEDED' && before.error === undefined);
}

/** How an exchange for a route is bounded. */
function boundsOf({ policy, service }: Route): ExchangeBounds {
  const { reuse, connectTimeoutMs, hangMsMax, tls } = service.policy;
  return { reuse, connectTimeoutMs, tls, hangMsMax, bufferBytesMax: policy.answerBytesMax };
}

/** The instance's own answer, less what ends at this hop. Throws UPSTREAM_FAULT and STREAM_NOT_ENABLED. */
export function judged(answer: UpstreamAnswer, { route }: Pick<UpstreamRequestOptions, 'route'>, via: Via): Answer {
  if (verdictOf(answer, route.service.policy.outlier.statuses) === 'stream') throw streamNotEnabled(route);
  return toAnswer(answer, via);
}

function streamNotEnabled({ id }: Route): GatewayError {
  return new GatewayError('STREAM_NOT_ENABLED', `route ${id} answered with a stream`, {
    detail: `This is a stream, and the route carries none. Set \`stream: true\` on the route ${JSON.stringify(id)}.`,
  });
}

interface AbandonedParts extends Pick<Finding, 'request' | 'callerId' | 'routeId'> {
  readonly permit: Permit;
  readonly options: UpstreamRequestOptions;
  readonly via: Via;
  readonly observe: Observe;
}

/**
 * The rest of an exchange that nothing waits for any more.
 *
 * The attempt was reported when it was left; but an instance that then dies or hangs has failed again. What R computed all
 * the same may be worth keeping.
 */
class AbandonedExchange implements ExchangeListener {
  readonly #parts: AbandonedParts;

  constructor(parts: AbandonedParts) {
    this.#parts = parts;
  }

  onInterim(): void {
    // Nothing waits for it.
  }

  onStream(answer: UpstreamAnswer): void {
    dropBody(answer);
  }

  onEnd(end: ExchangeEnd): void {
    const { permit, options, observe } = this.#parts;
    try {
      if (end.kind === 'answered') {
        permit.prove();
        this.#keep(end.answer);
      } else if (end.kind === 'hung' || end.kind === 'lost') this.#report(outcomeOfEnd(end, options.route));
    } catch (error) {
      observe({ kind: 'internal-error', where: 'attempt', error, requestId: options.id });
    }
    permit.release();
  }

  #keep(answer: UpstreamAnswer): void {
    const { options, via } = this.#parts;
    const { statuses } = options.route.service.policy.outlier;
    const isGood = Buffer.isBuffer(answer.body) && verdictOf(answer, statuses) === 'own';
    if (isGood && options.keepLate !== undefined) options.keepLate(judged(answer, options, via));
  }

  #report(outcome: AttemptOutcome): void {
    const { permit, options, request, callerId, routeId } = this.#parts;
    const finding = { request, callerId, routeId, outcome, status: null, durationMs: 0, permit };
    options.route.service.report(permit.instance, finding);
  }
}
