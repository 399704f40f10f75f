import { fullJitterDelayMs } from '../domain/service/full-jitter.ts';
import { GatewayError, toGatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Answer, Attempt, Question, Stages } from '../domain/exchange.ts';
import type { Instance } from '../domain/instance.ts';
import type { Clock, Random } from '../domain/ports.ts';
import { pause } from '../domain/pause.ts';
import { isRepeatable, isUnplaced, LOSSES_MAX, retryReasonOf } from '../domain/service/retry-rules.ts';
import type { RetryReason } from '../domain/route.ts';

interface AttemptPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
}

/** How one attempt ended. */
type Ended = { readonly answer: Answer; readonly error?: undefined } | { readonly error: GatewayError };

const NOBODY: readonly Instance[] = [];

/**
 * Tries, and tries again where the route's retry policy, the nature of the request and the service's budget allow it.
 *
 * What the last attempt brought is what the caller gets, an answer of R as R gave it. When a retry does not even find a
 * place, what was brought before says more.
 */
export function createAttempt({ clock, random, observe }: AttemptPorts): Stages['attempt'] {
  return async function attempt(question, next) {
    const { service } = question.route;
    service.budget.request();
    let tried = NOBODY;
    let losses = 0;
    let before: Ended | undefined;
    for (let number = 1; ; number++) {
      const trial = new Trial(question, { number, tried, clock });
      const ended = await run(trial, next);
      if (before !== undefined && saysLess(ended, before)) return outcome(before);
      if (ended.error?.code === 'CONNECTION_LOST') losses += 1;
      const waitMs = losses < LOSSES_MAX ? waitToRetry(question, trial, ended) : undefined;
      if (waitMs === undefined) return outcome(ended);
      before = ended;
      if (trial.instance !== undefined) tried = [...tried, trial.instance];
      await pause(clock, waitMs, question.deadline.signal); // aborted meanwhile: the next attempt does not begin
    }
  };

  /** How long to wait before one more attempt; undefined: there is none. */
  function waitToRetry(question: Question, trial: Trial, ended: Ended): number | undefined {
    const reason = reasonToRetry(question, trial, ended);
    if (reason === undefined) return undefined;
    const waitMs = fullJitterDelayMs(trial.number, random);
    if (waitMs >= question.deadline.remainingMs()) return undefined;
    const { service, policy } = question.route;
    if (!service.budget.tryRetry(policy.retry.budgetPercent)) return undefined; // asked last: asking takes
    tellRetry(question, reason, trial.instance?.id ?? '');
    return waitMs;
  }

  async function run(trial: Trial, next: (attempt: Attempt) => Promise<Answer>): Promise<Ended> {
    try {
      trial.begin();
      return { answer: await next(trial) };
    } catch (error) {
      return { error: toGatewayError(error) };
    } finally {
      trial.end();
    }
  }

  function tellRetry({ route, id: requestId }: Question, reason: RetryReason, instance: string): void {
    observe({ kind: 'retry', service: route.service.name, reason: String(reason), requestId, instance });
  }
}

function outcome(ended: Ended): Answer {
  if (ended.error !== undefined) throw ended.error;
  return ended.answer;
}

/** A retry that found no place says less than the attempt before it; a deadline says less than an answer. */
function saysLess({ error }: Ended, before: Ended): boolean {
  if (error === undefined) return false;
  return isUnplaced(error) || (error.code === 'DEADLINE_EXCEEDED' && before.error === undefined);
}

/** Why one more attempt is asked for and safe; undefined: it is not. */
function reasonToRetry({ route, method, deadline }: Question, trial: Trial, ended: Ended): RetryReason | undefined {
  const { retry, isPure } = route.policy;
  if (trial.number >= retry.attempts || deadline.signal.aborted) return undefined;
  const mayRepeat = isRepeatable(method, isPure);
  const reason = ended.error === undefined ? statusToRetry(trial, ended.answer) : retryReasonOf(ended.error);
  const isSafe = ended.error?.isSafeToRetry(mayRepeat) ?? mayRepeat;
  return reason !== undefined && isSafe && retry.on.has(reason) ? reason : undefined;
}

/** An answer that is still a stream is not asked for again: the instance is giving it. */
function statusToRetry(trial: Trial, answer: Answer): number | undefined {
  return Buffer.isBuffer(answer.body) ? trial.status : undefined;
}

interface TrialOptions {
  readonly number: number;
  readonly tried: readonly Instance[];
  readonly clock: Clock;
}

/** What may be repeated leaves time for another attempt; what may not takes all there is. */
function attemptTimeoutOf({ route, method }: Question): number {
  const { retry, isPure } = route.policy;
  return isRepeatable(method, isPure) ? retry.repeatableTimeoutMs : retry.attemptTimeoutMs;
}

/** One attempt under way. Where its own time cannot end before the request's, the request's signal is its signal. */
class Trial implements Attempt {
  readonly number: number;
  readonly tried: readonly Instance[];
  instance: Instance | undefined;
  status: number | undefined;
  readonly #question: Question;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #controller: AbortController | undefined;
  #cancelTimeout: (() => void) | undefined;

  constructor(question: Question, { number, tried, clock }: TrialOptions) {
    this.number = number;
    this.tried = tried;
    this.#question = question;
    this.#clock = clock;
    this.#timeoutMs = attemptTimeoutOf(question);
    const isLessThanLeft = this.#timeoutMs < question.deadline.remainingMs();
    if (isLessThanLeft || question.isOpenEnded === true) this.#controller = new AbortController();
  }

  get signal(): AbortSignal {
    return this.#controller?.signal ?? this.#question.deadline.signal;
  }

  begin(): void {
    const { signal } = this.#question.deadline;
    signal.throwIfAborted();
    if (this.#controller !== undefined) signal.addEventListener('abort', this);
  }

  /** The request is over. */
  handleEvent(): void {
    this.#controller?.abort(this.#question.deadline.signal.reason);
  }

  placed(instance: Instance): void {
    this.instance = instance;
    this.#question.notes.attempts = this.number;
    const controller = this.#controller;
    if (controller === undefined) return;
    const timeoutMs = this.#timeoutMs;
    this.#cancelTimeout = this.#clock.after(timeoutMs, () => {
      controller.abort(new GatewayError('ATTEMPT_TIMEOUT', `${instance.id} gave no answer within ${timeoutMs} ms`));
    });
  }

  answered(status: number): void {
    this.status = status;
  }

  end(): void {
    this.#cancelTimeout?.();
    if (this.#controller !== undefined) this.#question.deadline.signal.removeEventListener('abort', this);
  }
}
