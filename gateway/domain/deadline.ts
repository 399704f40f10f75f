import { GatewayError } from './errors.ts';
import type { Clock } from './ports.ts';

/**
 * The one signal of a request. It aborts when the time is spent or when the caller hangs up, whichever comes first; its
 * reason is the GatewayError to answer with.
 */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Milliseconds left, 0 when spent; Infinity until armed. */
  remainingMs(): number;
  /** Starts the time, counted from when the request came in. A second call replaces the first. */
  arm(budgetMs: number): void;
  /** A stream has no deadline: stops the time. */
  disarm(): void;
  /** The caller hung up. */
  hangUp(): void;
  /** The reply is over: stops the time, leaves the signal as it is. */
  end(): void;
}

/** The deadline of a request that came in at `startedMs`; `match` arms it with the route's timeout. */
export function createDeadline(clock: Clock, startedMs = clock.nowMs()): Deadline {
  const controller = new AbortController();
  let endsMs = Infinity;
  let cancel: (() => void) | undefined;

  const disarm = () => {
    cancel?.();
    cancel = undefined;
    endsMs = Infinity;
  };

  return {
    signal: controller.signal,
    remainingMs: () => Math.max(0, endsMs - clock.nowMs()),
    arm(budgetMs) {
      disarm();
      endsMs = startedMs + budgetMs;
      cancel = clock.after(Math.max(0, endsMs - clock.nowMs()), () => {
        controller.abort(new GatewayError('DEADLINE_EXCEEDED', `no answer within ${budgetMs} ms`));
      });
    },
    disarm,
    hangUp() {
      disarm();
      controller.abort(new GatewayError('CALLER_GONE', 'the caller hung up'));
    },
    end: disarm,
  };
}
