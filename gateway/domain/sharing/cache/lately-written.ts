/** Targets remembered as written to: those of some seconds, even where writing is all that callers do. */
const TARGETS_MAX = 1_024;

/** What was written to lately, so that an answer asked for before is not remembered after. */
export interface LatelyWritten {
  note(target: string, nowMs: number): void;
  /** True where the target was, or may have been, written to since. */
  isSince(target: string, askedMs: number): boolean;
}

/** Remembers up to `targetsMax` targets; of those it had to forget it only knows when the last was written to. */
export function createLatelyWritten(targetsMax = TARGETS_MAX): LatelyWritten {
  const writtenMs = new Map<string, number>();
  let forgottenMs = -Infinity;

  return {
    note(target, nowMs) {
      writtenMs.delete(target); // so that the map stays in the order of time
      writtenMs.set(target, nowMs);
      if (writtenMs.size <= targetsMax) return;
      for (const [oldest, atMs] of writtenMs) {
        writtenMs.delete(oldest);
        forgottenMs = atMs;
        return;
      }
    },
    isSince: (target, askedMs) => forgottenMs >= askedMs || (writtenMs.get(target) ?? -Infinity) >= askedMs,
  };
}

/** RFC 9110 §9.2.1. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** True where a request may have changed what its target answers (RFC 9111 §4.4): not safe, or unknown, and no error. */
export function isWrite(method: string, status: number): boolean {
  return !SAFE.has(method) && status < 400;
}
