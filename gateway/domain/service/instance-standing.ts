import type { InstanceState } from '../instance.ts';
import type { LivingInstance } from './living-instance.ts';
import { excusedUntilMs } from './wellness.ts';

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

const IN_ROTATION: Standing = { state: 'in-rotation', why: null, untilMs: undefined };

const ELIGIBLE: ReadonlySet<InstanceState> = new Set(['in-rotation', 'slow-start', 'busy-unchecked', 'probation']);

/** True in the states in which an instance may be given work. */
export function isEligibleIn(state: InstanceState): boolean {
  return ELIGIBLE.has(state);
}

/** The standing of an instance. What weighs more stands first: what people ordered, then failures, then checks. */
export function standingOf(instance: LivingInstance, standard: Standard): Standing {
  return (
    ordered(instance) ??
    ejected(instance) ??
    unwell(instance, standard) ??
    onTrial(instance) ??
    startingSlowly(instance) ??
    IN_ROTATION
  );
}

function ordered({ isLeaving, order, entry }: LivingInstance): Standing | undefined {
  if (isLeaving) return { state: 'draining', why: 'it left the roster', untilMs: undefined };
  if (order === 'ejected') return { state: 'ejected', why: 'by hand', untilMs: undefined };
  if (order === 'draining') return { state: 'draining', why: 'by hand', untilMs: undefined };
  if (entry.health !== 'maintenance') return undefined;
  return { state: 'draining', why: entry.healthNote ?? 'maintenance', untilMs: undefined };
}

function ejected({ outlier: { state } }: LivingInstance): Standing | undefined {
  return state.kind === 'ejected' ? { state: 'ejected', why: state.reason, untilMs: state.untilMs } : undefined;
}

function unwell(instance: LivingInstance, { nowMs, hangMsMax }: Standard): Standing | undefined {
  const failed = [instance.rosterSays, instance.checksSay].filter(({ isWell }) => !isWell);
  const [first] = failed;
  if (first === undefined) return undefined;
  const evidence = { nowMs, isBusy: instance.inFlight > 0, lastGoodMs: instance.lastGoodMs, hangMsMax };
  const untilMs = Math.min(...failed.map(wellness => excusedUntilMs(wellness, evidence) ?? -Infinity));
  return untilMs > nowMs
    ? { state: 'busy-unchecked', why: first.note, untilMs }
    : { state: 'unhealthy', why: first.note, untilMs: undefined };
}

function onTrial({ outlier: { state } }: LivingInstance): Standing | undefined {
  return state.kind === 'probation'
    ? { state: 'probation', why: 'one request at a time', untilMs: undefined }
    : undefined;
}

function startingSlowly({ slowFromMs, slowForMs }: LivingInstance): Standing | undefined {
  if (slowFromMs === undefined) return undefined;
  return { state: 'slow-start', why: null, untilMs: slowFromMs + slowForMs };
}
