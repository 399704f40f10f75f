/** How many numbers are noted of a member: where it begins, where its name ends, where it ends. */
const STRIDE = 3;

const COMMA = 0x2c;

/**
 * The members of every object that is being written, as places in the text; an object within another comes after it.
 *
 * One for a whole text, because a text may have thousands of objects.
 */
export class JsonMembers {
  readonly #text: Buffer;
  readonly #places: number[] = [];
  #hasTwice = false;
  #before: Buffer | undefined;

  constructor(text: Buffer) {
    this.#text = text;
  }

  /** An object begins: what `putInOrder` wants to know of it. */
  begin(): number {
    return this.#places.length;
  }

  add(start: number, nameEnd: number, end: number): void {
    this.#places.push(start, nameEnd, end);
  }

  /**
   * Puts the members of an object, which stand side by side with a comma between, in the order of their names, and
   * forgets them; false where a name comes twice, since which of the two counts is the reader's choice.
   */
  putInOrder(first: number): boolean {
    if (!this.#isInOrder(first)) this.#reorder(first);
    this.#places.length = first;
    return !this.#hasTwice;
  }

  /** Callers write the fields of a model in one order, but seldom in this. */
  #isInOrder(first: number): boolean {
    for (let i = first + STRIDE; i < this.#places.length; i += STRIDE) {
      if (this.#compare(i - STRIDE, i) >= 0) return false;
    }
    return true;
  }

  #reorder(first: number): void {
    const order: number[] = [];
    for (let i = first; i < this.#places.length; i += STRIDE) order.push(i);
    order.sort(this.#compare);
    if (!this.#hasTwice) this.#rewrite(order, this.#places[first] ?? 0);
  }

  #rewrite(order: readonly number[], start: number): void {
    const [text, places] = [this.#text, this.#places];
    const before = (this.#before ??= Buffer.allocUnsafe(text.length));
    text.copy(before, start, start, places.at(-1));
    let at = start;
    for (const member of order) {
      if (at > start) text[at++] = COMMA;
      at += before.copy(text, at, places[member], places[member + 2]);
    }
  }

  /** A name stands with its quotes, so that none is the beginning of another. */
  readonly #compare = (one: number, other: number): number => {
    const places = this.#places;
    const end = places[one + 1] ?? 0;
    let at = places[one] ?? 0;
    let against = places[other] ?? 0;
    while (at < end && this.#text[at] === this.#text[against]) {
      at += 1;
      against += 1;
    }
    if (at === end) this.#hasTwice = true;
    return (this.#text[at] ?? 0) - (this.#text[against] ?? 0);
  };
}
