import { BoundedMap } from '../../bounded-map.ts';
import { MARKS, type Rows } from './rows.ts';

/** How many rows may travel together now, and whether any may. */
export interface BatchSize {
  /** At most `sizeMax`; 1: calls travel singly. */
  rowsMax(sizeMax: number, nowMs: number): number;
  /** A batch of so many rows went well. True: batching has come back with it. */
  succeeded(rows: number, sizeMax: number): boolean;
  /** A batch had to be divided. Undefined, or for how long no batch is made now. */
  divided(nowMs: number): number | undefined;
  /** Batches are made all the same: of all but the failing callers. */
  resume(): void;
}

/** Until more is known. */
const ROWS_AT_FIRST = 16;
const ROWS_MIN = 2;
/** After the first failure it grows by this share, so that it settles where few batches fail. */
const GROWTH = 1.25;

const OUTCOMES_KEPT = 20;
/** So many divided among the last kept, or in a row, and batching stops. */
const DIVIDED_MAX = OUTCOMES_KEPT / 2;
const DIVIDED_IN_A_ROW_MAX = 8;

const PAUSE_MS = 30_000;
const PAUSE_MS_MAX = 10 * 60_000;

/**
 * Doubles the size while all goes well, halves it when a batch had to be divided, and grows slowly from then on: where
 * one row in a hundred is bad, small batches fail seldom and large ones nearly always.
 *
 *   batching  ── too many divided ──→  paused
 *   paused    ── the pause is over ──→  batching, of the smallest size; the next pause is twice as long
 */
export function createBatchSize(): BatchSize {
  let limit = ROWS_AT_FIRST;
  let hasFailed = false;
  let outcomes: boolean[] = []; // the last ones; true: divided
  let pausedUntilMs = 0;
  let pauseMs = PAUSE_MS;
  let isBack = false;

  const note = (isDivided: boolean) => {
    outcomes.push(isDivided);
    if (outcomes.length > OUTCOMES_KEPT) outcomes.shift();
  };
  const hasFailedTooOften = () =>
    outcomes.filter(Boolean).length > DIVIDED_MAX ||
    (outcomes.length >= DIVIDED_IN_A_ROW_MAX && outcomes.slice(-DIVIDED_IN_A_ROW_MAX).every(Boolean));

  return {
    rowsMax: (sizeMax, nowMs) => (nowMs < pausedUntilMs ? 1 : Math.min(sizeMax, Math.floor(limit))),
    succeeded(rows, sizeMax) {
      note(false);
      if (rows > limit / 2) limit = Math.min(sizeMax, hasFailed ? Math.max(limit + 1, limit * GROWTH) : limit * 2);
      const comesBack = isBack;
      isBack = false;
      if (outcomes.length === OUTCOMES_KEPT && !outcomes.includes(true)) pauseMs = PAUSE_MS;
      return comesBack;
    },
    divided(nowMs) {
      hasFailed = true;
      limit = Math.max(ROWS_MIN, limit / 2);
      note(true);
      if (nowMs < pausedUntilMs || !hasFailedTooOften()) return undefined;
      const forMs = pauseMs;
      pausedUntilMs = nowMs + forMs;
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
      limit = ROWS_MIN;
      outcomes = [];
      isBack = true;
      return forMs;
    },
    resume() {
      pausedUntilMs = 0;
      isBack = false;
    },
  };
}

/** How long a batch takes, learned from those that were. */
export interface BatchTime {
  record(rows: number, durationMs: number): void;
  /** Milliseconds for so many rows; undefined while too little is known. */
  predictMs(rows: number): number | undefined;
}

/** What an observation still weighs when the next one has come: about the last fifty count. */
const KEPT_SHARE = 0.98;
/** Fewer batches than that say nothing. */
const SEEN_MIN = 4;

/**
 * Learns `a·rows + b` by least squares over what was seen lately.
 *
 * Where all batches had about as many rows nothing tells `a` from `b`: then all of it is taken to grow with the rows,
 * which says too much of larger batches rather than too little.
 */
export function createBatchTime(): BatchTime {
  let [weight, rowSum, squareSum, timeSum, productSum] = [0, 0, 0, 0, 0];
  let seen = 0;

  return {
    record(rows, durationMs) {
      weight = weight * KEPT_SHARE + 1;
      rowSum = rowSum * KEPT_SHARE + rows;
      squareSum = squareSum * KEPT_SHARE + rows * rows;
      timeSum = timeSum * KEPT_SHARE + durationMs;
      productSum = productSum * KEPT_SHARE + rows * durationMs;
      seen += 1;
    },
    predictMs(rows) {
      if (seen < SEEN_MIN) return undefined;
      const [meanRows, meanMs] = [rowSum / weight, timeSum / weight];
      const spread = squareSum / weight - meanRows * meanRows;
      const perRow =
        spread > 0.01 * meanRows * meanRows ? (productSum / weight - meanRows * meanMs) / spread : meanMs / meanRows;
      const perRowMs = Math.min(Math.max(0, perRow), meanMs / meanRows); // neither time nor rows are ever negative
      return meanMs + perRowMs * (rows - meanRows);
    },
  };
}

/** A batch may take so many times as long as expected, and still come in time. */
const MARGIN = 2;

/** Whether so many rows are likely to be answered within the time, by what is known of how long batches take. */
export function isInTime(time: BatchTime, rows: number, leftMs: number): boolean {
  return (time.predictMs(rows) ?? 0) * MARGIN <= leftMs;
}

/** Whose calls make batches fail. */
export interface FailingCallers {
  /** A call of theirs failed alone as well, after a batch with it had failed. */
  note(callerId: string): void;
  /**
   * Batches fail too often, the last of them with calls of these callers: those that brought it about travel alone
   * until then. Empty where no caller in particular did, or no other was in it.
   */
  setApart(callerIds: readonly string[], untilMs: number): readonly string[];
  isApart(callerId: string, nowMs: number): boolean;
}

/** Failures kept in mind. */
const FAILURES_MAX = 20;
/** Once may happen to any caller. */
const FAILURES_MIN = 2;
/** Callers who travel alone; beyond that the first of them are forgiven. */
const APART_MAX = 64;

/** No caller’s calls have failed yet. */
export function createFailingCallers(): FailingCallers {
  let failures: string[] = [];
  const apart = new BoundedMap<string, number>(APART_MAX);

  const failing = () => {
    const counts = new Map<string, number>();
    for (const callerId of failures) counts.set(callerId, (counts.get(callerId) ?? 0) + 1);
    return [...counts].flatMap(([callerId, count]) => (count >= FAILURES_MIN ? [callerId] : []));
  };

  return {
    note(callerId) {
      failures.push(callerId);
      if (failures.length > FAILURES_MAX) failures.shift();
    },
    setApart(callerIds, untilMs) {
      const found = failing();
      failures = [];
      if (callerIds.every(callerId => found.includes(callerId))) return [];
      for (const callerId of found) {
        apart.set(callerId, untilMs);
      }
      return found;
    },
    isApart(callerId, nowMs) {
      if (apart.size === 0) return false;
      const untilMs = apart.get(callerId);
      if (untilMs === undefined || nowMs < untilMs) return untilMs !== undefined;
      apart.delete(callerId);
      return false;
    },
  };
}

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
  readonly #shapes = new BoundedMap<string, number>(SHAPES_MAX);
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
