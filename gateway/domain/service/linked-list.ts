/** What can stand in a `LinkedList`, in one at a time. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
  isLinked: boolean;
}

/**
 * First in, first out, and what stands in the middle may leave, all at the same cost however long it is. What stands in
 * it carries the links itself.
 *
 * (A Set keeps order, too; but its first is looked for among the gaps of all that left before.)
 */
export class LinkedList<T extends Linked<T>> {
  first: T | undefined = undefined;
  last: T | undefined = undefined;
  length = 0;

  /** At the end. It must not stand in a list. */
  add(item: T): void {
    item.previous = this.last;
    item.next = undefined;
    item.isLinked = true;
    if (this.last === undefined) this.first = item;
    else this.last.next = item;
    this.last = item;
    this.length += 1;
  }

  /** It must stand in this list or in none; then nothing happens. */
  remove(item: T): void {
    if (!item.isLinked) return;
    if (item.previous === undefined) this.first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.last = item.previous;
    else item.next.previous = item.previous;
    item.previous = undefined;
    item.next = undefined;
    item.isLinked = false;
    this.length -= 1;
  }

  /** From the first to the last. None may leave meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let item = this.first; item !== undefined; item = item.next) yield item;
  }
}
