/** How much is worked on at once: the calls of jobs to a service, say, or R processes that start. What has waited longest is next. */
export class ConcurrencyLimit {
  readonly #max: () => number;
  readonly #waiting = new Set<(isAcquired: boolean) => void>();
  #inUse = 0;
  #isClosed = false;

  /** `max` may be another each time. */
  constructor(max: () => number) {
    this.#max = max;
  }

  /** How many permits there are now. */
  get max(): number {
    return this.#max();
  }

  /** Resolves with true once a permit is acquired; false: the signal aborted, or the limit was closed. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    if (this.#isClosed || signal.aborted) return false;
    if (this.#waiting.size > 0 || this.#inUse >= this.#max()) return this.#wait(signal);
    this.#inUse += 1;
    return true;
  }

  /** The permit is handed to what waits, and not put back: no newcomer comes between. Where there are more by now, so are these. */
  release(): void {
    this.#inUse -= 1;
    for (const settleNext of this.#waiting) {
      if (this.#inUse >= this.#max()) return;
      this.#inUse += 1;
      settleNext(true);
    }
  }

  /** No permit is given any more. */
  close(): void {
    this.#isClosed = true;
    for (const settle of [...this.#waiting]) settle(false);
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise(resolve => {
      const leave = () => settle(false);
      const settle = (isAcquired: boolean) => {
        this.#waiting.delete(settle);
        signal.removeEventListener('abort', leave);
        resolve(isAcquired);
      };
      this.#waiting.add(settle);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
