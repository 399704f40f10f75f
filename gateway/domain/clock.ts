/** Time, as the domain sees it. The real one lives in edges/clock.ts; tests turn their own. */
export interface Clock {
  /** Milliseconds of a clock that never jumps; fractions are kept. Only differences mean something. */
  nowMs(): number;
  /** Milliseconds since 1970 of the wall clock, for what is shown to people and compared with dates. */
  wallMs(): number;
  /** Calls back once, `delayMs` from now, unless the returned function is called first. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Chance, as the domain sees it. */
export interface Random {
  /** A whole number from 0 up to, but not including, `limit`; 0 when `limit` is 0. */
  below(limit: number): number;
}

/** Waits for so long, or until the signal aborts: it resolves either way. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise(resolve => {
    const wake = () => {
      cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const cancel = clock.after(ms, wake);
    signal.addEventListener('abort', wake, { once: true });
  });
}
