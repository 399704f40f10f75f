import type { GatewayEvent, Observe } from '../events.ts';
import type { Clock } from '../ports.ts';

/** An event is told so much later at most. */
const HELD_MS_MAX = 10;

/** Held at most; then they are told, whatever the time. */
const HELD_MAX = 256;

/** What every request brings. All else is rare, and told at once. */
const ROUTINE: ReadonlySet<GatewayEvent['kind']> = new Set<GatewayEvent['kind']>([
  'request-began',
  'request',
  'attempt',
  'queue-left',
  'cache',
  'coalesced',
  'batch',
]);

/** Hears of an event, and when it was: milliseconds since 1970. */
type Tell = (event: GatewayEvent, wallMs: number) => void;

/** Events on their way to those who count and write them down. */
export interface HeldEvents {
  readonly observe: Observe;
  /** Tells of all that is held, now. */
  readonly tell: () => void;
}

/**
 * Holds the events of requests for a moment, and tells of many in one go, in the order they came.
 *
 * Told of one at a time, between R's answer and the next call for R, each costs several times as much, since a processor
 * that R has used meanwhile has forgotten how; and somebody waits for it.
 */
export function createHeldEvents(clock: Clock, tellOf: Tell): HeldEvents {
  let events: GatewayEvent[] = [];
  let times: number[] = [];
  let cancel: (() => void) | undefined;

  const tell = () => {
    cancel?.();
    cancel = undefined;
    const [toldEvents, toldTimes] = [events, times];
    events = [];
    times = [];
    toldEvents.forEach((event, i) => tellOf(event, toldTimes[i] ?? 0));
  };

  return {
    observe(event) {
      events.push(event);
      times.push(clock.wallMs());
      if (!ROUTINE.has(event.kind) || events.length >= HELD_MAX) tell();
      else cancel ??= clock.after(HELD_MS_MAX, tell);
    },
    tell,
  };
}
