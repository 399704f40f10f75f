import type { Permit } from '../exchange.ts';
import type { Clock } from '../ports.ts';
import type { PlaceWanted } from '../service.ts';

/** Someone who waits for a place. */
export interface Waiter {
  /** Its number in the one line of the whole process: the smaller, the longer it has waited. */
  readonly ticket: number;
  readonly wanted: PlaceWanted;
  readonly isWaiting: boolean;
  /** Ends the waiting, and then takes the place: nobody may serve it twice. */
  proceed(take: () => Permit): void;
  /** Ends the waiting without one. */
  refuse(error: unknown): void;
}

/** How long someone waits, and what becomes of them then. */
interface Patience {
  readonly ticket: number;
  readonly waitMsMax: number;
  /** The time is over: must end the waiting, one way or the other. */
  readonly onExpiry: (waiter: Waiter) => void;
}

/**
 * Who waits for a service, in the order of their turns.
 *
 * Whose turn it is is decided here alone: turns by caller or by priority would be another implementation of `next`.
 */
export interface Queue {
  readonly depth: number;
  /** Joins at the end. Whoever gives up leaves at once; who is refused or served has left. */
  wait(wanted: PlaceWanted, patience: Patience): Promise<Permit>;
  /** The first, in the order of turns, who would take what is offered. */
  next(wouldTake: (waiter: Waiter) => boolean): Waiter | undefined;
  /** Everyone, in the order of turns. */
  waiters(): readonly Waiter[];
}

/** A queue that serves first who came first. It is bounded by whoever lets people in. */
export function createQueue(clock: Clock): Queue {
  const line = new Set<WaitingOne>(); // keeps order, and lets one leave from the middle

  return {
    get depth() {
      return line.size;
    },
    wait(wanted, patience) {
      return new Promise((resolve, reject) => {
        const waiter = new WaitingOne(wanted, { ticket: patience.ticket, line, resolve, reject });
        waiter.expectEnd(clock.after(patience.waitMsMax, () => patience.onExpiry(waiter)));
      });
    },
    next(wouldTake) {
      for (const waiter of line) if (wouldTake(waiter)) return waiter;
      return undefined;
    },
    waiters: () => [...line],
  };
}

interface Ends {
  readonly ticket: number;
  readonly line: Set<WaitingOne>;
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: unknown) => void;
}

/** A class, since the signal can call it without a closure for each who waits. */
class WaitingOne implements Waiter {
  readonly ticket: number;
  readonly wanted: PlaceWanted;
  readonly #ends: Ends;
  #cancelExpiry: (() => void) | undefined;

  constructor(wanted: PlaceWanted, ends: Ends) {
    this.ticket = ends.ticket;
    this.wanted = wanted;
    this.#ends = ends;
    ends.line.add(this);
    wanted.signal.addEventListener('abort', this);
  }

  expectEnd(cancelExpiry: () => void): void {
    this.#cancelExpiry = cancelExpiry;
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.refuse(this.wanted.signal.reason);
  }

  get isWaiting(): boolean {
    return this.#ends.line.has(this);
  }

  proceed(take: () => Permit): void {
    this.#leave();
    this.#ends.resolve(take());
  }

  refuse(error: unknown): void {
    this.#leave();
    this.#ends.reject(error);
  }

  #leave(): void {
    this.#ends.line.delete(this);
    this.#cancelExpiry?.();
    this.wanted.signal.removeEventListener('abort', this);
  }
}
