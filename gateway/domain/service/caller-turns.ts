import { Line, type Seat } from './line.ts';
import { Sums } from './sums.ts';

/** Whose turns are counted together: a caller, or `EVERYONE`, who are served as they came. */
export type PartyKey = string | typeof EVERYONE;

/** The one party of a queue in which callers do not take turns. */
export const EVERYONE = Symbol('everyone');

/** Those of one party who wait, first come first. */
interface Party<T> {
  readonly key: PartyKey;
  readonly line: Line<T>;
  /** When its turn was given out: the smaller, the sooner it comes. */
  turn: number;
  inRing: Seat<Party<T>> | undefined;
  byCount: Seat<Party<T>> | undefined;
}

/** Where someone waits. */
export interface PartySeat<T> {
  readonly party: Party<T>;
  readonly seat: Seat<T>;
}

/**
 * Parties take turns: who has been served goes to the end, however many of it wait. Each step costs the same, whether
 * ten or ten thousand wait.
 */
export class CallerTurns<T> {
  readonly #parties = new Map<PartyKey, Party<T>>();
  readonly #ring = new Line<Party<T>>();
  /** By how many of it wait. */
  readonly #partiesByCount: Line<Party<T>>[] = [];
  /** At each number, how many parties have at least so many waiting. */
  readonly #reach = new Sums();
  /** How many of the greediest party wait. */
  countMax = 0;
  length = 0;

  /** `turn` is given out to a party that had nobody waiting. */
  join(item: T, key: PartyKey, turn: () => number): PartySeat<T> {
    const party = this.#parties.get(key) ?? this.#found(key, turn());
    const seat = party.line.join(item);
    this.length += 1;
    this.#recount(party, party.line.length - 1);
    return { party, seat };
  }

  /** Without having been served. */
  leave({ party, seat }: PartySeat<T>): void {
    if (!seat.isTaken) return;
    party.line.leave(seat);
    this.length -= 1;
    this.#recount(party, party.line.length + 1);
    if (party.line.length === 0) this.#dissolve(party);
  }

  /** Its party's turn is over; `turn` is its next. */
  served(partySeat: PartySeat<T>, turn: () => number): void {
    const { party } = partySeat;
    this.leave(partySeat);
    if (party.line.length === 0) return;
    if (party.inRing !== undefined) this.#ring.leave(party.inRing);
    party.inRing = this.#ring.join(party);
    party.turn = turn();
  }

  /** Whose turn it is. */
  get first(): T | undefined {
    return this.#ring.first?.line.first;
  }

  /** Of those of whom most wait, who came last. */
  get newestOfGreediest(): T | undefined {
    return this.#partiesByCount[this.countMax]?.last?.line.last;
  }

  countOf(key: PartyKey): number {
    return this.#parties.get(key)?.line.length ?? 0;
  }

  /** How many turns a newcomer of the party would have to wait for, if nobody else came. */
  turnsBefore(key: PartyKey): number {
    const own = this.countOf(key);
    const rounds = Math.max(1, own);
    return own + this.#reach.upTo(rounds) - Math.min(own, rounds);
  }

  *[Symbol.iterator](): Generator<T> {
    for (const { line } of this.#ring) yield* line;
  }

  #found(key: PartyKey, turn: number): Party<T> {
    const party: Party<T> = { key, line: new Line(), turn, inRing: undefined, byCount: undefined };
    party.inRing = this.#ring.join(party);
    this.#parties.set(key, party);
    return party;
  }

  #dissolve(party: Party<T>): void {
    if (party.inRing !== undefined) this.#ring.leave(party.inRing);
    this.#parties.delete(party.key);
  }

  #recount(party: Party<T>, before: number): void {
    const count = party.line.length;
    if (party.byCount !== undefined) this.#partiesByCount[before]?.leave(party.byCount);
    party.byCount = count > 0 ? (this.#partiesByCount[count] ??= new Line()).join(party) : undefined;
    if (count > before) this.#reach.add(count, 1);
    else this.#reach.add(before, -1);
    this.countMax = Math.max(this.countMax, count);
    if (this.countMax > 0 && (this.#partiesByCount[this.countMax]?.length ?? 0) === 0) this.countMax -= 1;
  }
}
