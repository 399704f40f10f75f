import type { Clock } from '../ports.ts';

/** The share of requests that may be retries, so that retries do not finish off a service that is failing. */
export interface RetryBudget {
  request(): void;
  /** Takes one retry out of the budget; false when there is none left. */
  tryRetry(percent: number): boolean;
}

/** What is counted together. */
const WINDOW_MS = 10_000;
/** Retries that are always allowed: a service with few requests must be able to retry at all. */
const RETRIES_PER_SECOND_MIN = 10;

const SLOT_MS = 1_000;
const SLOTS = WINDOW_MS / SLOT_MS;

/** A budget over a window that slides second by second. */
export function createRetryBudget(clock: Clock): RetryBudget {
  const requests = new Array<number>(SLOTS).fill(0);
  const retries = new Array<number>(SLOTS).fill(0);
  let current = Math.floor(clock.nowMs() / SLOT_MS);

  const slot = () => {
    const now = Math.floor(clock.nowMs() / SLOT_MS);
    for (let passed = Math.max(current + 1, now - SLOTS + 1); passed <= now; passed++) {
      requests[passed % SLOTS] = 0;
      retries[passed % SLOTS] = 0;
    }
    current = now;
    return now % SLOTS;
  };

  return {
    request() {
      const index = slot();
      requests[index] = (requests[index] ?? 0) + 1;
    },
    tryRetry(percent) {
      const index = slot();
      const retriesMax = Math.max((RETRIES_PER_SECOND_MIN * WINDOW_MS) / 1_000, (sum(requests) * percent) / 100);
      if (sum(retries) + 1 > retriesMax) return false;
      retries[index] = (retries[index] ?? 0) + 1;
      return true;
    },
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
