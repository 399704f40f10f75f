import type { GatewayError } from '../errors.ts';
import { fieldOf } from './fields.ts';
import type { Settled, UpstreamAnswer } from '../ports.ts';
import type { AttemptOutcome } from '../service.ts';

/**
 * What an instance's answer is.
 *
 *   own      R's own answer; a 500 of its code, too, since a caller's mistake comes out as one
 *   fault    httpuv's word that R was interrupted or never got to answer, or a status that is none
 *   status   one that the service counts as a failure of the instance
 *   stream   an event stream or an upgrade, which no ordinary call is meant to be
 */
export type Verdict = 'own' | 'fault' | 'status' | 'stream';

/** How httpuv itself begins when the code of the service did not answer; what the code answers is JSON. */
const HTTPUV_SAYS = ['An exception occurred', 'ERROR:'];

/** Judges an answer by what only the instance can have caused. */
export function verdictOf(answer: UpstreamAnswer, failureStatuses: ReadonlySet<number>): Verdict {
  const { status, rawHeaders } = answer;
  if (status === 101 || mediaTypeOf(rawHeaders) === 'text/event-stream') return 'stream';
  if (status < 200 || status > 599) return 'fault';
  if (status === 500 && isOfHttpuv(answer)) return 'fault';
  return failureStatuses.has(status) ? 'status' : 'own';
}

function isOfHttpuv({ rawHeaders, body }: UpstreamAnswer): boolean {
  if (mediaTypeOf(rawHeaders) !== 'text/plain' || !Buffer.isBuffer(body)) return false;
  const beginning = body.toString('latin1', 0, 32);
  return HTTPUV_SAYS.some(words => beginning.startsWith(words));
}

function mediaTypeOf(rawHeaders: readonly string[]): string {
  const [mediaType = ''] = (fieldOf(rawHeaders, 'content-type') ?? '').split(';', 1);
  return mediaType.trim().toLowerCase();
}

const OUTCOMES = {
  refused: 'refused',
  'connect-timeout': 'connect-timeout',
  lost: 'lost',
  malformed: 'fault',
  hung: 'hung',
  abandoned: 'abandoned',
} as const satisfies Record<Exclude<Settled, 'answered'>, AttemptOutcome>;

/** What an exchange that brought no answer says of the instance. */
export function outcomeWithoutAnswer(settled: Exclude<Settled, 'answered'>): AttemptOutcome {
  return OUTCOMES[settled];
}

/** What an answer says of the instance. */
export function outcomeOf(verdict: Verdict): AttemptOutcome {
  return verdict === 'fault' || verdict === 'status' ? verdict : 'ok';
}

interface Leaving {
  readonly reason: unknown;
  /** How long the instance had the request. */
  readonly heldMs: number;
  /** The route's time for the whole request. */
  readonly timeoutMs: number;
}

/**
 * What it says of the instance that nobody waits for its answer any more.
 *
 * A deadline is the instance's failure only where it had most of the time: it is not to blame for the queue.
 */
export function outcomeOfLeaving({ reason, heldMs, timeoutMs }: Leaving): AttemptOutcome {
  const { code } = reason as Partial<GatewayError>;
  if (code === 'ATTEMPT_TIMEOUT') return 'timeout';
  return code === 'DEADLINE_EXCEEDED' && heldMs * 2 >= timeoutMs ? 'timeout' : 'abandoned';
}
