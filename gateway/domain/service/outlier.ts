import type { Finding } from '../service.ts';
import type { OutlierPolicy } from './service-policy.ts';

/**
 * Whether an instance's failures stand out.
 *
 *   in rotation  ── enough failures, a refusal, a hang ──→  ejected
 *   ejected      ── its time is over, or a check passes ──→  probation
 *   probation    ── one good answer ──→  in rotation
 *   probation    ── one failure ──→  ejected, for longer
 */
export type OutlierState =
  | { readonly kind: 'in-rotation' }
  | { readonly kind: 'ejected'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'probation' };

/** What a finding calls for. The service decides whether it can afford it. */
export type OutlierVerdict = 'eject' | 'readmit' | 'nothing';

/** What a finding is judged by. */
interface Circumstances {
  readonly policy: OutlierPolicy;
  /** False where somebody else has been calling the service lately, too. */
  readonly isSoleCaller: (callerId: string) => boolean;
}

/** Remembers of one instance what its ejection depends on. */
export interface Outlier {
  readonly state: OutlierState;
  judge(finding: Finding, circumstances: Circumstances): OutlierVerdict;
  /** How long it is out. */
  eject(reason: string, policy: OutlierPolicy, nowMs: number): number;
  tryOut(): void;
  readmit(nowMs: number): void;
  /** True when an instance that answers a check shows that the reason for its ejection is gone. */
  canBeDisproved(): boolean;
}

const IN_ROTATION: OutlierState = { kind: 'in-rotation' };
const PROBATION: OutlierState = { kind: 'probation' };

/** R answers, but wrongly: a check that it answers shows nothing new. */
const WRONG_ANSWERS: ReadonlySet<string> = new Set(['fault', 'status']);

/** An instance that has not failed yet. */
export function createOutlier(): Outlier {
  let state = IN_ROTATION;
  let failures: Finding[] = []; // at most `policy.failures`: the last in a row, each of another request
  let times = 0; // how often it was ejected; fades while it is well
  let wellSinceMs = 0;

  const fails = (finding: Finding, { policy, isSoleCaller }: Circumstances): boolean => {
    if (finding.outcome === 'refused' || finding.outcome === 'hung') return true;
    if (failures.some(({ request }) => request === finding.request)) return false;
    failures.push(finding);
    if (failures.length > policy.failures) failures = failures.slice(-policy.failures);
    if (failures.length < policy.failures) return false;
    // One request is all that one caller needs to break an instance again and again: the others must have seen it, too.
    return failures.some(({ callerId }) => callerId !== finding.callerId) || isSoleCaller(finding.callerId);
  };

  return {
    get state() {
      return state;
    },
    judge(finding, circumstances) {
      if (finding.outcome === 'abandoned') return 'nothing';
      if (finding.outcome === 'ok') {
        failures = [];
        return state.kind === 'probation' ? 'readmit' : 'nothing';
      }
      if (state.kind === 'ejected') return 'nothing'; // what was sent before says nothing new
      if (state.kind === 'probation') return 'eject';
      return fails(finding, circumstances) ? 'eject' : 'nothing';
    },
    eject(reason, policy, nowMs) {
      if (state.kind === 'in-rotation') {
        times = Math.max(0, times - Math.floor((nowMs - wellSinceMs) / policy.ejectForMs));
      }
      times += 1;
      const forMs = Math.min(policy.ejectForMs * times, Math.max(policy.ejectForMs, policy.ejectForMsMax));
      state = { kind: 'ejected', untilMs: nowMs + forMs, reason };
      failures = [];
      return forMs;
    },
    tryOut() {
      state = PROBATION;
    },
    readmit(nowMs) {
      state = IN_ROTATION;
      failures = [];
      wellSinceMs = nowMs;
    },
    canBeDisproved: () => state.kind === 'ejected' && !WRONG_ANSWERS.has(state.reason),
  };
}

/** How an ejection would leave the service. */
interface Bounds {
  readonly policy: OutlierPolicy;
  /** Listed and not leaving. */
  readonly instances: number;
  readonly ejected: number;
  /** In rotation, the one in question not counted. */
  readonly othersInRotation: number;
}

/** Whether the service can do without one more: `percentMax`, at least one instance, and never fewer than `keepMin` left. */
export function canEject({ policy, instances, ejected, othersInRotation }: Bounds): boolean {
  const ejectedMax = Math.max(1, Math.floor((instances * policy.percentMax) / 100));
  return ejected < ejectedMax && othersInRotation >= policy.keepMin;
}
