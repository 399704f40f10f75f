/** An answer of its own proves for so long that an instance is well, whatever a check says that failed under work. */
const PROOF_FOR_MS = 10_000;

/** What one source of checks says of an instance: the roster's, or ours. */
export interface Wellness {
  readonly isWell: boolean;
  /** Why not, in the checker's words. */
  readonly note: string;
  readonly sinceMs: number;
  /** The check failed while work of ours was in hand: R computes, and cannot answer a check meanwhile. */
  readonly wasBusy: boolean;
}

/** Nothing is wrong. */
export const WELL: Wellness = { isWell: true, note: '', sinceMs: 0, wasBusy: false };

/** What a check found, and whether that is news. */
export function toWellness(known: Wellness, found: { isWell: boolean; note: string }, at: Moment): Wellness {
  if (found.isWell) return known.isWell ? known : WELL;
  if (!known.isWell) return { ...known, note: found.note };
  return { isWell: false, note: found.note, sinceMs: at.nowMs, wasBusy: at.isBusy };
}

interface Moment {
  readonly nowMs: number;
  readonly isBusy: boolean;
}

/** What speaks for an instance of which a check says that it is not well. */
interface Evidence extends Moment {
  /** When it last gave an answer of its own. */
  readonly lastGoodMs: number;
  /** Nothing excuses it for longer without a good answer. */
  readonly hangMsMax: number;
}

/**
 * Until when a failed check is excused by work in hand, or by an answer just given; undefined: it is not.
 *
 * Busy is not dead. But only a check that failed under work is excused, and never for longer than work may take: from
 * the failure, or from the last good answer since, for under full load R may have no moment for a check between two.
 */
export function excusedUntilMs(wellness: Wellness, evidence: Evidence): number | undefined {
  if (!wellness.wasBusy) return undefined;
  const atMostMs = Math.max(wellness.sinceMs, evidence.lastGoodMs) + evidence.hangMsMax;
  const hasProved = evidence.lastGoodMs >= wellness.sinceMs;
  const proofMs = evidence.isBusy ? Infinity : hasProved ? evidence.lastGoodMs + PROOF_FOR_MS : 0;
  const untilMs = Math.min(atMostMs, proofMs);
  return untilMs > evidence.nowMs ? untilMs : undefined;
}
