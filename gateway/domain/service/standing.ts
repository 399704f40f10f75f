import type { InstanceState } from '../instance.ts';
import type { ServiceInstance, Wellness } from './service-instance.ts';

/** Where an instance stands, why, and when that may change by itself. */
export interface Standing {
  readonly state: InstanceState;
  readonly why: string | null;
  /** When the state ends by itself. */
  readonly untilMs: number | undefined;
}

/** What an instance's standing follows from, besides itself. */
interface Standard {
  readonly nowMs: number;
  readonly hangMsMax: number;
}

/** The standing of an instance. What weighs more stands first: what operators ordered, then failures, then checks. */
export function standingOf(instance: ServiceInstance, standard: Standard): Standing {
  return (
    ordered(instance) ??
    ejected(instance) ??
    unwell(instance, standard) ??
    onProbation(instance) ??
    startingSlowly(instance, standard) ?? {
      state: 'in-rotation',
      why: remarkOf(instance, standard),
      untilMs: undefined,
    }
  );
}

function ordered({ isLeaving, order, entry }: ServiceInstance): Standing | undefined {
  if (isLeaving) return { state: 'draining', why: 'it left the roster', untilMs: undefined };
  if (order === 'ejected') return { state: 'ejected', why: 'by hand', untilMs: undefined };
  if (order === 'draining') return { state: 'draining', why: 'by hand', untilMs: undefined };
  if (entry.health !== 'maintenance') return undefined;
  return { state: 'draining', why: entry.healthNote ?? 'maintenance', untilMs: undefined };
}

function ejected({ outlier: { state } }: ServiceInstance): Standing | undefined {
  return state.kind === 'ejected' ? { state: 'ejected', why: state.reason, untilMs: state.untilMs } : undefined;
}

function unwell(instance: ServiceInstance, { nowMs, hangMsMax }: Standard): Standing | undefined {
  const failed = [instance.rosterSays, instance.checksSay].filter(({ isWell }) => !isWell);
  const [first] = failed;
  if (first === undefined) return undefined;
  const evidence = { nowMs, isBusy: instance.inFlight > 0, lastGoodMs: instance.lastGoodMs, hangMsMax };
  const untilMs = Math.min(...failed.map(wellness => excusedUntilMs(wellness, evidence) ?? -Infinity));
  return untilMs > nowMs
    ? { state: 'busy-unchecked', why: first.note, untilMs }
    : { state: 'unhealthy', why: first.note, untilMs: undefined };
}

function onProbation({ outlier: { state } }: ServiceInstance): Standing | undefined {
  return state.kind === 'probation'
    ? { state: 'probation', why: 'one request at a time', untilMs: undefined }
    : undefined;
}

function startingSlowly(instance: ServiceInstance, standard: Standard): Standing | undefined {
  const { slowFromMs, slowForMs } = instance;
  if (slowFromMs === undefined) return undefined;
  return { state: 'slow-start', why: remarkOf(instance, standard), untilMs: slowFromMs + slowForMs };
}

/** What should be known of an instance though it is in rotation. */
function remarkOf({ isUntrusted, remark }: ServiceInstance, { nowMs }: Standard): string | null {
  if (isUntrusted) return 'untrusted: its certificate does not verify';
  return remark !== undefined && remark.untilMs > nowMs ? remark.text : null;
}

/** An answer of its own proves for so long that an instance is well, whatever a check says that failed under work. */
const PROOF_FOR_MS = 10_000;

/** What speaks for an instance of which a check says that it is not well. */
interface Evidence {
  readonly nowMs: number;
  readonly isBusy: boolean;
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
function excusedUntilMs(wellness: Wellness, evidence: Evidence): number | undefined {
  if (!wellness.wasBusy) return undefined;
  const atMostMs = Math.max(wellness.sinceMs, evidence.lastGoodMs) + evidence.hangMsMax;
  const hasProved = evidence.lastGoodMs >= wellness.sinceMs;
  const proofMs = evidence.isBusy ? Infinity : hasProved ? evidence.lastGoodMs + PROOF_FOR_MS : 0;
  const untilMs = Math.min(atMostMs, proofMs);
  return untilMs > evidence.nowMs ? untilMs : undefined;
}
