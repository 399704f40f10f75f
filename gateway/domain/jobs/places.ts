/** The calls of jobs that a service has at once. Who has waited longest is next, so that jobs take turns. */
export class Places {
  readonly #max: () => number;
  readonly #waiting = new Set<(isTaken: boolean) => void>();
  #taken = 0;
  #isClosed = false;

  /** `max` may be another each time. */
  constructor(max: () => number) {
    this.#max = max;
  }

  /** How many there are now. */
  get max(): number {
    return this.#max();
  }

  /** Resolves with true once a place is taken; false: the signal aborted, or they were closed. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    if (this.#isClosed || signal.aborted) return false;
    if (this.#waiting.size > 0 || this.#taken >= this.#max()) return this.#turn(signal);
    this.#taken += 1;
    return true;
  }

  /** It is handed to who waits, and not put back: no newcomer comes between. Where there are more places by now, so are they. */
  release(): void {
    this.#taken -= 1;
    for (const longestWaiting of this.#waiting) {
      if (this.#taken >= this.#max()) return;
      this.#taken += 1;
      longestWaiting(true);
    }
  }

  /** None is given any more. */
  close(): void {
    this.#isClosed = true;
    for (const tell of [...this.#waiting]) tell(false);
  }

  #turn(signal: AbortSignal): Promise<boolean> {
    return new Promise(resolve => {
      const leave = () => tell(false);
      const tell = (isTaken: boolean) => {
        this.#waiting.delete(tell);
        signal.removeEventListener('abort', leave);
        resolve(isTaken);
      };
      this.#waiting.add(tell);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
