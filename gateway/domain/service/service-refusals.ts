import { GatewayError } from '../errors.ts';
import { forecast, type Forecast } from './forecast.ts';
import type { ServiceCore } from './service-core.ts';
import type { TurnTaker } from './turns.ts';

/** The service cannot do anything for this request; says when an instance will be tried again, where that is known. */
export function unavailable(core: ServiceCore): GatewayError {
  const nowMs = core.look();
  const ends = [...core.instances.values()].flatMap(({ order, outlier: { state } }) =>
    order === 'none' && state.kind === 'ejected' ? [state.untilMs - nowMs] : [],
  );
  const problem = `none of ${core.instances.size} instances of ${core.name} is in rotation`;
  return new GatewayError(
    'SERVICE_UNAVAILABLE',
    problem,
    ends.length === 0 ? {} : { retryAfterMs: Math.max(1, Math.min(...ends)) },
  );
}

/** One more cannot wait. */
export function queueFull(core: ServiceCore, refused: TurnTaker): GatewayError {
  return new GatewayError('QUEUE_FULL', `${core.queue.depth} requests are waiting for ${core.name} already`, {
    retryAfterMs: clearAfterMs(core, forecast(core, refused)),
  });
}

/** The time in the queue is over. */
export function waitedInVain(core: ServiceCore, refused: TurnTaker): GatewayError {
  if (core.rotation.eligible === 0) return unavailable(core);
  const { queueWaitMsMax } = core.policy;
  return new GatewayError('QUEUE_TIMEOUT', `no instance of ${core.name} became free within ${queueWaitMsMax} ms`, {
    retryAfterMs: clearAfterMs(core, forecast(core, refused)),
  });
}

/**
 * The refusal of a newcomer who, by what is known, would not have a place, or its answer, in time; undefined: it may well.
 * `Retry-After` says when the wait will have become bearable.
 */
export function wouldWaitInVain(core: ServiceCore, newcomer: TurnTaker, remainingMs: number): GatewayError | undefined {
  const expected = forecast(core, newcomer);
  if (expected === undefined) return undefined;
  const { leastMs, ownMsLeast, likelyMs } = expected;
  const bearableMs = Math.min(core.policy.queueWaitMsMax, remainingMs - ownMsLeast);
  if (leastMs <= bearableMs) return undefined;
  const likely = `${Math.round(likelyMs)} ms`;
  return new GatewayError('QUEUE_TIMEOUT', `a place at ${core.name} would take ${likely}, ${remainingMs} ms are left`, {
    detail: `The wait would be about ${secondsOf(likelyMs)} s, longer than this request may take.`,
    retryAfterMs: Math.min(clearAfterMs(core, expected), Math.max(1, likelyMs - Math.max(0, bearableMs))),
  });
}

/** How long the queue takes as things go; at most `waitMax`, after which everyone in it has left, or one call's time. */
function clearAfterMs({ policy }: ServiceCore, expected: Forecast | undefined): number {
  if (expected === undefined) return Math.max(1, policy.queueWaitMsMax);
  const { likelyMs, callMs } = expected;
  return Math.max(1, Math.min(likelyMs, Math.max(policy.queueWaitMsMax, callMs)));
}

function secondsOf(durationMs: number): number {
  return Math.ceil(durationMs / 100) / 10;
}
