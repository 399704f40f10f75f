/** How long a caller counts as active after a request. */
export const ACTIVE_FOR_MS = 60_000;

/** Knows of any caller whether someone else has been active lately, in the memory of two. */
export interface ActiveCallers {
  note(callerId: string, nowMs: number): void;
  /** True while nobody but this caller is known to have called lately. */
  isSole(callerId: string, nowMs: number): boolean;
}

/** Remembers the last caller and the last other one: of the two, one at least is not whoever is asked about. */
export function createActiveCallers(): ActiveCallers {
  let last = { callerId: '', seenMs: -Infinity };
  let lastOther = last;

  return {
    note(callerId, nowMs) {
      if (callerId === last.callerId) {
        last.seenMs = nowMs;
        return;
      }
      lastOther = last;
      last = { callerId, seenMs: nowMs };
    },
    isSole(callerId, nowMs) {
      const other = last.callerId === callerId ? lastOther : last;
      return nowMs - other.seenMs > ACTIVE_FOR_MS;
    },
  };
}
