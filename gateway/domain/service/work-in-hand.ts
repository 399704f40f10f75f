import { Line, type Seat } from './line.ts';
import type { LivingInstance } from './living-instance.ts';
import { createServiceTime, type ServiceTime } from './service-time.ts';

/** A call that occupies an instance. */
interface Work {
  readonly instance: LivingInstance;
  readonly sinceMs: number;
}

/** One call under way. */
export type WorkSeat = Seat<Work>;

/** What a service's instances work on, whoever still waits for it, and how long such work takes. */
export class WorkInHand {
  readonly time: ServiceTime = createServiceTime();
  readonly #oldestFirst = new Line<Work>();

  begin(instance: LivingInstance, nowMs: number): WorkSeat {
    return this.#oldestFirst.join({ instance, sinceMs: nowMs });
  }

  /** What was never sent teaches nothing. */
  end(seat: WorkSeat, nowMs: number, wasSent: boolean): void {
    this.#oldestFirst.leave(seat);
    if (wasSent) this.time.note(nowMs - seat.value.sinceMs, nowMs);
  }

  /** Since when the call is under way that is the `nth` oldest of those whose place can be given on. */
  sinceMs(nth: number): number | undefined {
    let left = nth;
    for (const { instance, sinceMs } of this.#oldestFirst) {
      if (instance.isEligible) left -= 1;
      if (left === 0) return sinceMs;
    }
    return undefined;
  }
}
