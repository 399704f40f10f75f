/** Something that knows its own place in a heap. */
interface Placed {
  place: number;
}

/** Items of which one comes first; each can be moved or taken out at a cost that grows with the logarithm of their number. */
export class Heap<T extends Placed> {
  readonly #items: T[] = [];
  readonly #comesBefore: (a: T, b: T) => boolean;

  constructor(comesBefore: (a: T, b: T) => boolean) {
    this.#comesBefore = comesBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
    this.moved(item);
  }

  remove(item: T): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, item.place);
    this.moved(last);
  }

  /** The item may belong elsewhere now. */
  moved(item: T): void {
    this.#sink(this.#rise(item));
  }

  #put(item: T, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }

  #rise(item: T): T {
    while (item.place > 0) {
      const parentPlace = (item.place - 1) >> 1;
      const parent = this.#items[parentPlace];
      if (parent === undefined || !this.#comesBefore(item, parent)) break;
      this.#put(parent, item.place);
      this.#put(item, parentPlace);
    }
    return item;
  }

  #sink(item: T): void {
    for (let child = this.#firstChild(item); child !== undefined; child = this.#firstChild(item)) {
      if (!this.#comesBefore(child, item)) return;
      const { place } = child;
      this.#put(child, item.place);
      this.#put(item, place);
    }
  }

  #firstChild({ place }: T): T | undefined {
    const [left, right] = [this.#items[2 * place + 1], this.#items[2 * place + 2]];
    if (left === undefined || right === undefined) return left;
    return this.#comesBefore(right, left) ? right : left;
  }
}
