import type { GatewayEvent, Observe } from '../events.ts';
import type { Clock } from '../clock.ts';

/** An event is told so much later at most. */
const HELD_MS_MAX = 10;

/** Held at most; then they are told, whatever the time. */
const HELD_MAX = 256;

/** What calls bring. All else is rare, and told at once. */
const ROUTINE: ReadonlySet<GatewayEvent['kind']> = new Set<GatewayEvent['kind']>(['request', 'attempt', 'batch']);

/** Takes an event, and when it was: milliseconds since 1970. */
type Emit = (event: GatewayEvent, wallMs: number) => void;

/** Events on their way to the metrics and the log. */
export interface HeldEvents {
  readonly observe: Observe;
  /** Emits all that is held, now. */
  readonly flush: () => void;
}

/**
 * Holds the events of requests for a moment, and emits many in one go, in the order they came.
 *
 * Emitted one at a time, between R's answer and the next call for R, each costs several times as much, since a processor
 * that R has used meanwhile has forgotten how; and a caller waits for it.
 */
export function createHeldEvents(clock: Clock, emit: Emit, onEmitted: () => void = ignore): HeldEvents {
  const held: { readonly event: GatewayEvent; readonly wallMs: number }[] = [];
  let cancel: (() => void) | undefined;

  /** One by one: should one fail, those after it are emitted next time. */
  const flush = () => {
    cancel?.();
    cancel = undefined;
    for (let one = held.shift(); one !== undefined; one = held.shift()) emit(one.event, one.wallMs);
    onEmitted();
  };

  return {
    observe(event) {
      held.push({ event, wallMs: clock.wallMs() });
      if (!ROUTINE.has(event.kind) || held.length >= HELD_MAX) flush();
      else cancel ??= clock.after(HELD_MS_MAX, flush);
    },
    flush,
  };
}

function ignore(): void {
  // The metrics gather what is emitted; a test need not.
}
