import type { Roster, RosterEntry, SourceName } from '../roster.ts';

/** Who knows most of an instance's health comes first. */
const RANK: Readonly<Record<SourceName, number>> = { consul: 0, local: 1, static: 2 };

/**
 * The union, by service, of what the sources list: what each service's instances are. One address is one instance, and
 * the source that knows most of its health speaks for it. An id that two sources give to different addresses is told
 * apart by the source's name.
 */
export function mergeRosters(rosters: readonly Roster[]): ReadonlyMap<string, readonly RosterEntry[]> {
  const ranked = [...rosters].sort((a, b) => RANK[a.source] - RANK[b.source]);
  const listed = new Map<string, RosterEntry[]>();
  for (const { services } of ranked) {
    for (const [service, entries] of services) listed.set(service, [...(listed.get(service) ?? []), ...entries]);
  }
  return new Map([...listed].map(([service, entries]) => [service, withoutDoubles(entries)]));
}

function withoutDoubles(entries: readonly RosterEntry[]): RosterEntry[] {
  const byOrigin = new Map<string, RosterEntry>();
  const ids = new Set<string>();
  for (const entry of entries) {
    if (byOrigin.has(entry.origin)) continue;
    const id = ids.has(entry.id) ? `${entry.id}@${entry.source}` : entry.id;
    ids.add(id);
    byOrigin.set(entry.origin, id === entry.id ? entry : { ...entry, id });
  }
  return [...byOrigin.values()];
}
