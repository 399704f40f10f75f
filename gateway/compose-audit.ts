import type { GatewayConfig } from './config/gateway-config.ts';
import type { Clock } from './domain/clock.ts';
import type { Observe } from './domain/events.ts';
import type { ReloadOutcome } from './domain/operating/admin.ts';
import {
  AuditCheck,
  AuditReport,
  type AuditedChange,
  type AuditHead,
  type ReportKey,
  type ReportRow,
} from './domain/operating/audit.ts';
import { AuditLocked, hexDigest, linesOfTrail, openAuditTrail, type AuditTrail } from './edges/audit-file.ts';
import { systemClock } from './edges/clock.ts';
import type { Generation, Generations } from './reload.ts';
import type { AuditPort } from './stages/audit.ts';

/** Who asked for a change, and from where. */
export type ChangeOrigin = Pick<AuditedChange, 'by' | 'from'>;

/** The gateway's audit trail; without one in the configuration nothing is written, and all goes on as it would. */
export interface GatewayAudit {
  /** For calls; undefined: there is no trail. */
  readonly port: AuditPort | undefined;
  readonly changed: (change: Omit<AuditedChange, 'kind'>) => void;
  /** Reloads the routes, and writes down what that changed. */
  reload(generations: Generations, origin: ChangeOrigin & Pick<AuditedChange, 'what'>): Promise<ReloadOutcome>;
  /** Lines so far, by how they fared. */
  counts(): { readonly written: number; readonly lost: number };
  /** The lines from this number on, at most so many; undefined: there is no trail. */
  read(fromSeq: number, linesMax: number): Promise<readonly string[]> | undefined;
  /** Rejects where the trail cannot be written. */
  open(): Promise<void>;
  close(): Promise<void>;
}

interface AuditParts {
  readonly config: GatewayConfig;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Puts together the audit trail, its writer and its readers. It takes nothing before it is opened. */
export function composeAudit({ config: { audit }, clock, observe }: AuditParts): GatewayAudit {
  let trail: AuditTrail | undefined;
  const changed: GatewayAudit['changed'] = change => trail?.append({ kind: 'change', ...change });
  const port = audit && {
    get isTaking() {
      return trail?.isTaking ?? false;
    },
    isRequired: audit.required,
    append: (entry: Parameters<AuditPort['append']>[0]) => trail?.append(entry),
  };

  return {
    port,
    changed,
    async reload(generations, origin) {
      const before = generations.current();
      const outcome = await generations.reload();
      if (trail === undefined) return outcome;
      const isLoaded = outcome.kind === 'loaded';
      const after = isLoaded
        ? { generation: outcome.generation, ...differenceOf(before, generations.current()) }
        : null;
      changed({ ...origin, before: { generation: before.number }, after, outcome: isLoaded ? 'done' : 'refused' });
      return outcome;
    },
    counts: () => ({ written: trail?.written ?? 0, lost: trail?.lost ?? 0 }),
    read: (fromSeq, linesMax) => (audit === undefined ? undefined : readLines(audit.file, fromSeq, linesMax)),
    async open() {
      if (audit !== undefined) trail = await openAuditTrail(audit, { clock, observe });
    },
    async close() {
      await trail?.close();
    },
  };
}

/** Routes named in one line at most. */
const NAMED_MAX = 100;

/** Which routes are new, gone, or not as they were: one that is the same is kept. */
function differenceOf({ source: { routes: before } }: Generation, { source: { routes: after } }: Generation) {
  const gone = new Map(before.specs.map(spec => [spec.id, spec]));
  const added: string[] = [];
  const changed: string[] = [];
  for (const spec of after.specs) {
    const old = gone.get(spec.id);
    gone.delete(spec.id);
    if (old !== spec) (old === undefined ? added : changed).push(spec.id);
  }
  const [named, ofOld, removed] = [added, changed, [...gone.keys()]].map(ids => ids.slice(0, NAMED_MAX));
  return { added: named, removed, changed: ofOld };
}

async function readLines(file: string, fromSeq: number, linesMax: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOfTrail(file)) {
    if (Number(/^\{"seq":(\d+),/.exec(line)?.[1] ?? 0) < fromSeq) continue;
    lines.push(line);
    if (lines.length >= linesMax) break;
  }
  return lines;
}

/**
 * The trail, for a command that changes something; undefined while a gateway writes it, which then tells the change
 * itself; or why it cannot be written.
 */
export async function openTrail(audit: NonNullable<GatewayConfig['audit']>): Promise<AuditTrail | string | undefined> {
  try {
    return await openAuditTrail(audit, { clock: systemClock, observe: () => undefined });
  } catch (error) {
    if (error instanceof AuditLocked) return undefined;
    return error instanceof Error ? error.message : String(error);
  }
}

/** What following a trail from line to line found, and where the trail stands; undefined: no line is there. */
export async function verifyTrail(
  file: string,
  head: string | undefined,
): Promise<{ readonly check: AuditCheck; readonly end: AuditHead | undefined }> {
  const check = new AuditCheck(hexDigest, head);
  for await (const line of linesOfTrail(file)) check.next(line);
  return { check, end: check.end() };
}

/** The calls in a trail, counted. */
export async function countCalls(file: string, by: ReportKey): Promise<ReportRow[]> {
  const report = new AuditReport(by);
  for await (const line of linesOfTrail(file)) report.next(line);
  return report.rows();
}
