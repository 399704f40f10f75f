/** Whether the one comes before the other; never both. */
type ComesBefore<T> = (a: T, b: T) => boolean;

/**
 * Items in their order, of which one mostly leaves at the front and comes in at the back: both cost the same however many
 * there are. Anywhere else costs a search, and a move of what stands behind.
 */
export class Line<T> {
  readonly #items: T[] = [];
  readonly #comesBefore: ComesBefore<T>;

  constructor(comesBefore: ComesBefore<T>) {
    this.#comesBefore = comesBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    const last = this.#items.at(-1);
    if (last === undefined || this.#comesBefore(last, item)) this.#items.push(item);
    else this.#items.splice(this.#placeOf(item), 0, item);
  }

  /** Takes out the first, whatever its order has become. */
  shift(): void {
    this.#items.shift();
  }

  /** Takes out an item that stands in its order. */
  remove(item: T): void {
    const place = this.#placeOf(item);
    if (this.#items[place] === item) this.#items.splice(place, 1);
  }

  /** Where it stands, or would. */
  #placeOf(item: T): number {
    let [from, to] = [0, this.#items.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const there = this.#items[middle];
      if (there !== undefined && this.#comesBefore(there, item)) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
