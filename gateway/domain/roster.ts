/** What a source knows of an instance's health. 'maintenance' drains it; 'critical' takes it out. */
export type Health = 'passing' | 'warning' | 'critical' | 'maintenance';

/** Where instances are known from. */
export type SourceName = 'consul' | 'local' | 'static';

/** One instance, as a source lists it. */
export interface RosterEntry {
  /** Unique within its service and source. */
  readonly id: string;
  /** Scheme, host and port: `http://127.0.0.1:9101`; of a script `script:NAME`. */
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
  /** Wall clock when the source was last heard; milliseconds since 1970. */
  readonly heardMs: number;
}

/** What an operator is told of a source's roster. */
export interface RosterAge {
  readonly source: SourceName;
  readonly ageSeconds: number;
  readonly isStale: boolean;
  /** False until the source has told of its services for the first time. */
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
