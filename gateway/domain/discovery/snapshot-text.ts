import type { Health, RosterEntry, SourceName } from '../roster.ts';
import { isRecord, recordOf } from '../unknown-value.ts';

/** A roster as it is kept on disk. */
export interface Snapshot {
  readonly services: ReadonlyMap<string, readonly RosterEntry[]>;
  /** Wall clock when the source last answered; milliseconds since 1970. */
  readonly updatedMs: number;
}

/** Which source told it. A snapshot of another source is none. */
export type SnapshotOrigin = Readonly<Record<string, string>>;

const VERSION = 1;
const HEALTHS: ReadonlySet<unknown> = new Set<Health>(['passing', 'warning', 'critical', 'maintenance']);
const SOURCES: ReadonlySet<unknown> = new Set<SourceName>(['consul', 'local', 'static']);

/** The snapshot as text. */
export function formatSnapshot({ services, updatedMs }: Snapshot, from: SnapshotOrigin): string {
  const document = {
    version: VERSION,
    from,
    heardAt: new Date(updatedMs).toISOString(),
    services: Object.fromEntries(services),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The snapshot in a text, or why there is none: half a snapshot is not used. */
export function parseSnapshot(text: string, from: SnapshotOrigin): Snapshot | { readonly problem: string } {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { problem: 'it is no JSON' }; // The parser's own words would quote the file.
  }
  const { version, from: written, heardAt: updatedAt, services } = recordOf(document);
  if (version !== VERSION) return { problem: `it is not of version ${VERSION}` };
  if (!isSame(recordOf(written), from)) return { problem: 'it was written for another address, datacenter or tag' };
  const updatedMs = typeof updatedAt === 'string' ? Date.parse(updatedAt) : NaN;
  if (Number.isNaN(updatedMs) || !isRecord(services)) return { problem: 'it is incomplete' };

  const read = new Map<string, readonly RosterEntry[]>();
  for (const [service, entries] of Object.entries(services)) {
    if (!Array.isArray(entries) || !entries.every(isEntry))
      return { problem: `its entries of '${service}' are broken` };
    read.set(
      service,
      entries.map(entry => ({ ...entry, concurrency: entry.concurrency })), // JSON leaves undefined out
    );
  }
  return { services: read, updatedMs };
}

function isSame(a: Record<string, unknown>, b: SnapshotOrigin): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every(key => a[key] === b[key]);
}

function isEntry(value: unknown): value is RosterEntry {
  const entry = recordOf(value);
  return (
    ['id', 'origin'].every(key => typeof entry[key] === 'string' && entry[key] !== '') &&
    isOrigin(entry['origin']) &&
    ['healthNote', 'version', 'model'].every(key => entry[key] === null || typeof entry[key] === 'string') &&
    isPositive(entry['weight']) &&
    (entry['concurrency'] === undefined || isPositive(entry['concurrency'])) &&
    HEALTHS.has(entry['health']) &&
    SOURCES.has(entry['source'])
  );
}

function isOrigin(value: unknown): boolean {
  return typeof value === 'string' && /^(?:https?|rserves?|grpcs?):\/\//.test(value) && URL.canParse(value);
}

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
