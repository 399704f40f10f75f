/** Where something stands in a line. */
export class Seat<T> {
  readonly value: T;
  before: Seat<T> | undefined;
  after: Seat<T> | undefined;
  isTaken = true;

  constructor(value: T) {
    this.value = value;
  }
}

/**
 * First come, first out, and whoever stands in the middle may leave, all at the same cost however long it is.
 *
 * (A Set keeps order, too; but its first is looked for among the gaps of all who left before.)
 */
export class Line<T> {
  #first: Seat<T> | undefined;
  #last: Seat<T> | undefined;
  length = 0;

  get first(): T | undefined {
    return this.#first?.value;
  }

  get last(): T | undefined {
    return this.#last?.value;
  }

  /** At the end. */
  join(value: T): Seat<T> {
    const seat = new Seat(value);
    seat.before = this.#last;
    if (this.#last === undefined) this.#first = seat;
    else this.#last.after = seat;
    this.#last = seat;
    this.length += 1;
    return seat;
  }

  /** The seat must be one of this line's; leaving it twice does nothing. */
  leave(seat: Seat<T>): void {
    if (!seat.isTaken) return;
    seat.isTaken = false;
    if (seat.before === undefined) this.#first = seat.after;
    else seat.before.after = seat.after;
    if (seat.after === undefined) this.#last = seat.before;
    else seat.after.before = seat.before;
    this.length -= 1;
  }

  /** From the first to the last; nobody may leave meanwhile but whom it has just named. */
  *[Symbol.iterator](): Generator<T> {
    for (let seat = this.#first; seat !== undefined; seat = seat.after) yield seat.value;
  }
}
