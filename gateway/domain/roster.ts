/** What a source knows of an instance's health. 'maintenance' drains it; 'critical' takes it out. */
export type Health = 'passing' | 'warning' | 'critical' | 'maintenance';

/** Where instances are known from. */
export type SourceName = 'consul' | 'local' | 'static';

/** One instance, as a source lists it. */
export interface RosterEntry {
  /** Unique within its service and source. */
  readonly id: string;
  /** Scheme, host and port: `http://127.0.0.1:9101`; of a script `script:NAME`, of an ONNX model `onnx:NAME`. */
  readonly origin: string;
  readonly source: SourceName;
  readonly weight: number;
  readonly health: Health;
  /** Why it is not passing, in the source's words; null while it is. */
  readonly healthNote: string | null;
  readonly version: string | null;
  readonly model: string | null;
  /** Overrides the service's `concurrency`. */
  readonly concurrency: number | undefined;
}

/** The instances a source lists now, by service. */
export interface Roster {
  readonly source: SourceName;
  readonly services: ReadonlyMap<string, readonly RosterEntry[]>;
  /** Wall clock when the source last answered; milliseconds since 1970. */
  readonly updatedMs: number;
}

/** What an operator sees of a source's roster. */
export interface RosterAge {
  readonly source: SourceName;
  readonly ageSeconds: number;
  readonly isStale: boolean;
  /** False until the source has reported its services for the first time. */
  readonly isKnown: boolean;
}

/** A source of rosters, as the gateway uses it. */
export interface RosterSource {
  readonly name: SourceName;
  /** Which services' instances are wanted from now on. */
  follow(services: ReadonlySet<string>): void;
  age(): RosterAge;
  /** Stops watching; `local` also ends what it started, gently. */
  close(): Promise<void>;
}

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

/** What a source said of one service just now. */
export interface Listing {
  readonly entries: readonly RosterEntry[];
  /** Entries of which nothing is known yet, whatever health stands beside them. */
  readonly unproven: ReadonlySet<string>;
  /** The source was away since it last answered, or its memory went back in time. */
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
  /** Instances that were known before and have not been listed since. */
  readonly missing: ReadonlySet<string>;
}

/**
 * What to believe after the source spoke. It is taken at its word, except where it comes back from an outage, or with a
 * memory older than it had, and lists no instance: then those known before stand for `holdMs`, or until they are listed
 * again. An instance that is listed again and then leaves has left.
 */
export function believe(held: Belief | undefined, listing: Listing, time: { nowMs: number; holdMs: number }): Belief {
  if (held === undefined || held.entries.length === 0) return { entries: listing.entries, doubt: null };
  const doubt = doubtAbout(held, listing, time);
  if (doubt === null) return { entries: listing.entries, doubt };

  const known = new Map(held.entries.map(entry => [entry.id, entry]));
  const returned = listing.entries.map(entry => {
    const before = doubt.missing.has(entry.id) ? known.get(entry.id) : undefined;
    if (before?.origin !== entry.origin) return entry;
    return { ...entry, health: before.health, healthNote: before.healthNote };
  });
  const present = new Set(listing.entries.flatMap(entry => [entry.id, entry.origin]));
  const kept = held.entries.filter(
    entry => doubt.missing.has(entry.id) && !present.has(entry.id) && !present.has(entry.origin),
  );
  return { entries: [...returned, ...kept], doubt };
}

function doubtAbout(held: Belief, listing: Listing, time: { nowMs: number; holdMs: number }): Doubt | null {
  const proven = new Set(listing.entries.filter(entry => !listing.unproven.has(entry.id)).map(entry => entry.id));
  const isDoubtful = listing.isSuspect && proven.size === 0;
  if (isDoubtful) return { untilMs: time.nowMs + time.holdMs, missing: new Set(held.entries.map(entry => entry.id)) };
  if (held.doubt === null || time.nowMs >= held.doubt.untilMs) return null;

  const missing = new Set([...held.doubt.missing].filter(id => !proven.has(id)));
  return missing.size === 0 ? null : { untilMs: held.doubt.untilMs, missing };
}
