import type { Finding } from '../service.ts';
import type { OutlierPolicy } from './service-policy.ts';

/**
 * Whether an instance's failures stand out.
 *
 *   in rotation  ── enough failures, a refusal, a hang and a check that fails, errors that its peers do not give ──→  ejected
 *   ejected      ── its time is over, or a check passes ──→  probation
 *   probation    ── one good answer, which an error is not where it was ejected for errors ──→  in rotation
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
  readonly callers: ActiveCallers;
  readonly nowMs: number;
}

const IN_ROTATION: OutlierState = { kind: 'in-rotation' };
const PROBATION: OutlierState = { kind: 'probation' };

/** R answers, but wrongly: a check that it answers shows nothing new. */
const WRONG_ANSWERS: ReadonlySet<string> = new Set(['fault', 'status']);

/** Keeps of one instance what its ejection depends on. */
export class Outlier {
  state = IN_ROTATION;
  /** At most `policy.failures`: the last in a row, each of another request. */
  #failures: Finding[] = [];
  #isForErrors = false;
  /** How often it was ejected; fades while it is well. */
  #times = 0;
  #wellSinceMs = 0;

  judge(finding: Finding, circumstances: Circumstances): OutlierVerdict {
    if (isNoWord(finding)) return 'nothing';
    if (finding.outcome === 'ok') return this.#judgeAnswer(finding, circumstances);
    if (this.state.kind === 'ejected') return 'nothing'; // what was sent before says nothing new
    if (this.state.kind === 'probation') return 'eject';
    return this.#standsOut(finding, circumstances) ? 'eject' : 'nothing';
  }

  /** How long it is out. */
  eject({ reason, isForErrors = false }: Ejection, policy: OutlierPolicy, nowMs: number): number {
    if (this.state.kind === 'in-rotation') {
      this.#times = Math.max(0, this.#times - Math.floor((nowMs - this.#wellSinceMs) / policy.ejectForMs));
    }
    this.#times += 1;
    const forMs = Math.min(policy.ejectForMs * this.#times, Math.max(policy.ejectForMs, policy.ejectForMsMax));
    this.state = { kind: 'ejected', untilMs: nowMs + forMs, reason };
    this.#failures = [];
    this.#isForErrors = isForErrors;
    return forMs;
  }

  tryOut(): void {
    this.state = PROBATION;
  }

  readmit(nowMs: number): void {
    this.state = IN_ROTATION;
    this.#failures = [];
    this.#wellSinceMs = nowMs;
  }

  /** True when an instance that answers a check shows that the reason for its ejection is gone. */
  get canBeDisproved(): boolean {
    return this.state.kind === 'ejected' && !this.#isForErrors && !WRONG_ANSWERS.has(this.state.reason);
  }

  /** One that was ejected for errors is not readmitted by another; but two callers must have seen that. */
  #judgeAnswer(finding: Finding, { callers, nowMs }: Circumstances): OutlierVerdict {
    if (this.state.kind !== 'probation' || !this.#isForErrors || !isError(finding)) {
      if (this.#failures.length > 0) this.#failures = [];
      return this.state.kind === 'probation' ? 'readmit' : 'nothing';
    }
    const isOfSeveral = this.#failures.some(({ callerId }) => callerId !== finding.callerId);
    if (isOfSeveral || callers.isSole(finding.callerId, nowMs)) return 'eject';
    this.#failures = [finding];
    return 'nothing';
  }

  #standsOut(finding: Finding, { policy, callers, nowMs }: Circumstances): boolean {
    if (finding.outcome === 'refused') return true;
    if (this.#failures.some(({ request }) => request === finding.request)) return false;
    this.#failures.push(finding);
    if (this.#failures.length > policy.failures) this.#failures = this.#failures.slice(-policy.failures);
    if (this.#failures.length < policy.failures) return false;
    // One request is all that one caller needs to break an instance again and again: the others must have seen it, too.
    const isOfSeveral = this.#failures.some(({ callerId }) => callerId !== finding.callerId);
    return isOfSeveral || callers.isSole(finding.callerId, nowMs);
  }
}

/** Why an instance is ejected. */
export interface Ejection {
  readonly reason: string;
  /** It answers, but with errors. */
  readonly isForErrors?: boolean;
}

/** R answered with an error, whether the caller's or its own. */
export function isError({ status }: Finding): boolean {
  return status !== null && status >= 400;
}

/**
 * The gateway gave up; or a certificate did not verify, which is configuration; or a call took too long, which one caller
 * can bring about: only with a check that fails it speaks against the instance.
 */
function isNoWord({ outcome }: Finding): boolean {
  return outcome === 'abandoned' || outcome === 'untrusted' || outcome === 'hung';
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

/** How long a caller counts as active after a request. */
export const ACTIVE_FOR_MS = 60_000;

/**
 * Knows of any caller whether another has been active lately, in the memory of two: of the last caller and the last other
 * one, one at least is not the one that is asked about.
 */
export class ActiveCallers {
  #last = '';
  #lastMs = -Infinity;
  #otherMs = -Infinity;

  note(callerId: string, nowMs: number): void {
    if (callerId !== this.#last) {
      this.#otherMs = this.#lastMs;
      this.#last = callerId;
    }
    this.#lastMs = nowMs;
  }

  /** True while no other caller is known to have called lately. */
  isSole(callerId: string, nowMs: number): boolean {
    const seenMs = this.#last === callerId ? this.#otherMs : this.#lastMs;
    return nowMs - seenMs > ACTIVE_FOR_MS;
  }
}
