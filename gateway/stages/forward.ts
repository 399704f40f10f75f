import type { AttemptOutcome, Finding, Permit } from '../domain/service.ts';
import { GatewayError } from '../domain/errors.ts';
import { dropBody, toAnswer } from '../domain/http/reply.ts';
import {
  outcomeOfEnd,
  verdictOf,
  type Answer,
  type ExchangeBounds,
  type ExchangeEnd,
  type ExchangeListener,
  type UpstreamAnswer,
  type UpstreamRequestOptions,
  type Via,
} from '../domain/upstream.ts';
import type { Route } from '../domain/route.ts';

/** How an exchange for a route is bounded. */
export function boundsOf({ policy, service }: Route): ExchangeBounds {
  const { reuse, connectTimeoutMs, hangMsMax } = service.policy;
  return { reuse, connectTimeoutMs, hangMsMax, bufferBytesMax: policy.answerBytesMax };
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
}

/**
 * The rest of an exchange that nothing waits for any more.
 *
 * The attempt was told of when it was left; but an instance that then dies or hangs has failed again. What R computed all
 * the same may be worth keeping.
 */
export class AbandonedExchange implements ExchangeListener {
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
    const { permit, options } = this.#parts;
    if (end.kind === 'answered') {
      permit.prove();
      this.#keep(end.answer);
    } else if (end.kind === 'hung' || end.kind === 'lost') this.#report(outcomeOfEnd(end, options.route));
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
