import type { Clock } from '../../domain/ports.ts';

/** Counts what has begun and not ended. */
export interface InHand {
  readonly count: number;
  begin(): void;
  end(): void;
  /** Resolves when nothing is left, or `withinMs` later; true when nothing was left. */
  settle(withinMs: number): Promise<boolean>;
}

/** Nothing in hand. */
export function createInHand(clock: Clock): InHand {
  let count = 0;
  let tell: (() => void) | undefined;

  return {
    get count() {
      return count;
    },
    begin() {
      count += 1;
    },
    end() {
      count -= 1;
      if (count === 0) tell?.();
    },
    settle(withinMs) {
      if (count === 0) return Promise.resolve(true);
      return new Promise(resolve => {
        const cancel = clock.after(withinMs, () => {
          tell = undefined;
          resolve(false);
        });
        tell = () => {
          cancel();
          tell = undefined;
          resolve(true);
        };
      });
    },
  };
}
