import type { GatewayError } from '../../errors.ts';
import { isInTime, type BatchTime } from './batch-limits.ts';
import type { Added } from './open-batches.ts';

/** A call in a batch, as far as rules look at it. */
export interface Entry {
  readonly rows: { readonly count: number };
  readonly bytes: number;
  readonly callerId: string;
  readonly addedMs: number;
  /** Until when its answer is of use, by the clock. */
  readonly endsMs: number;
}

/** A batch that still takes calls in, and what bounds it. */
export interface Room {
  readonly entries: readonly Entry[];
  readonly rows: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** What one attempt may take. */
  readonly attemptMs: number;
  readonly time: BatchTime;
}

/** Whether a batch takes one more in. */
export function addTo(room: Room, entry: Entry, { rowsMax, nowMs }: { rowsMax: number; nowMs: number }): Added {
  const rows = room.rows + entry.rows.count;
  if (rows > rowsMax || room.bytes + entry.bytes > room.bytesMax) {
    return 2 * entry.rows.count > rowsMax || 2 * entry.bytes > room.bytesMax ? 'alone' : 'full';
  }
  if (!isSoonEnough(room, rows, pressedMs(room, nowMs))) return 'full';
  return isSoonEnough(room, rows, entry.endsMs - nowMs) ? 'in' : 'alone';
}

/**
 * The first of those who came last, as many as must stay that the others are in time; undefined: all travel. The first
 * call always does.
 */
export function firstToStay(room: Room, { rowsMax, nowMs }: { rowsMax: number; nowMs: number }): number | undefined {
  const leftMs = pressedMs(room, nowMs);
  if (room.rows <= rowsMax && isSoonEnough(room, room.rows, leftMs)) return undefined;
  let rows = 0;
  const first = room.entries.findIndex(({ rows: { count } }, i) => {
    rows += count;
    return i > 0 && (rows > rowsMax || !isSoonEnough(room, rows, leftMs));
  });
  return first < 0 ? undefined : first;
}

/**
 * How long the most pressed will wait. One that will be late even alone presses none of the others: else one call whose
 * time is nearly over would keep all others from travelling together.
 */
function pressedMs(room: Room, nowMs: number): number {
  let leastMs = Infinity;
  for (const { rows, endsMs } of room.entries) {
    const ownMs = endsMs - nowMs;
    if (ownMs < leastMs && isSoonEnough(room, rows.count, ownMs)) leastMs = ownMs;
  }
  return leastMs;
}

function isSoonEnough({ time, attemptMs }: Room, rows: number, leftMs: number): boolean {
  return isInTime(time, rows, Math.min(leftMs, attemptMs));
}

/** Failures that one call may have brought upon all: R died of it, hung, or answered what is no answer. */
const BROUGHT_ON: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'ATTEMPT_TIMEOUT',
  'UPSTREAM_FAULT',
  'STREAM_NOT_ENABLED',
]);

/** True where one of the calls may be why all failed: each is asked by itself then, since halves would break more. */
export function mayBeBroughtOn({ code }: GatewayError): boolean {
  return BROUGHT_ON.has(code);
}

/** A batch as the queue refused it. */
interface Refused {
  /** Of its first call: in its turn it waited. */
  readonly callerId: string;
  readonly queueWaitMsMax: number;
  readonly nowMs: number;
}

/** True where the queue refused the first call, and this one has waited for less long, or is another caller's. */
export function isWronged({ code }: GatewayError, { callerId, addedMs }: Entry, refused: Refused): boolean {
  if (code === 'QUEUE_FULL') return callerId !== refused.callerId;
  return code === 'QUEUE_TIMEOUT' && refused.nowMs - addedMs < refused.queueWaitMsMax;
}
