import { CallerTurns, EVERYONE, type PartyKey, type PartySeat } from './caller-turns.ts';
import { Line, type Seat } from './line.ts';
import type { Priority } from '../service.ts';

/** Whoever takes turns, and what the order goes by. */
export interface TurnTaker {
  readonly priority: Priority;
  readonly party: PartyKey;
  /** It has had its turn, and an instance failed it: it comes before those who have not. */
  readonly isReturning: boolean;
}

/** What one turn costs a priority: of those that wait, each is served in inverse proportion. */
const STRIDES: Readonly<Record<Priority, number>> = { high: 1, normal: 4, low: 16 };

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** Those of one priority. */
interface Rank<T> {
  readonly stride: number;
  readonly returning: Line<T>;
  readonly callers: CallerTurns<T>;
  /** When, in the turns' own time, its next turn will have been served. */
  dueAt: number;
}

/** Where someone waits. */
export type TurnSeat<T> = { readonly rank: Rank<T>; readonly number: number } & (
  { readonly among: 'returning'; readonly seat: Seat<T> } | { readonly among: 'callers'; readonly seat: PartySeat<T> }
);

/**
 * The order in which those who wait are served: priorities share the turns by weight, 16 to 4 to 1, so that none
 * starves; within a priority callers take turns; within a caller who came first goes first.
 *
 * Priorities are kept apart by self-clocked fair queueing: each has a time at which its next turn will be over, and the
 * earliest goes first. One that had nobody waiting starts at the present: it has saved nothing up.
 */
export class Turns<T extends TurnTaker> {
  readonly #ranks: Readonly<Record<Priority, Rank<T>>>;
  readonly #inOrder: Rank<T>[];
  readonly #ticket: () => number;
  /** The turns' own time: when what was served last was due. */
  #now = 0;

  /** `ticket` numbers turns, those of other queues among them, as they are given out. */
  constructor(ticket: () => number) {
    const rank = (priority: Priority): Rank<T> => ({
      ...{ stride: STRIDES[priority], returning: new Line<T>(), callers: new CallerTurns<T>(), dueAt: 0 },
    });
    this.#ranks = { high: rank('high'), normal: rank('normal'), low: rank('low') };
    this.#inOrder = PRIORITIES.map(priority => this.#ranks[priority]);
    this.#ticket = ticket;
  }

  get length(): number {
    return this.#inOrder.reduce((sum, rank) => sum + lengthOf(rank), 0);
  }

  join(item: T): TurnSeat<T> {
    const rank = this.#ranks[item.priority];
    if (lengthOf(rank) === 0) rank.dueAt = this.#now + rank.stride;
    const number = this.#ticket();
    return item.isReturning
      ? { rank, number, among: 'returning', seat: rank.returning.join(item) }
      : { rank, number, among: 'callers', seat: rank.callers.join(item, item.party, () => number) };
  }

  /** Without having been served; twice does nothing. */
  leave(at: TurnSeat<T>): void {
    if (at.among === 'returning') at.rank.returning.leave(at.seat);
    else at.rank.callers.leave(at.seat);
  }

  served(at: TurnSeat<T>): void {
    const { rank } = at;
    if (at.among === 'returning') rank.returning.leave(at.seat);
    else rank.callers.served(at.seat, this.#ticket);
    this.#now = Math.max(this.#now, rank.dueAt);
    rank.dueAt = this.#now + rank.stride;
  }

  /**
   * The first in the order of turns who would take what is offered. Of those who return each is asked; of the others,
   * who have tried nobody, the first speaks for all.
   */
  first(wouldTake: (item: T) => boolean): T | undefined {
    for (const { returning, callers } of this.#byDue()) {
      for (const item of returning) if (wouldTake(item)) return item;
      const { first } = callers;
      if (first !== undefined && wouldTake(first)) return first;
    }
    return undefined;
  }

  /** How many turns a newcomer would have to wait for, if nobody else came. */
  turnsBefore({ priority, party, isReturning }: TurnTaker): number {
    const own = this.#ranks[priority];
    const ownTurns = own.returning.length + (isReturning ? 0 : own.callers.turnsBefore(party));
    const startAt = lengthOf(own) === 0 ? this.#now + own.stride : own.dueAt;
    const dueAt = startAt + ownTurns * own.stride;
    let turns = ownTurns;
    for (const rank of this.#inOrder) {
      if (rank === own || rank.dueAt >= dueAt) continue;
      turns += Math.min(lengthOf(rank), Math.ceil((dueAt - rank.dueAt) / rank.stride));
    }
    return turns;
  }

  /** How many of a party wait for their turn. */
  countOf(party: PartyKey): number {
    return this.#inOrder.reduce((sum, { callers }) => sum + callers.countOf(party), 0);
  }

  /**
   * Who must go that the newcomer may stay, where room is as unevenly taken as turns never would be: first among
   * priorities, by the weights of their turns, then among the callers of one. Undefined: nobody has less right to it.
   */
  leastEntitled({ priority, party }: TurnTaker): T | undefined {
    const own = this.#ranks[priority];
    const greediest = this.#inOrder.reduce((most, rank) => (claimOf(rank) > claimOf(most) ? rank : most));
    if (claimOf(greediest) > claimOf(own) + own.stride) return greediest.callers.newestOfGreediest;
    const { callers } = own;
    return callers.countMax > callers.countOf(party) + 1 ? callers.newestOfGreediest : undefined;
  }

  /** By priority, and in no other order. */
  *[Symbol.iterator](): Generator<T> {
    for (const { returning, callers } of this.#inOrder) {
      yield* returning;
      yield* callers;
    }
  }

  #byDue(): readonly Rank<T>[] {
    const waiting = this.#inOrder.filter(rank => lengthOf(rank) > 0);
    return waiting.length > 1 ? waiting.sort((one, other) => one.dueAt - other.dueAt) : waiting;
  }
}

/** The number of someone's turn: of two queues that share an instance, the smaller is served first. */
export function turnNumberOf<T>(at: TurnSeat<T>): number {
  return at.among === 'callers' && at.seat.party.key !== EVERYONE ? at.seat.party.turn : at.number;
}

function lengthOf<T>({ returning, callers }: Rank<T>): number {
  return returning.length + callers.length;
}

/** How much of the room a priority has taken, for the share it should have. */
function claimOf<T>(rank: Rank<T>): number {
  return lengthOf(rank) * rank.stride;
}
