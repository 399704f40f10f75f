import type { Call, WayBack } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import type { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import type { Intake, ListenOptions } from './intake.ts';

/** What the calls of one listener have in common. */
export interface Listener {
  readonly listen: ListenOptions;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** The flow's beginning. It never throws. */
  readonly enter: (call: Call) => void;
  readonly back: WayBack;
  readonly observe: Observe;
  readonly intake: Intake;
  readonly inHand: InHand;
  /** Why nothing new is taken, while that is so: connections end with their answers. */
  readonly refusal: () => GatewayError | undefined;
}

/** Counts what has begun and not ended. */
export class InHand {
  readonly #clock: Clock;
  #count = 0;
  #onNone: (() => void) | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#onNone?.();
  }

  /** Resolves when nothing is left, or `withinMs` later. */
  settle(withinMs: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise(resolve => {
      const stop = () => {
        cancel();
        this.#onNone = undefined;
        resolve();
      };
      const cancel = this.#clock.after(withinMs, stop);
      this.#onNone = stop;
    });
  }
}
