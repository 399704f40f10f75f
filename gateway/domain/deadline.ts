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

/**
 * The deadline of a request that came in at `startedMs`; `match` arms it with the route's timeout.
 *
 * Neither signal nor alarm is made before somebody asks for the signal: most that is refused or remembered is over by then.
 */
export function createDeadline(clock: Clock, startedMs = clock.nowMs()): Deadline {
  let controller: AbortController | undefined;
  let reason: GatewayError | undefined;
  let givenMs = Infinity;
  let endsMs = Infinity;
  let cancel: (() => void) | undefined;

  const remainingMs = () => Math.max(0, endsMs - clock.nowMs());
  const abort = (why: GatewayError) => {
    reason ??= why;
    controller?.abort(reason);
  };
  const ring = () => abort(new GatewayError('DEADLINE_EXCEEDED', `no answer within ${givenMs} ms`));
  const watch = () => {
    if (endsMs < Infinity) cancel = clock.after(remainingMs(), ring);
  };
  const disarm = () => {
    cancel?.();
    cancel = undefined;
    endsMs = Infinity;
  };
  const begin = () => {
    controller = new AbortController();
    if (reason === undefined && remainingMs() === 0) ring();
    if (reason === undefined) watch();
    else controller.abort(reason);
    return controller;
  };

  return {
    get signal() {
      return (controller ?? begin()).signal;
    },
    remainingMs,
    arm(budgetMs) {
      disarm();
      givenMs = budgetMs;
      endsMs = startedMs + budgetMs;
      if (controller !== undefined) watch();
    },
    disarm,
    hangUp() {
      disarm();
      abort(new GatewayError('CALLER_GONE', 'the caller hung up'));
    },
    end: disarm,
  };
}
