import type { GatewayError } from '../../errors.ts';
import { isInTime, type BatchTime } from './batch-limits.ts';

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
 * The first of those that came last, as many as must stay that the others are in time; undefined: all travel. The first
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

/** What a way that is not HTTP fails with in place of an answer of 4xx or 500. */
const REFUSED: ReadonlySet<string> = new Set(['MODEL_FAILED', 'INVALID_INPUT', 'BAD_REQUEST']);

/** True where the model did not take the rows: those of one call may be why, as with an answer that is no success. */
export function mayBeItsRows({ code }: GatewayError): boolean {
  return REFUSED.has(code);
}

/** What such a way has for a 404 and a 405. */
const NOT_THERE: ReadonlySet<string> = new Set(['NO_ROUTE', 'METHOD_NOT_ALLOWED']);

/** True where a way that is not HTTP fails with what over HTTP would be the model's answer: asked again it says the same. */
export function isOfModel(failure: GatewayError): boolean {
  return mayBeItsRows(failure) || NOT_THERE.has(failure.code);
}

/** A batch as the queue refused it. */
interface Refused {
  /** Of its first call: as that it waited. */
  readonly callerId: string;
  readonly queueWaitMsMax: number;
  readonly nowMs: number;
}

/** True where the queue refused the first call, and this one has waited for less long, or is another caller's. */
export function isWronged({ code }: GatewayError, { callerId, addedMs }: Entry, refused: Refused): boolean {
  if (code === 'QUEUE_FULL') return callerId !== refused.callerId;
  return code === 'QUEUE_TIMEOUT' && refused.nowMs - addedMs < refused.queueWaitMsMax;
}

/** An open batch, as far as it matters here. */
export interface OpenBatch<Entry> {
  /** As whose call it waits. */
  readonly callerId: string;
  /** Takes one more in, if it may. */
  tryAdd(entry: Entry, rowsMax: number): Added;
  /** Put to R at once, or when it has waited for others as long as the route says. */
  begin(): void;
  /** Put to R now. */
  start(): void;
}

/** Whether a call was taken in: `full`, there is room for no other either; `alone`, for this one there is none. */
export type Added = 'in' | 'full' | 'alone';

/** A call, and with which others it may travel. */
interface Candidate<Entry> {
  readonly entry: Entry;
  readonly callerId: string;
  /** Its caller has other calls waiting for the service: what it begins would be served after those. */
  readonly isQueued: boolean;
  /** Equal for calls that may travel together. */
  readonly group: string;
  readonly rowsMax: number;
}

/**
 * The batches of a route that still take calls in: one for each group, and one for each caller who has filled others.
 *
 * Every batch waits in the service's queue, where callers are served round robin; it waits as the first call in it. So a
 * caller with thousands of waiting calls, whatever they are, fills batches of its own, and no other waits behind all of
 * them for having been taken into the last.
 */
export class OpenBatches<Entry, B extends OpenBatch<Entry>> {
  readonly #open = new Map<string, B>();
  /** How many full batches of a group wait as calls of a caller. */
  readonly #filled = new Map<string, number>();

  /** Takes the call in with others, or into a batch that `create` makes, which takes others in. */
  add(candidate: Candidate<Entry>, create: (onClosed: (batch: B) => void) => B): void {
    const { entry, group, rowsMax } = candidate;
    const openKey = this.#keyFor(candidate);
    const open = this.#open.get(openKey);
    const added = open?.tryAdd(entry, rowsMax);
    if (added === 'in') return;
    if (added === 'alone') {
      create(() => undefined).start();
      return;
    }
    if (open !== undefined) this.#supersede(open, openKey, group);
    const key = this.#keyFor(candidate);
    const batch = create(closed => this.#closed(closed, key, group));
    this.#open.set(key, batch);
    batch.begin();
  }

  #keyFor({ callerId, group, isQueued }: Candidate<Entry>): string {
    if (!isQueued && this.#filled.size === 0) return group;
    const own = `${group}\n${callerId}`;
    if (this.#filled.has(own) || this.#open.has(own)) return own;
    return isQueued && this.#open.get(group)?.callerId !== callerId ? own : group;
  }

  /** It takes no other: it need wait for none, either. */
  #supersede(batch: B, key: string, group: string): void {
    this.#open.delete(key);
    const own = `${group}\n${batch.callerId}`;
    this.#filled.set(own, (this.#filled.get(own) ?? 0) + 1);
    batch.start();
  }

  #closed(batch: B, key: string, group: string): void {
    if (this.#open.get(key) === batch) {
      this.#open.delete(key);
      return;
    }
    const own = `${group}\n${batch.callerId}`;
    const left = (this.#filled.get(own) ?? 0) - 1;
    if (left > 0) this.#filled.set(own, left);
    else this.#filled.delete(own);
  }
}
