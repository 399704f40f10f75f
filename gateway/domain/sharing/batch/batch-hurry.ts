import type { Batch } from './batch.ts';
import type { BatchTime } from './batch-time.ts';
import type { Clock } from '../../ports.ts';

/** A batch may take so many times as long as expected, and still come in time. */
const MARGIN = 2;

/** Whether batches come in time for those in them. */
export interface Hurry {
  /** Whether so many rows are likely to be answered within the time, and within that of one attempt. */
  isInTime(rows: number, leftMs: number): boolean;
  /** Whether they are for all in the batch. */
  areInTime(rows: number, batch: Batch): boolean;
  /** How long the most pressed in the batch will wait. */
  leftMs(batch: Batch): number;
}

interface HurryParts {
  readonly time: BatchTime;
  /** What one attempt may take. */
  readonly attemptMs: number;
  readonly clock: Clock;
}

/**
 * By what is known of how long batches take.
 *
 * Who will be late even alone presses nobody: else one call whose time is nearly over would keep all others from
 * travelling together.
 */
export function createHurry({ time, attemptMs, clock }: HurryParts): Hurry {
  const isInTime = (rows: number, leftMs: number) =>
    (time.predictMs(rows) ?? 0) * MARGIN <= Math.min(leftMs, attemptMs);

  const leftMs = ({ waiting }: Batch) => {
    let leastMs = Infinity;
    for (const { parcel, question } of waiting) {
      const ownMs = question.deadline.remainingMs();
      if (ownMs < leastMs && isInTime(parcel.rows, ownMs)) leastMs = ownMs;
    }
    return leastMs;
  };

  return {
    isInTime,
    leftMs,
    areInTime: (rows, batch) => isInTime(rows, batch.endsMs - clock.nowMs()) || isInTime(rows, leftMs(batch)),
  };
}
