import type { Instance, InstanceState } from '../service.ts';
import { AnswerCounts, Outlier } from './outlier.ts';
import type { Address, Listing } from './permits.ts';
import type { RosterEntry } from '../roster.ts';

/** While an instance starts slowly it counts for this share at least: work is what warms it up. */
const SHARE_MIN = 0.1;

/** In how many steps it grows: a policy may sort by weight, and there should be few different ones. */
const SHARE_STEPS = 100;

/** The time as the service last looked at it: one look serves a whole pick. */
export interface Moment {
  nowMs: number;
}

/** What is shown of an instance until its time is over. */
interface Remark {
  readonly text: string;
  readonly untilMs: number;
}

/** A permit as its instance knows it. */
export interface AheadPermit {
  sinceMs: number;
}

/** A permit that was kept back. */
export interface HungPermit {
  giveBack(): void;
}

/** An order given by hand; it holds until the instance is readmitted by hand. */
export type StandingOrder = 'none' | 'ejected' | 'draining';

interface Circumstances {
  readonly address: Address;
  readonly moment: Moment;
  /** Had the same name at another address: what was learned belongs to the name, its permits to the address. */
  readonly predecessor: ServiceInstance | undefined;
}

/** An instance as its service keeps it: everything learned of it, and what it has in hand. */
export class ServiceInstance implements Instance {
  readonly address: Address;
  readonly outlier: Outlier;
  readonly latency: Latency;
  readonly answers = new AnswerCounts();
  readonly #moment: Moment;
  entry: RosterEntry;
  listing: Listing | undefined = undefined;

  /** As last assessed; `isEligible` and `isOnProbation` follow from it. */
  state: InstanceState = 'in-rotation';
  isEligible = false;
  isOnProbation = false;
  /** Kept by the rotation: it counts among the eligible; and, while a policy may choose it, as whose it is chosen. */
  isInRotation = false;
  freeAs: 'own' | 'others' | undefined = undefined;
  /** The gateway it prefers, of several before the same instances; null where there are none, or it is ours alone. */
  preferredBy: string | null = null;
  /** Ours to use first. Others' are used when all our own are taken. */
  isOwn = true;
  /** It came into or out of rotation with the last change of its work in hand, and nothing was done about it yet. */
  hasTurned = false;

  order: StandingOrder;
  isLeaving = false;
  rosterSays: Wellness = WELL;
  checksSay: Wellness = WELL;
  lastGoodMs = -Infinity;
  slowFromMs: number | undefined = undefined;
  slowForMs = 0;
  cancelReview: (() => void) | undefined = undefined;
  withheldUntilMs = -Infinity;

  /** Of this service alone; `inFlight` is the address's. */
  inHand = 0;
  streams = 0;
  abandoned = 0;
  requests = 0;
  failures = 0;
  lastFailedRequest: object | undefined = undefined;

  /** Where it works on one call at a time: that call, and the one sent ahead of its end; and what calls off the next. */
  present: AheadPermit | undefined = undefined;
  ahead: AheadPermit | undefined = undefined;
  cancelAhead: (() => void) | undefined = undefined;

  /** Permits of calls that did not end within `hangMax`: they stay out until a check or an answer shows R at work. */
  readonly hung = new Set<HungPermit>();
  /** Its certificate did not verify when a call was last sent. */
  isUntrusted = false;
  /** What operators should know of it though it is in rotation. */
  remark: Remark | undefined = undefined;

  constructor(entry: RosterEntry, { address, moment, predecessor }: Circumstances) {
    this.entry = entry;
    this.address = address;
    this.#moment = moment;
    this.outlier = predecessor?.outlier ?? new Outlier();
    this.latency = predecessor?.latency ?? new Latency();
    this.order = predecessor?.order ?? 'none';
  }

  get id(): string {
    return this.entry.id;
  }

  get origin(): string {
    return this.address.origin;
  }

  get version(): string | null {
    return this.entry.version;
  }

  get inFlight(): number {
    return this.address.inUse;
  }

  get latencyMs(): number | undefined {
    return this.latency.averageMs(this.#moment.nowMs);
  }

  get weight(): number {
    if (this.slowFromMs === undefined) return this.entry.weight;
    const steps = Math.floor(((this.#moment.nowMs - this.slowFromMs) * SHARE_STEPS) / this.slowForMs);
    return this.entry.weight * Math.min(1, Math.max(SHARE_MIN, steps / SHARE_STEPS));
  }

  /** A service shares its moment with its own instances and no other's. */
  isOf(moment: Moment): boolean {
    return this.#moment === moment;
  }

  get hasRoom(): boolean {
    return this.address.inUse < (this.isOnProbation ? 1 : this.address.permits);
  }

  /** A check says it is not well: whether it is in rotation depends on what it has in hand. */
  get isDoubted(): boolean {
    return !this.rosterSays.isWell || !this.checksSay.isWell;
  }

  /** Among those a policy may choose from right now. */
  get isFree(): boolean {
    return this.freeAs !== undefined;
  }

  get isIdle(): boolean {
    return this.inHand === 0 && this.streams === 0;
  }
}

/** What names an instance within its service. */
export function keyOf({ source, id }: Pick<RosterEntry, 'source' | 'id'>): string {
  return `${source}:${id}`;
}

/** What one source of checks says of an instance: the roster's, or ours. */
export interface Wellness {
  readonly isWell: boolean;
  /** Why not, in the checker's words. */
  readonly note: string;
  readonly sinceMs: number;
  /** The check failed while work of ours was in hand: R computes, and cannot answer a check meanwhile. */
  readonly wasBusy: boolean;
}

/** What a check found. */
export interface CheckFinding {
  readonly isWell: boolean;
  readonly note: string;
}

/** Nothing is wrong. */
export const WELL: Wellness = { isWell: true, note: '', sinceMs: 0, wasBusy: false };

/** What a check found, and whether that is news. */
export function toWellness(known: Wellness, found: CheckFinding, at: CheckedAt): Wellness {
  if (found.isWell) return known.isWell ? known : WELL;
  if (!known.isWell) return { ...known, note: found.note };
  return { isWell: false, note: found.note, sinceMs: at.nowMs, wasBusy: at.isBusy };
}

interface CheckedAt {
  readonly nowMs: number;
  readonly isBusy: boolean;
}

/** An average older than this says nothing any more. */
const FRESH_FOR_MS = 10_000;

const NEWEST_SHARE = 0.2;

/** A moving average of how long answers take, in which each counts for a fifth. */
export class Latency {
  #averageMs: number | undefined = undefined;
  #notedMs = -Infinity;

  note(durationMs: number, nowMs: number): void {
    const knownMs = this.averageMs(nowMs);
    this.#averageMs = knownMs === undefined ? durationMs : knownMs + NEWEST_SHARE * (durationMs - knownMs);
    this.#notedMs = nowMs;
  }

  /** Undefined until one was noted, or when the last is long ago. */
  averageMs(nowMs: number): number | undefined {
    return nowMs - this.#notedMs <= FRESH_FOR_MS ? this.#averageMs : undefined;
  }
}
