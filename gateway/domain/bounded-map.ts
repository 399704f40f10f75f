/** A map of so many entries at most: for a new one that goes which was set the longest ago. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #entriesMax: number;
  readonly #onDrop: ((key: K, value: V) => void) | undefined;

  constructor(entriesMax: number, onDrop?: (key: K, value: V) => void) {
    super();
    this.#entriesMax = entriesMax;
    this.#onDrop = onDrop;
  }

  override set(key: K, value: V): this {
    this.delete(key); // and to the end: the first is the one that was set the longest ago
    super.set(key, value);
    if (this.size > this.#entriesMax) this.#dropOldest();
    return this;
  }

  #dropOldest(): void {
    for (const [key, value] of this) {
      this.delete(key);
      this.#onDrop?.(key, value);
      return;
    }
  }
}
