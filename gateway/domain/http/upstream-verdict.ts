import type { GatewayError } from '../errors.ts';
import type { Route } from '../route.ts';
import type { AttemptOutcome } from '../service.ts';
import type { ExchangeEnd, UpstreamAnswer } from '../upstream.ts';
import { fieldOf } from './fields.ts';

/**
 * What an instance's answer is.
 *
 *   own      R's own answer; a 500 of its code, too, since a caller's mistake comes out as one
 *   fault    a status that is none
 *   status   one that the service counts as a failure of the instance
 *   stream   an event stream or an upgrade, which no ordinary call is meant to be
 *
 * What a text says is never looked at: a model's author may write the very words that httpuv uses.
 */
export type Verdict = 'own' | 'fault' | 'status' | 'stream';

/** Judges an answer by what only the instance can have caused. */
export function verdictOf({ status, fields }: UpstreamAnswer, failureStatuses: ReadonlySet<number>): Verdict {
  if (status === 101 || isEventStream(fields)) return 'stream';
  if (status < 200 || status > 599) return 'fault';
  return failureStatuses.has(status) ? 'status' : 'own';
}

function isEventStream(fields: readonly string[]): boolean {
  const type = fieldOf(fields, 'content-type');
  return type !== undefined && /^\s*text\/event-stream\s*(?:;|$)/i.test(type);
}

/** How an exchange ended that brought no answer. */
export type EndWithoutAnswer = Exclude<ExchangeEnd['kind'], 'answered'>;

const OUTCOMES = {
  refused: 'refused',
  'connect-timeout': 'connect-timeout',
  untrusted: 'untrusted',
  lost: 'lost',
  malformed: 'fault',
  failed: 'ok',
  hung: 'hung',
  abandoned: 'abandoned',
} as const satisfies Record<EndWithoutAnswer, AttemptOutcome>;

/** What an exchange that brought no answer says of the instance. */
export function outcomeWithoutAnswer(kind: EndWithoutAnswer): AttemptOutcome {
  return OUTCOMES[kind];
}

/** What the end of an exchange says of the instance. */
export function outcomeOfEnd(end: ExchangeEnd, { service }: Route): AttemptOutcome {
  if (end.kind !== 'answered') return OUTCOMES[end.kind];
  const verdict = verdictOf(end.answer, service.policy.outlier.statuses);
  return verdict === 'fault' || verdict === 'status' ? verdict : 'ok';
}

/** The status that the model itself is to answer for; null where it gave none. */
export function statusOfEnd(end: ExchangeEnd): number | null {
  if (end.kind === 'answered') return end.answer.status;
  return end.kind === 'failed' ? end.failure.status : null;
}

interface Leaving {
  readonly reason: GatewayError;
  /** How long the instance had the request. */
  readonly heldMs: number;
  /** The route's time for the whole call. */
  readonly timeoutMs: number;
}

/**
 * What it says of the instance that nothing waits for its answer any more.
 *
 * A deadline is the instance's failure only where it had most of the time: it is not to blame for the queue.
 */
export function outcomeOfLeaving({ reason, heldMs, timeoutMs }: Leaving): AttemptOutcome {
  if (reason.code === 'ATTEMPT_TIMEOUT') return 'timeout';
  return reason.code === 'DEADLINE_EXCEEDED' && heldMs * 2 >= timeoutMs ? 'timeout' : 'abandoned';
}
