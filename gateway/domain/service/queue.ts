import { EVERYONE, type PartyKey } from './caller-turns.ts';
import type { Permit } from '../exchange.ts';
import type { Clock } from '../ports.ts';
import type { PlaceWanted, Priority } from '../service.ts';
import { turnNumberOf, Turns, type TurnSeat, type TurnTaker } from './turns.ts';

/** Someone who waits for a place. */
export interface Waiter extends TurnTaker {
  /** The number of its turn among all queues of the process: of two that share an instance, the smaller goes first. */
  readonly turn: number;
  readonly wanted: PlaceWanted;
  /** Ends the waiting, and then takes the place: nobody may serve it twice. */
  proceed(take: () => Permit): void;
  /** Ends the waiting without one. */
  refuse(error: unknown): void;
}

/** How long someone waits, in what order, and what becomes of them then. */
interface Patience {
  /** Callers take turns. */
  readonly isFair: boolean;
  readonly waitMsMax: number;
  /** The time is over: must end the waiting, one way or the other. */
  readonly onExpiry: (waiter: Waiter) => void;
}

/** Who waits for a service, in the order of their turns. Whose turn it is is decided by `Turns` alone. */
export interface Queue {
  readonly depth: number;
  /** Joins. Whoever gives up leaves at once; who is refused or served has left. */
  wait(wanted: PlaceWanted, patience: Patience): Promise<Permit>;
  /** The first, in the order of turns, who would take what is offered. */
  next(wouldTake: (waiter: Waiter) => boolean): Waiter | undefined;
  /** How many turns would come before that of a newcomer. */
  turnsBefore(newcomer: TurnTaker): number;
  /** How many calls of a caller wait for their turn. */
  waitingOf(callerId: string): number;
  /** Who must go that a newcomer may stay, where there is no room; undefined: nobody has less right to it. */
  leastEntitled(newcomer: TurnTaker): Waiter | undefined;
  /** Everyone, in no order. */
  waiters(): readonly Waiter[];
}

/** A queue, bounded by whoever lets people in. `ticket` numbers turns throughout the process. */
export function createQueue(clock: Clock, ticket: () => number): Queue {
  const turns = new Turns<WaitingOne>(ticket);

  return {
    get depth() {
      return turns.length;
    },
    wait: (wanted, patience) =>
      new Promise((resolve, reject) => {
        const taker = turnTakerOf(wanted, patience.isFair);
        const waiter = new WaitingOne(wanted, { taker, turns, resolve, reject });
        waiter.expectEnd(clock.after(patience.waitMsMax, () => patience.onExpiry(waiter)));
      }),
    next: wouldTake => turns.first(wouldTake),
    turnsBefore: newcomer => turns.turnsBefore(newcomer),
    waitingOf: callerId => turns.countOf(callerId),
    leastEntitled: newcomer => turns.leastEntitled(newcomer),
    waiters: () => [...turns],
  };
}

/** By what a request takes its turn. One that comes again after an instance failed it has waited already. */
export function turnTakerOf({ callerId, priority, tried }: PlaceWanted, isFair: boolean): TurnTaker {
  return { priority, party: isFair ? callerId : EVERYONE, isReturning: tried.length > 0 };
}

interface Ends {
  readonly taker: TurnTaker;
  readonly turns: Turns<WaitingOne>;
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: unknown) => void;
}

/** A class, since the signal can call it without a closure for each who waits. */
class WaitingOne implements Waiter {
  readonly wanted: PlaceWanted;
  readonly priority: Priority;
  readonly party: PartyKey;
  readonly isReturning: boolean;
  readonly #ends: Ends;
  readonly #seat: TurnSeat<WaitingOne>;
  #cancelExpiry: (() => void) | undefined;

  constructor(wanted: PlaceWanted, ends: Ends) {
    this.wanted = wanted;
    this.priority = ends.taker.priority;
    this.party = ends.taker.party;
    this.isReturning = ends.taker.isReturning;
    this.#ends = ends;
    this.#seat = ends.turns.join(this);
    wanted.signal.addEventListener('abort', this);
  }

  expectEnd(cancelExpiry: () => void): void {
    this.#cancelExpiry = cancelExpiry;
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.refuse(this.wanted.signal.reason);
  }

  get turn(): number {
    return turnNumberOf(this.#seat);
  }

  proceed(take: () => Permit): void {
    this.#ends.turns.served(this.#seat);
    this.#stopWaiting();
    this.#ends.resolve(take());
  }

  refuse(error: unknown): void {
    this.#ends.turns.leave(this.#seat);
    this.#stopWaiting();
    this.#ends.reject(error);
  }

  #stopWaiting(): void {
    this.#cancelExpiry?.();
    this.wanted.signal.removeEventListener('abort', this);
  }
}
