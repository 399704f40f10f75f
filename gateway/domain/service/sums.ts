/** Counts by number, from 1 on, whose sums up to a number are known without adding them up (Fenwick's tree). */
export class Sums {
  readonly #partialSums: number[] = [0];

  add(index: number, change: number): void {
    while (this.#partialSums.length <= index) this.#grow();
    for (let i = index; i < this.#partialSums.length; i += lowestBit(i)) {
      this.#partialSums[i] = (this.#partialSums[i] ?? 0) + change;
    }
  }

  /** The sum of the counts from 1 to `index`. */
  upTo(index: number): number {
    let sum = 0;
    for (let i = Math.min(index, this.#partialSums.length - 1); i > 0; i -= lowestBit(i)) {
      sum += this.#partialSums[i] ?? 0;
    }
    return sum;
  }

  /** One more number, of which nothing is counted yet. */
  #grow(): void {
    const index = this.#partialSums.length;
    this.#partialSums.push(this.upTo(index - 1) - this.upTo(index - lowestBit(index)));
  }
}

function lowestBit(i: number): number {
  return i & -i;
}
