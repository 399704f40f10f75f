/** How many rows may travel together now, and whether any may. */
export interface BatchSize {
  /** At most `sizeMax`; 1: calls travel singly. */
  rowsMax(sizeMax: number, nowMs: number): number;
  /** A batch of so many rows went well. True: batching has come back with it. */
  succeeded(rows: number, sizeMax: number): boolean;
  /** A batch had to be divided. Undefined, or for how long no batch is made now. */
  divided(nowMs: number): number | undefined;
  /** Batches are made all the same: of those whose calls are not to blame. */
  resume(): void;
}

/** Until more is known. */
const ROWS_AT_FIRST = 16;
const ROWS_MIN = 2;
/** After the first failure it grows by this share, so that it settles where few batches fail. */
const GROWTH = 1.25;

const REMEMBERED = 20;
/** So many divided among the last remembered, or in a row, and batching stops. */
const DIVIDED_MAX = REMEMBERED / 2;
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
    if (outcomes.length > REMEMBERED) outcomes.shift();
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
      if (outcomes.length === REMEMBERED && !outcomes.includes(true)) pauseMs = PAUSE_MS;
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
