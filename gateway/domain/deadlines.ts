import type { Clock } from './clock.ts';

/** What ends by itself at a time of the clock. */
export interface Timed {
  /** When, in the clock's milliseconds; Infinity: never. While it is watched only `Deadlines.move` may change it. */
  endsMs: number;
  /** Its place among all that is watched, for `Deadlines` alone; -1: it is not watched. */
  watchedAt: number;
  /** The time is over. It is watched no longer. */
  onTimeOver(): void;
}

/** Times are looked at together, and never in shorter steps than this. */
const STEP_MS = 5;

/**
 * All that ends by itself, watched by one timer: a call's deadline, an attempt's time, a wait in a queue.
 *
 * Nearly all that is added leaves before its time, so that adding and leaving must cost nothing, and a look at all that
 * is left now and then costs little. Each knows its place in a list: a set would be built anew all the time.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #watched: Timed[] = [];
  #nextMs = Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(timed: Timed): void {
    if (timed.endsMs === Infinity) return;
    if (timed.watchedAt < 0) timed.watchedAt = this.#watched.push(timed) - 1;
    if (timed.endsMs < this.#nextMs) this.#lookAt(timed.endsMs);
  }

  /** Harmless where it is not watched. */
  remove(timed: Timed): void {
    const at = timed.watchedAt;
    if (at < 0) return;
    timed.watchedAt = -1;
    const last = this.#watched.pop();
    if (last === undefined || last === timed) return;
    this.#watched[at] = last;
    last.watchedAt = at;
  }

  /** Watches it until another time. */
  move(timed: Timed, endsMs: number): void {
    timed.endsMs = endsMs;
    if (endsMs === Infinity) this.remove(timed);
    else this.add(timed);
  }

  get size(): number {
    return this.#watched.length;
  }

  /** Nothing is watched any more: no timer is left. */
  close(): void {
    for (const timed of this.#watched) timed.watchedAt = -1;
    this.#watched.length = 0;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#nextMs = Infinity;
  }

  #lookAt(atMs: number): void {
    this.#cancel?.();
    this.#nextMs = atMs;
    this.#cancel = this.#clock.after(Math.max(0, atMs - this.#clock.nowMs()), () => this.#look());
  }

  #look(): void {
    this.#cancel = undefined;
    this.#nextMs = Infinity;
    const nowMs = this.#clock.nowMs();
    let nextMs = Infinity;
    const due: Timed[] = [];
    for (const timed of this.#watched) {
      if (timed.endsMs <= nowMs) due.push(timed);
      else if (timed.endsMs < nextMs) nextMs = timed.endsMs;
    }
    if (nextMs < Infinity) this.#lookAt(Math.max(nextMs, nowMs + STEP_MS));
    due.sort((one, other) => one.endsMs - other.endsMs);
    for (const timed of due) {
      // What another's end brought about may have ended it, or given it more time.
      if (timed.endsMs > nowMs || timed.watchedAt < 0) continue;
      this.remove(timed);
      timed.onTimeOver();
    }
  }
}
