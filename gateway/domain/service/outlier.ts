import type { Finding, OutlierPolicy, OutlierShare } from '../service.ts';

/**
 * Whether an instance's failures stand out.
 *
 *   in rotation  ── enough failures, a refusal, a hang and a check that fails, errors that its peers do not give ──→  ejected
 *   ejected      ── its time is over, or a check passes ──→  probation
 *   probation    ── one good answer, which an error is not where it was ejected for errors ──→  in rotation
 *   probation    ── one failure ──→  ejected, for longer
 */
type OutlierState =
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

/** Fewer answers of peers are nothing to compare with. */
const PEERS_CALLS_MIN = 3;

/** A share of errors stands out only where it is so much larger than the peers'; of many calls a trifle is significant. */
const EXCESS_MIN = 0.1;

/** An instance without peers is shown to operators from this share of errors on. */
const SHOWN_MIN = 0.5;

/** Between two looks an instance makes so many times as many errors: each look is one more chance to be wrong. */
const LOOKS_APART = 1.25;

/** Callers are told apart up to so many a route; the others count as one. */
const CALLERS_MAX = 32;
const OTHERS = '';

/** Answers of R's own, and how many of them were errors. */
interface Counts {
  calls: number;
  errors: number;
}

type CountsByCaller = Map<string, Counts>;

/** What an instance answered lately: by route and caller, in a window that moves by halves. */
export class AnswerCounts {
  #halfWindow = -1;
  #now = new Map<string, CountsByCaller>();
  #before = new Map<string, CountsByCaller>();
  /** In the present half of the window. */
  looks = 0;
  #errorsAtLook = 0;
  #errors = 0;
  #calls = 0;
  #callsBefore = 0;

  /** `halfWindow` numbers the halves. */
  note(
    answer: { readonly routeId: string; readonly callerId: string; readonly isError: boolean },
    halfWindow: number,
  ): void {
    this.#rotateTo(halfWindow);
    const byCaller = this.#now.get(answer.routeId) ?? new Map<string, Counts>();
    if (byCaller.size === 0) this.#now.set(answer.routeId, byCaller);
    const key = byCaller.has(answer.callerId) || byCaller.size < CALLERS_MAX ? answer.callerId : OTHERS;
    let counts = byCaller.get(key);
    if (counts === undefined) byCaller.set(key, (counts = { calls: 0, errors: 0 }));
    counts.calls += 1;
    this.#calls += 1;
    if (!answer.isError) return;
    counts.errors += 1;
    this.#errors += 1;
  }

