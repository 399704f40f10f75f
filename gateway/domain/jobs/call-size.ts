/** Rows of the first call, and after one of which it was not told which row is to blame. */
const ROWS_FIRST = 64;
const ROWS_MAX = 1_024;
/** A call that is over sooner could ask for more, and a caller should not have to wait for a longer one. */
const CALL_MS_MIN = 50;
const CALL_MS_MAX = 150;

/**
 * How many rows of a job make one call, where its route does not say it (`batch.sizeMax`): as many as are answered while
 * another caller would hardly notice. Most of what R does for a call is the same for one row and for a thousand.
 */
export class CallSize {
  #rows = ROWS_FIRST;
  #rowsMax = ROWS_MAX;

  get rows(): number {
    return this.#rows;
  }

  /** So long a call of so many rows took, its wait for an instance included. */
  took(ms: number, rows: number): void {
    if (ms > CALL_MS_MAX) this.#rows = Math.max(ROWS_FIRST, Math.floor(this.#rows / 2));
    else if (ms < CALL_MS_MIN && rows >= this.#rows) this.#rows = Math.min(this.#rowsMax, this.#rows * 2);
  }

  /** A row among them is to blame for all: where rows are refused, halving few costs less than halving many. */
  refused(): void {
    this.#rows = this.#rowsMax = ROWS_FIRST;
  }
}
