import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Answer, Attempt, Complete, Permit, Stages } from '../domain/exchange.ts';
import { fieldOf, setField } from '../domain/http/fields.ts';
import type { Clock, SendBounds, Sending, Settled, Transport, UpstreamAnswer } from '../domain/ports.ts';
import { toReplyDraft } from '../domain/http/reply-head.ts';
import type { ReplyDraft, Route } from '../domain/route.ts';
import type { AttemptOutcome } from '../domain/service.ts';
import { composeUpstream } from '../domain/http/upstream-request.ts';
import { outcomeOf, outcomeOfLeaving, outcomeWithoutAnswer, verdictOf } from '../domain/http/upstream-verdict.ts';

interface ForwardPorts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly observe: Observe;
}

/**
 * One exchange with one instance.
 *
 * The exchange is its own owner: when the caller leaves, or the attempt's time is over, only the waiting ends. The place
 * is given back when R is done, whoever still waits, and what the exchange showed of the instance is told before that.
 */
export function createForward(ports: ForwardPorts): Stages['forward'] {
  return async function forward(complete, attempt, permit) {
    attempt.signal.throwIfAborted();
    const exchange = new Exchange(ports, complete, permit);
    const answer = await exchange.answer(attempt.signal);
    return toAnswer(complete, attempt, answer);
  };
}

class Exchange {
  readonly #ports: ForwardPorts;
  readonly #complete: Complete;
  readonly #permit: Permit;
  readonly #sending: Sending;
  readonly #startedMs: number;
  #answeredMs: number | undefined;
  #hasLeft = false;

  constructor(ports: ForwardPorts, complete: Complete, permit: Permit) {
    this.#ports = ports;
    this.#complete = complete;
    this.#permit = permit;
    const { instance } = permit;
    complete.notes.instance = instance.id;
    complete.notes.version = instance.version;
    const request = composeUpstream(complete, instance, complete.content);
    this.#startedMs = ports.clock.nowMs();
    this.#sending = ports.transport.send(request, boundsOf(complete.route));
    permit.begin();
    void this.#sending.settled.then(settled => this.#settle(settled));
  }

  /** The answer, its failure, or the signal's reason, whichever comes first. */
  answer(signal: AbortSignal): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#leave(signal.reason);
        reject(signal.reason as Error);
      };
      const arrive = () => {
        signal.removeEventListener('abort', leave);
        this.#answeredMs = this.#ports.clock.nowMs();
        this.#noteTimings();
      };
      signal.addEventListener('abort', leave);
      this.#sending.answer.then(
        answer => {
          arrive();
          if (this.#hasLeft) dropBody(answer);
          else resolve(answer);
        },
        (error: unknown) => {
          arrive();
          reject(toGatewayError(error));
        },
      );
    });
  }

  #leave(reason: unknown): void {
    this.#hasLeft = true;
    this.#noteTimings();
    this.#permit.abandon();
    this.#sending.discard();
    const heldMs = this.#ports.clock.nowMs() - this.#startedMs;
    this.#tell(outcomeOfLeaving({ reason, heldMs, timeoutMs: this.#complete.route.policy.timeoutMs }));
  }

  #settle(settled: Settled): void {
    if (this.#hasLeft) this.#settleLate(settled);
    else if (settled === 'answered') this.#settleAnswered();
    else {
      this.#tell(outcomeWithoutAnswer(settled));
      this.#permit.release();
    }
  }

  #settleAnswered(): void {
    const { statuses } = this.#complete.route.service.policy.outlier;
    const end = (outcome: AttemptOutcome) => {
      if (!this.#hasLeft) this.#tell(outcome);
      this.#permit.release();
    };
    this.#sending.answer.then(
      answer => end(outcomeOf(verdictOf(answer, statuses))),
      () => end('fault'),
    );
  }

  /** The attempt was told of when it was left; but an instance that then died or hung has failed again. */
  #settleLate(settled: Settled): void {
    if (settled === 'hung' || settled === 'lost') this.#report(settled);
    this.#permit.release();
  }

  #tell(outcome: AttemptOutcome): void {
    const durationMs = this.#report(outcome);
    const { service } = this.#complete.route;
    this.#ports.observe({
      kind: 'attempt',
      service: service.name,
      instance: this.#permit.instance.id,
      outcome,
      durationMs,
    });
  }

  /** A slow reader of the answer's rest is not the instance's slowness. */
  #report(outcome: AttemptOutcome): number {
    const { notes: request, caller, route } = this.#complete;
    const durationMs = (this.#answeredMs ?? this.#ports.clock.nowMs()) - this.#startedMs;
    route.service.report(this.#permit.instance, { request, callerId: caller.id, outcome, durationMs });
    return durationMs;
  }

  #noteTimings(): void {
    const { connectMs, firstByteMs } = this.#sending.timings;
    this.#complete.notes.connectMs = connectMs ?? null;
    this.#complete.notes.firstByteMs = firstByteMs ?? null;
  }
}

function boundsOf({ policy, service }: Route): SendBounds {
  const { reuse, connectTimeoutMs, hangMsMax } = service.policy;
  return { reuse, connectTimeoutMs, hangMsMax, bufferBytesMax: policy.answerBytesMax };
}

function toAnswer(complete: Complete, attempt: Attempt, answer: UpstreamAnswer): Answer {
  attempt.answered(answer.status);
  try {
    refuseUnusable(complete.route, answer);
    const draft = toReplyDraft(answer);
    for (const filter of complete.route.filters) filter.onReply?.(draft, complete);
    const body = complete.method === 'HEAD' ? headOnly(draft, answer) : answer.body;
    return { kind: 'answer', status: draft.status, rawHeaders: draft.fields, body };
  } catch (error) {
    dropBody(answer);
    throw error;
  }
}

function refuseUnusable({ id, service }: Route, answer: UpstreamAnswer): void {
  const verdict = verdictOf(answer, service.policy.outlier.statuses);
  if (verdict === 'fault') {
    throw new GatewayError('UPSTREAM_FAULT', `an instance of ${service.name} failed with ${answer.status} of its own`);
  }
  if (verdict !== 'stream') return;
  throw new GatewayError('STREAM_NOT_ENABLED', `route ${id} answered with a stream`, {
    detail: `This is a stream, and the route carries none. Set \`stream: true\` on the route ${JSON.stringify(id)}.`,
  });
}

const NO_BODY = Buffer.alloc(0);

/** R was sent a GET, since Plumber knows no HEAD: the caller gets its head alone, with the length its body had. */
function headOnly(draft: ReplyDraft, answer: UpstreamAnswer): Buffer {
  const { body, rawHeaders } = answer;
  const length = Buffer.isBuffer(body) ? String(body.length) : fieldOf(rawHeaders, 'content-length');
  const hasLength = draft.status !== 204 && draft.status !== 304;
  if (length !== undefined && hasLength) setField(draft.fields, 'Content-Length', length);
  dropBody(answer);
  return NO_BODY;
}

/** A body that is still a stream keeps the instance until it is read or destroyed. */
function dropBody({ body }: UpstreamAnswer): void {
  if (!Buffer.isBuffer(body)) body.destroy();
}
