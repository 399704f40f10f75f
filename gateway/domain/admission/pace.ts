import type { Leavable } from '../call.ts';
import type { Clock } from '../clock.ts';
import type { Limit, Pace } from '../route.ts';

/** How a call would go at a pace. */
export interface PaceStand {
  /** When the pace has done with it, and the next may follow: what is kept of a pace. */
  readonly doneMs: number;
  /** Until it may go on. */
  readonly waitMs: number;
  readonly isExceeded: boolean;
  readonly remaining: number;
  readonly resetsInMs: number;
}

/** From one call to the next. */
export function paceStepMs({ rate, perMs }: Limit): number {
  return perMs / rate;
}

/** For so long after it could go on at once a call may still be taken: it waits at most `waitMax`, behind `depthMax` others. */
export function paceRoomMs({ waitMsMax, depthMax }: Pace, stepMs: number): number {
  return Math.min(waitMsMax, depthMax * stepMs);
}

/**
 * Where a call would stand whose pace was done at `doneMs` with those before it.
 *
 * The generic cell rate algorithm (ITU-T I.371), with one difference: what a call costs is paid after it, so that one of
 * many rows goes on like any other, and the next waits the longer.
 */
export function paceCall(limit: Limit, { doneMs, nowMs, cost }: PaceState): PaceStand {
  const { pace = UNPACED } = limit;
  const stepMs = paceStepMs(limit);
  const busyUntilMs = Math.max(doneMs, nowMs);
  const burstMs = (pace.burst - 1) * stepMs;
  const waitMs = Math.max(0, busyUntilMs - nowMs - burstMs);
  const roomMs = burstMs + paceRoomMs(pace, stepMs);
  const isExceeded = busyUntilMs - nowMs > roomMs + ROUNDING_MS;
  const afterMs = isExceeded ? busyUntilMs : busyUntilMs + cost * stepMs;
  return { doneMs: afterMs, waitMs, isExceeded, ...paceStand(afterMs - nowMs, roomMs, stepMs) };
}

const UNPACED: Pace = { burst: 1, waitMsMax: 0, depthMax: 0 };

/** How the pace of a key stands, and what comes. */
interface PaceState {
  readonly doneMs: number;
  readonly nowMs: number;
  readonly cost: number;
}

/** Steps added up are not exact; a call is not refused for that. */
const ROUNDING_MS = 1e-6;

/** How a pace stands that is busy for so long, and may be for `roomMs`. */
export function paceStand(usedMs: number, roomMs: number, stepMs: number): Pick<PaceStand, 'remaining' | 'resetsInMs'> {
  const freeMs = roomMs - usedMs;
  const remaining = Math.max(0, Math.floor((freeMs + ROUNDING_MS) / stepMs) + 1);
  return { remaining, resetsInMs: Math.max(0, usedMs - roomMs + remaining * stepMs) };
}

/** A time in a pace that a call has reserved: it waits for it, and gives back what it did not use of. */
export interface Reservation {
  /** Reservations of one key come one after the other. */
  readonly key: string;
  readonly routeId: string;
  readonly waitMs: number;
  readonly cost: number;
  /** So much less was used. */
  readonly giveBack: (cost: number) => void;
}

/** A call that waits for its time. */
interface Waiter extends Leavable {
  readonly reservation: Reservation;
  atMs: number;
  readonly onDue: () => void;
}

/**
 * Calls that wait for their time, in order, by what they are counted under.
 *
 * Each has a time at which it goes on. One that leaves makes those behind it move up, and the last reservation is given back.
 */
export class PaceQueues {
  readonly #clock: Clock;
  readonly #queues = new Map<string, PaceQueue>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for its time: what it may leave. */
  wait(reservation: Reservation, onDue: () => void): Leavable {
    let queue = this.#queues.get(reservation.key);
    if (queue === undefined) {
      queue = new PaceQueue(this.#clock, reservation.routeId, () => this.#queues.delete(reservation.key));
      this.#queues.set(reservation.key, queue);
    }
    return queue.add(reservation, onDue);
  }

  /** How many wait, by route; none where none do. */
  waiting(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { routeId, length } of this.#queues.values()) counts.set(routeId, (counts.get(routeId) ?? 0) + length);
    return counts;
  }
}

/** Those that are counted together. It is there while one waits, and has a timer for the first. */
class PaceQueue {
  readonly routeId: string;
  readonly #clock: Clock;
  readonly #onEmpty: () => void;
  readonly #waiters: Waiter[] = [];
  #cancel: (() => void) | undefined = undefined;

  constructor(clock: Clock, routeId: string, onEmpty: () => void) {
    this.#clock = clock;
    this.routeId = routeId;
    this.#onEmpty = onEmpty;
  }

  get length(): number {
    return this.#waiters.length;
  }

  add(reservation: Reservation, onDue: () => void): Leavable {
    const lastMs = this.#waiters.at(-1)?.atMs ?? 0;
    const waiter: Waiter = {
      ...{ reservation, onDue },
      atMs: Math.max(lastMs, this.#clock.nowMs() + reservation.waitMs),
      leave: () => this.#leave(waiter),
    };
    this.#waiters.push(waiter);
    if (this.#waiters.length === 1) this.#wake();
    return waiter;
  }

  /** Each of those behind gets the time of the one before it. */
  #leave(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter);
    const last = this.#waiters.at(-1);
    if (at < 0 || last === undefined) return;
    let freeMs = waiter.atMs;
    for (const behind of this.#waiters.slice(at + 1)) [freeMs, behind.atMs] = [behind.atMs, freeMs];
    this.#waiters.splice(at, 1);
    last.reservation.giveBack(Math.min(waiter.reservation.cost, last.reservation.cost));
    if (this.#waiters.length === 0) this.#end();
  }

  #wake(): void {
    const [first] = this.#waiters;
    if (first === undefined) {
      this.#end();
      return;
    }
    // A timer that counts whole milliseconds must not ring before its time.
    const delayMs = Math.max(0, Math.ceil(first.atMs - this.#clock.nowMs()));
    this.#cancel = this.#clock.after(delayMs, () => this.#emitDue());
  }

  #emitDue(): void {
    const nowMs = this.#clock.nowMs();
    const later = this.#waiters.findIndex(({ atMs }) => atMs > nowMs);
    const due = this.#waiters.splice(0, later < 0 ? this.#waiters.length : later);
    this.#wake();
    for (const { onDue } of due) onDue();
  }

  #end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#onEmpty();
  }
}
