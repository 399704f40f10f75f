import { Heap } from '../../gateway/domain/balance/heap.ts';
import type { Clock } from '../../gateway/domain/ports.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
  place: number;
}

/** A clock of simulated time: what is due next happens next, however long it takes until then. */
export interface EventClock extends Clock {
  /** Does what is due next, and all that follows from it at once; false: nothing is due any more. */
  step(): Promise<boolean>;
}

/** A clock at zero. */
export function createEventClock(): EventClock {
  const due = new Heap<Due>((a, b) => (a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs));
  let nowMs = 0;
  let order = 0;

  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, happen) {
      const event: Due = { atMs: nowMs + Math.max(0, delayMs), order: (order += 1), happen, place: 0 };
      due.add(event);
      return () => {
        if (event.place < 0) return; // it has happened, or was called off
        due.remove(event);
        event.place = -1;
      };
    },
    async step() {
      const { first } = due;
      if (first === undefined) return false;
      due.remove(first);
      first.place = -1;
      nowMs = first.atMs;
      first.happen();
      for (let i = 0; i < SETTLING; i++) await Promise.resolve();
      return true;
    },
  };
}

/** Promises that follow from one another when something happens: a place is granted, and its call begins. */
const SETTLING = 4;
