import { Line } from '../../gateway/domain/balance/line.ts';
import type { Clock } from '../../gateway/domain/ports.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** A clock of simulated time: what is due next happens next, however long it takes until then. */
export interface EventClock extends Clock {
  /** Does what is due next, and all that follows from it at once; false: nothing is due any more. */
  step(): Promise<boolean>;
}

/** A clock at zero. */
export function createEventClock(): EventClock {
  const due = new Line<Due>((a, b) => (a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs));
  let nowMs = 0;
  let order = 0;

  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, happen) {
      const event: Due = { atMs: nowMs + Math.max(0, delayMs), order: (order += 1), happen };
      due.add(event);
      return () => due.remove(event); // nothing where it has happened
    },
    async step() {
      const { first } = due;
      if (first === undefined) return false;
      due.shift();
      nowMs = first.atMs;
      first.happen();
      for (let i = 0; i < SETTLING; i++) await Promise.resolve();
      return true;
    },
  };
}

/** Promises that follow from one another when something happens: a place is granted, and its call begins. */
const SETTLING = 4;