  /** True when it has answered enough calls, and made enough errors since the last look. */
  isTimeToLook(callsMin: number): boolean {
    if (this.#calls + this.#callsBefore < callsMin || this.#errors <= this.#errorsAtLook * LOOKS_APART) return false;
    this.#errorsAtLook = this.#errors;
    this.looks += 1;
    return true;
  }

  /** By route, those of one caller left out. */
  byRoute(halfWindow: number, but?: string): ReadonlyMap<string, Counts> {
    this.#rotateTo(halfWindow);
    const routes = new Map<string, Counts>();
    for (const [routeId, byCaller] of [...this.#before, ...this.#now]) {
      const sum = routes.get(routeId) ?? { calls: 0, errors: 0 };
      routes.set(routeId, sum);
      for (const [callerId, counts] of byCaller) if (callerId !== but) addTo(sum, counts);
    }
    return routes;
  }

  /** The caller that met most of its errors; undefined: they cannot be told apart. */
  mostErring(): string | undefined {
    const errors = new Map<string, number>();
    for (const byCaller of [...this.#before.values(), ...this.#now.values()]) {
      for (const [callerId, counts] of byCaller) errors.set(callerId, (errors.get(callerId) ?? 0) + counts.errors);
    }
    errors.delete(OTHERS);
    let most: string | undefined;
    for (const [callerId, count] of errors) if (count > (errors.get(most ?? OTHERS) ?? 0)) most = callerId;
    return most;
  }

  #rotateTo(halfWindow: number): void {
    if (halfWindow === this.#halfWindow) return;
    const isNext = halfWindow === this.#halfWindow + 1;
    this.#before = isNext ? this.#now : new Map<string, CountsByCaller>();
    this.#callsBefore = isNext ? this.#calls : 0;
    this.#calls = 0;
    this.#now = new Map<string, CountsByCaller>();
    this.#halfWindow = halfWindow;
    this.looks = 0;
    this.#errors = 0;
    this.#errorsAtLook = 0;
  }
}

/** What the comparison of an instance with its peers comes to. */
export type Comparison =
  /** Its share of errors stands out. */
  | { readonly kind: 'stands-out'; readonly reason: string }
  /** It answers mostly errors, and there is nothing to compare it with. */
  | { readonly kind: 'alone'; readonly reason: string }
  | { readonly kind: 'alike' };

interface Compared {
  readonly own: AnswerCounts;
  readonly peers: readonly AnswerCounts[];
  readonly policy: OutlierShare;
  readonly halfWindow: number;
  /** True where no other caller has called the service lately. */
  readonly isSole: (callerId: string) => boolean;
}

const ALIKE: Comparison = { kind: 'alike' };

/**
 * Whether an instance answers with more errors than its peers do on the same routes. What all of them answer so is the
 * caller's or the model's.
 *
 * The test is Mantel and Haenszel's, of two proportions over several routes. Its confidence holds for all instances and
 * looks together. It must hold without the caller that met most errors, too: one alone cannot take an instance away.
 */
export function compareErrors(compared: Compared): Comparison {
  const { own, policy, isSole } = compared;
  const all = sumOf(compared);
  if (all.ownAnywhere.calls < policy.callsMin) return ALIKE;
  if (all.peers.calls < PEERS_CALLS_MIN) return alone(all.ownAnywhere);
  if (all.own.calls < policy.callsMin || shareOf(all.own) - shareOf(all.peers) < EXCESS_MIN) return ALIKE;
  const looks = own.looks * (own.looks + 1); // 1/2 + 1/6 + 1/12 + … is 1
  const doubt = 1 - policy.confidence;
  if (chanceOf(all) > doubt / (looks * (compared.peers.length + 1))) return ALIKE;
  const caller = own.mostErring();
  if (caller !== undefined && !isSole(caller) && chanceOf(sumOf(compared, caller)) > doubt) return ALIKE;
  const { own: here, peers } = all;
  return { kind: 'stands-out', reason: `${errorsOf(here)} against ${peers.errors} of ${peers.calls} of its peers` };
}

function alone(counts: Counts): Comparison {
  if (shareOf(counts) < SHOWN_MIN) return ALIKE;
  return { kind: 'alone', reason: `${errorsOf(counts)}, and no peer to compare it with` };
}

function errorsOf({ errors, calls }: Counts): string {
  return `errors: ${errors} of ${calls}`;
}

/** What is compared, over the routes on which both have answered. */
interface Statistics {
  readonly own: Counts;
  readonly peers: Counts;
  /** On whichever route. */
  readonly ownAnywhere: Counts;
  /** By how much the instance's errors exceed what its peers' would be, and the variance of that. */
  excess: number;
  variance: number;
}

function sumOf({ own, peers, halfWindow }: Compared, but?: string): Statistics {
  const statistics: Statistics = {
    ...{ own: { calls: 0, errors: 0 }, peers: { calls: 0, errors: 0 }, ownAnywhere: { calls: 0, errors: 0 } },
    ...{ excess: 0, variance: 0 },
  };
  const peersByRoute = peers.map(each => each.byRoute(halfWindow, but));
  for (const [routeId, here] of own.byRoute(halfWindow, but)) {
    addTo(statistics.ownAnywhere, here);
    const there = { calls: 0, errors: 0 };
    for (const byRoute of peersByRoute) addTo(there, byRoute.get(routeId) ?? NO_COUNTS);
    if (here.calls === 0 || there.calls === 0) continue;
    addTo(statistics.own, here);
    addTo(statistics.peers, there);
    const calls = here.calls + there.calls;
    const errors = here.errors + there.errors;
    statistics.excess += here.errors - (here.calls * errors) / calls;
    statistics.variance += (here.calls * there.calls * errors * (calls - errors)) / (calls ** 2 * (calls - 1));
  }
  return statistics;
}

const NO_COUNTS: Counts = { calls: 0, errors: 0 };

function addTo(sum: Counts, { calls, errors }: Counts): void {
  sum.calls += calls;
  sum.errors += errors;
}

function shareOf({ calls, errors }: Counts): number {
  return calls === 0 ? 0 : errors / calls;
}

/** How likely chance alone makes so large an excess, corrected for counts being whole numbers. */
function chanceOf({ excess, variance }: Statistics): number {
  if (variance === 0) return 1;
  return upperTail(Math.max(0, excess - 0.5) / Math.sqrt(variance));
}

/** The chance that a normal deviate is above `z`, which is not negative (Abramowitz and Stegun 26.2.17). */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const factors = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const sum = factors.reduceRight((rest, factor) => (rest + factor) * t, 0);
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}
