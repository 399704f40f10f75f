import type { RosterEntry } from '../roster.ts';

/** What a source said of one service just now. */
export interface Told {
  readonly entries: readonly RosterEntry[];
  /** Entries of which nothing is known yet, whatever health stands beside them. */
  readonly unproven: ReadonlySet<string>;
  /** The source was away since it was last heard, or its memory went back in time. */
  readonly isSuspect: boolean;
}

/** What is believed of one service. */
export interface Belief {
  readonly entries: readonly RosterEntry[];
  /** Null: the source is taken at its word. */
  readonly doubt: Doubt | null;
}

interface Doubt {
  readonly untilMs: number;
  /** Who was known before and has not been heard of since. */
  readonly missing: ReadonlySet<string>;
}

/**
 * What to believe after the source spoke. It is taken at its word, except where it comes back from an outage, or with a
 * memory older than it had, and knows of nobody: then those known before stand for `holdMs`, or until they are heard of
 * again. One who is heard of again and then leaves has left.
 */
export function believe(held: Belief | undefined, told: Told, time: { nowMs: number; holdMs: number }): Belief {
  if (held === undefined || held.entries.length === 0) return { entries: told.entries, doubt: null };
  const doubt = doubtAbout(held, told, time);
  if (doubt === null) return { entries: told.entries, doubt };

  const known = new Map(held.entries.map(entry => [entry.id, entry]));
  const returned = told.entries.map(entry => {
    const before = doubt.missing.has(entry.id) ? known.get(entry.id) : undefined;
    if (before?.origin !== entry.origin) return entry;
    return { ...entry, health: before.health, healthNote: before.healthNote };
  });
  const present = new Set(told.entries.flatMap(entry => [entry.id, entry.origin]));
  const kept = held.entries.filter(
    entry => doubt.missing.has(entry.id) && !present.has(entry.id) && !present.has(entry.origin),
  );
  return { entries: [...returned, ...kept], doubt };
}

function doubtAbout(held: Belief, told: Told, time: { nowMs: number; holdMs: number }): Doubt | null {
  const proven = new Set(told.entries.filter(entry => !told.unproven.has(entry.id)).map(entry => entry.id));
  const isDoubtful = told.isSuspect && proven.size === 0;
  if (isDoubtful) return { untilMs: time.nowMs + time.holdMs, missing: new Set(held.entries.map(entry => entry.id)) };
  if (held.doubt === null || time.nowMs >= held.doubt.untilMs) return null;

  const missing = new Set([...held.doubt.missing].filter(id => !proven.has(id)));
  return missing.size === 0 ? null : { untilMs: held.doubt.untilMs, missing };
}
