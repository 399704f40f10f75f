import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Answer, Permit, Question, Stages } from '../domain/exchange.ts';
import { dropBody } from '../domain/http/dress.ts';
import { fieldOf, setField } from '../domain/http/fields.ts';
import type { Clock, SendBounds, Sending, Settled, Transport, UpstreamAnswer } from '../domain/ports.ts';
import { toReplyDraft } from '../domain/http/reply-head.ts';
import type { Route } from '../domain/route.ts';
import type { AttemptOutcome } from '../domain/service.ts';
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
  return async function forward(question, attempt, permit) {
    attempt.signal.throwIfAborted();
    const exchange = new Exchange(ports, question, permit);
    const answer = await exchange.answer(attempt.signal);
    attempt.answered(answer.status);
    return toAnswer(question, answer);
  };
}

class Exchange {
  readonly #ports: ForwardPorts;
  readonly #question: Question;
  readonly #permit: Permit;
  readonly #sending: Sending;
  readonly #startedMs: number;
  #answeredMs: number | undefined;
  #hasLeft = false;

  constructor(ports: ForwardPorts, question: Question, permit: Permit) {
    this.#ports = ports;
    this.#question = question;
    this.#permit = permit;
    const { instance } = permit;
    question.notes.instance = instance.id;
    question.notes.version = instance.version;
    const request = { ...question.message(), origin: instance.origin };
    this.#startedMs = ports.clock.nowMs();
    this.#sending = ports.transport.send(request, boundsOf(question.route));
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
          if (this.#hasLeft) this.#keep(answer);
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
    if (this.#question.keep === undefined) this.#sending.discard();
    const heldMs = this.#ports.clock.nowMs() - this.#startedMs;
    this.#tell(outcomeOfLeaving({ reason, heldMs, timeoutMs: this.#question.route.policy.timeoutMs }));
  }

  /** Nobody waits any more; but what R computed all the same may be worth remembering. */
  #keep(answer: UpstreamAnswer): void {
    const { keep, route } = this.#question;
    const isGood = verdictOf(answer, route.service.policy.outlier.statuses) === 'own';
    if (keep !== undefined && isGood && Buffer.isBuffer(answer.body)) keep(toAnswer(this.#question, answer));
    else dropBody(answer);
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
    const { statuses } = this.#question.route.service.policy.outlier;
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
    if (settled === 'answered') this.#permit.prove();
    this.#permit.release();
  }

  #tell(outcome: AttemptOutcome): void {
    const durationMs = this.#report(outcome);
    const { service } = this.#question.route;
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
    const { notes: request, callerId, route } = this.#question;
    const durationMs = (this.#answeredMs ?? this.#ports.clock.nowMs()) - this.#startedMs;
    route.service.report(this.#permit.instance, { request, callerId, outcome, durationMs });
    return durationMs;
  }

  #noteTimings(): void {
    const { connectMs, firstByteMs } = this.#sending.timings;
    this.#question.notes.connectMs = connectMs ?? null;
    this.#question.notes.firstByteMs = firstByteMs ?? null;
  }
}

function boundsOf({ policy, service }: Route): SendBounds {
  const { reuse, connectTimeoutMs, hangMsMax } = service.policy;
  return { reuse: reuse === true, connectTimeoutMs, hangMsMax, bufferBytesMax: policy.answerBytesMax };
}

/** The instance's own answer, less what ends here. */
function toAnswer({ route, method }: Question, answer: UpstreamAnswer): Answer {
  try {
    refuseUnusable(route, answer);
    const { status, fields } = toReplyDraft(answer);
    if (method === 'HEAD') keepLength(fields, answer);
    return { kind: 'answer', status, rawHeaders: fields, body: answer.body };
  } catch (error) {
    dropBody(answer);
    throw error;
  }
}

/** Nobody reads the body of a HEAD to its end, so that only the instance can say how long it is. */
function keepLength(fields: string[], { rawHeaders, body }: UpstreamAnswer): void {
  const length = fieldOf(rawHeaders, 'content-length');
  if (!Buffer.isBuffer(body) && length !== undefined) setField(fields, 'Content-Length', length);
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
