import { MARKS, type Rows } from './rows.ts';

/** So many calls are answered alone and compared before the first batch, and the share asked again falls by them. */
const CALLS_FIRST = 128;
/** The same, of calls of one shape. */
const SHAPE_FIRST = 16;
/** The same, of values of one kind in one column. */
const MARK_FIRST = 2;
/** Shapes kept in mind: beyond that all begin anew. */
const SHAPES_MAX = 256;
/** While batches travel no minute goes by without a comparison. */
const RECHECK_EVERY_MS = 60_000;

/** Numbers of rows on both sides of powers of two: code that branches by the number of rows does so there. */
export function sizesUpTo(sizeMax: number): number[] {
  const sizes: number[] = [];
  for (let power = 2; power - 1 <= sizeMax; power *= 2) sizes.push(power - 1, power, power + 1);
  return [...new Set([...sizes, sizeMax])].filter(size => size >= 2 && size <= sizeMax).sort((a, b) => a - b);
}

/**
 * How far a version of a model is trusted to answer rows together as it answers each alone.
 *
 * What is new is not trusted: the first calls, a shape not seen, values of a kind not seen in a column, a larger batch.
 * Such calls are answered alone, and their rows are asked together beside, to compare: no caller gets an answer that was
 * not compared before this is over. From then on a share of those that travelled together is asked again alone, ever
 * fewer while answers agree, but never less than the route says.
 */
export class Trust {
  /** Rows that may travel together: as many as have been compared. */
  rowsMax: number;
  #agreed = 0;
  #recheckedMs = -Infinity;
  readonly #shapes = new Map<string, number>();
  readonly #marks = new Uint8Array(MARKS);

  constructor(rowsMax: number) {
    this.rowsMax = rowsMax;
  }

  /** Whether rows like these have been compared often enough to travel with others. */
  has({ shape, marks }: Rows): boolean {
    if (this.#agreed < CALLS_FIRST || (this.#shapes.get(shape) ?? 0) < SHAPE_FIRST) return false;
    for (const mark of marks) if ((this.#marks[mark] ?? 0) < MARK_FIRST) return false;
    return true;
  }

  /** A call's answers, together and alone, were the same. */
  agreed({ shape, marks }: Rows): void {
    this.#agreed += 1;
    if (this.#shapes.size >= SHAPES_MAX && !this.#shapes.has(shape)) this.#shapes.clear();
    this.#shapes.set(shape, (this.#shapes.get(shape) ?? 0) + 1);
    for (const mark of marks) {
      const times = this.#marks[mark] ?? 0;
      if (times < MARK_FIRST) this.#marks[mark] = times + 1;
    }
  }

  /** The next number of rows to compare. */
  nextSize(sizeMax: number): number | undefined {
    return sizesUpTo(sizeMax).find(size => size > this.rowsMax);
  }

  /** Whether a call that travelled with others is asked again alone: `chance` is from 0 up to 1. */
  isDue(chance: number, { recheckShare, nowMs }: { readonly recheckShare: number; readonly nowMs: number }): boolean {
    const share = Math.max(recheckShare, Math.exp(1 - Math.max(1, this.#agreed / CALLS_FIRST)));
    if (chance >= share && nowMs - this.#recheckedMs < RECHECK_EVERY_MS) return false;
    this.#recheckedMs = nowMs;
    return true;
  }
}
