import type { Instance, InstanceState } from '../instance.ts';
import { createLatency, type Latency } from './latency.ts';
import { createOutlier, type Outlier } from './outlier.ts';
import type { Address, Claim } from './permits.ts';
import type { RosterEntry } from '../roster.ts';
import { WELL, type Wellness } from './wellness.ts';

/** While an instance starts slowly it counts for this share at least: work is what warms it up. */
const SHARE_MIN = 0.1;

/** In how many steps it grows: a policy may sort by weight, and there should be few different ones. */
const SHARE_STEPS = 100;

/** The time as the service last looked at it: one look serves a whole pick. */
export interface Moment {
  nowMs: number;
}

/** An order given by hand; it holds until the instance is readmitted by hand. */
export type StandingOrder = 'none' | 'ejected' | 'draining';

interface Circumstances {
  readonly address: Address;
  readonly moment: Moment;
  /** Had the same name at another address: what was learned belongs to the name, its permits to the address. */
  readonly predecessor: LivingInstance | undefined;
}

/** An instance as its service keeps it: everything learned of it, and what it has in hand. */
export class LivingInstance implements Instance {
  readonly address: Address;
  readonly outlier: Outlier;
  readonly latency: Latency;
  readonly #moment: Moment;
  entry: RosterEntry;
  claim: Claim | undefined;

  /** As last assessed; `isEligible` and `isOnTrial` follow from it. */
  state: InstanceState = 'in-rotation';
  isEligible = false;
  isOnTrial = false;
  /** Kept by the rotation: it counts among the eligible; and, while a policy may choose it, as whose it is chosen. */
  isInRotation = false;
  freeAs: 'own' | 'others' | undefined;
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
  slowFromMs: number | undefined;
  slowForMs = 0;
  cancelReview: (() => void) | undefined;
  withheldUntilMs = -Infinity;

  /** Of this service alone; `inFlight` is the address's. */
  inHand = 0;
  streams = 0;
  abandoned = 0;
  requests = 0;
  failures = 0;
  lastFailedRequest: object | undefined;

  constructor(entry: RosterEntry, { address, moment, predecessor }: Circumstances) {
    this.entry = entry;
    this.address = address;
    this.#moment = moment;
    this.outlier = predecessor?.outlier ?? createOutlier();
    this.latency = predecessor?.latency ?? createLatency();
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

  /** A service shares its moment with its own instances and nobody else's. */
  isOf(moment: Moment): boolean {
    return this.#moment === moment;
  }

  get hasRoom(): boolean {
    return this.address.inUse < (this.isOnTrial ? 1 : this.address.permits);
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
