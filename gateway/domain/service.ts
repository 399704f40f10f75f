import type { GatewayError } from './errors.ts';
import type { RosterEntry, SourceName } from './roster.ts';
import type { Peers } from './service/peers.ts';

/**
 * What asks for a permit, an upstream request of `stages/attempt.ts`: it is given one at once, or waits in the queue of
 * the service and is told.
 */
export interface PermitRequest {
  /** Instances that failed it already: avoided while another can do it. */
  readonly tried: readonly Instance[];
  /** Equal for requests that should meet the same instance; empty where no policy asks. */
  readonly affinity: string;
  /** For fairness among callers. */
  readonly callerId: string;
  readonly priority: Priority;
  /** Whose calls take alike: how long one of them occupies an instance is learned by route. */
  readonly routeId: string;
  /** Until when an answer is of use, by the clock. */
  readonly usefulUntilMs: number;
  /** Its place in the queue, for the queue alone. */
  queued: object | undefined;
  /** Called only after `acquire` returned undefined; once, one or the other. */
  onPermit(permit: Permit): void;
  onRefused(failure: GatewayError): void;
}

/** The right to occupy one place at an instance, until R has truly finished: `HeldPermit`. */
export interface Permit {
  readonly instance: Instance;
  /** R was given it before it was done with the call before it. */
  readonly isAhead: boolean;
  /** Since when R can work on it, by the clock; of what was sent ahead the end of the call before it, once that has come. */
  readonly sinceMs: number;
  /** Something was sent: from here on the sender releases it, when the exchange has ended. */
  begin(): void;
  readonly hasBegun: boolean;
  /** Nothing waits for the answer any more, while R still computes it. */
  abandon(): void;
  /** R has answered after all: whatever checks said meanwhile, it was busy and not dead. */
  prove(): void;
  release(): void;
}

/** By what a stream is given an instance; those that have not taken it are left out. */
export type StreamRequest = Pick<PermitRequest, 'affinity' | 'callerId'> & Partial<Pick<PermitRequest, 'tried'>>;

/** A stream at an instance, beside the permits: it counts against `streamsMax` until it is released. */
export interface AcquiredStream {
  readonly instance: Instance;
  release(): void;
}

/** What is served sooner; none waits for ever. */
export type Priority = 'high' | 'normal' | 'low';

/** How an attempt at an instance went, for its health. */
export interface Finding {
  /** The same in all findings of one request. Not its id, which the caller may choose, and choose twice. */
  readonly request: object;
  readonly callerId: string;
  readonly routeId: string;
  /** 'ok' is any answer that is R's own, a 500 of its code included. */
  readonly outcome: AttemptOutcome;
  /** Of R's own answer; null where there was none. */
  readonly status: number | null;
  /** Under which the attempt was made; it must be released only after the finding is told. Streams have none. */
  readonly permit?: Permit;
  /** From sending, or where that is later from `permit.sinceMs`, to the answer's end; only meaningful for 'ok'. */
  readonly durationMs: number;
}

/** The outcomes of an attempt; the label of `penstock_attempts_total`. */
export type AttemptOutcome =
  'ok' | 'refused' | 'connect-timeout' | 'untrusted' | 'lost' | 'fault' | 'status' | 'timeout' | 'hung' | 'abandoned';

/** The instances behind one name, under one set of policies, and the one queue for them: `UpstreamService`. */
export interface Service {
  readonly name: string;
  readonly policy: ServicePolicy;
  /** The model's versions that the roster lists now, each once, sorted, joined by commas: equal for calls that share. */
  readonly versions: string;
  /**
   * A permit at once; undefined: the request waits in the queue, and is told. Throws SERVICE_UNAVAILABLE, QUEUE_FULL, or
   * QUEUE_TIMEOUT where its turn would come too late.
   */
  acquire(request: PermitRequest): Permit | undefined;
  /** It waits no longer. Harmless where it does not wait. */
  leave(request: PermitRequest): void;
  /** How many calls of a caller wait for a permit; 0 where the queue is not fair. */
  waitingOf(callerId: string): number;
  /** A place for a stream, beside the permits. Throws SERVICE_UNAVAILABLE. */
  acquireStream(request: StreamRequest): AcquiredStream;
  /** Tells what an attempt showed of its instance. */
  report(instance: Instance, finding: Finding): void;
  /** Counts one request towards the retry budget, and asks it for a retry. */
  readonly budget: { request(): void; tryRetry(percent: number): boolean };
  view(): ServiceView;
}

/** A service as the owner of the generation sees it. */
export interface ManagedService extends Service {
  adopt(policy: ServicePolicy): void;
  /** Survivors keep what was learned of them, newcomers start fresh, leavers drain. */
  reconcile(entries: readonly RosterEntry[]): void;
  /** The gateways before the same instances are these: each instance prefers one of them. */
  meet(peers: Peers): void;
  /** What an active check found. */
  checked(instanceId: string, isWell: boolean, note: string): void;
  /** A check could not be made, because the certificate of the instance does not verify: that says nothing of its health. */
  untrusted(instanceId: string, why: string): void;
  /** How long calls of a route take, where that is short and steady enough to hand R the next one ahead. */
  steadyOf(routeId: string): Steady | undefined;
  /** By hand. False: no such instance. */
  command(instanceId: string, order: 'eject' | 'readmit' | 'drain'): boolean;
  /** The service left the configuration: refuses the calls that wait, stops its timers. */
  close(): void;
}

/** How long calls of a route take that are short and steady. */
export interface Steady {
  readonly p10Ms: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** What operators see: `GET /api/services`. */
export interface ServiceView {
  readonly service: string;
  readonly queue: { readonly depth: number; readonly depthMax: number };
  readonly permits: { readonly inUse: number; readonly abandoned: number };
  readonly instances: readonly InstanceView[];
}

/** What operators see of one instance. */
export interface InstanceView {
  readonly id: string;
  readonly address: string;
  readonly source: SourceName;
  readonly version: string | null;
  readonly weight: number;
  readonly state: InstanceState;
  readonly why: string | null;
  /** ISO 8601, when the state ends by itself. */
  readonly until: string | null;
  readonly inFlight: number;
  readonly streams: number;
  readonly abandoned: number;
  readonly latencyMs: number | null;
  readonly requests: number;
  readonly failures: number;
  /** The gateway that uses it first, of several before the same instances; null where there is no other. */
  readonly preferredBy: string | null;
}

/** What an operator sees of an instance. */
export type InstanceState =
  'in-rotation' | 'slow-start' | 'busy-unchecked' | 'ejected' | 'probation' | 'unhealthy' | 'draining';

const ELIGIBLE: ReadonlySet<InstanceState> = new Set(['in-rotation', 'slow-start', 'busy-unchecked', 'probation']);

/** True in the states in which an instance may be given work. */
export function isEligibleIn(state: InstanceState): boolean {
  return ELIGIBLE.has(state);
}

/**
 * One R process, as stages and policies see it. Read-only: its service keeps the numbers.
 *
 * What is learned of it belongs to its service and id; its permits belong to its address, so that one R behind two
 * names is still one R.
 */
export interface Instance {
  readonly id: string;
  readonly origin: string;
  readonly version: string | null;
  /** As configured, lessened while it starts slowly. */
  readonly weight: number;
  /** Calls sent and not yet settled, whether or not a caller still waits for them. */
  readonly inFlight: number;
  /** A moving average in milliseconds; undefined until one answer was seen, or when the last is long ago. */
  readonly latencyMs: number | undefined;
}

/** How an instance is chosen. */
export type BalanceSpec =
  | { readonly policy: 'least-loaded' | 'round-robin' | 'two-choices' }
  | {
      readonly policy: 'hash';
      readonly by: AffinityKey;
      /** A call waits for its own instance while that one is in rotation, instead of going to one that is free. */
      readonly strict: boolean;
    };

/** What keeps a caller with an instance. */
export type AffinityKey =
  { readonly kind: 'caller' | 'ip' } | { readonly kind: 'header' | 'cookie'; readonly name: string };

/** When an instance's share of R's own errors stands out beside its peers'. */
export interface OutlierShare {
  readonly callsMin: number;
  readonly windowMs: number;
  /** From 0 to 1. */
  readonly confidence: number;
}

/** When an instance's failures stand out, and what then happens. */
export interface OutlierPolicy {
  readonly failures: number;
  readonly ejectForMs: number;
  readonly ejectForMsMax: number;
  readonly percentMax: number;
  readonly keepMin: number;
  /** Statuses of R that count as failures of the instance. */
  readonly statuses: ReadonlySet<number>;
  readonly share: OutlierShare;
}

/** How an instance is asked whether it is well. */
export interface HealthPolicy {
  /** Undefined: none is written. */
  readonly path: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly passes: number;
  readonly fails: number;
}

/** How instances are connected to that are spoken to by TLS. */
export interface UpstreamTls {
  /** Equal where all of it is equal: what connections are told apart by. */
  readonly id: string;
  /** The authorities that certificates are verified by, in PEM; undefined: those that Node knows. */
  readonly ca: string | undefined;
  /** Shown to the instance, in PEM; undefined: nothing is. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** What instances are asked for and verified as; undefined: the host of their address. */
  readonly serverName: string | undefined;
  /** False: any certificate is taken. */
  readonly isVerified: boolean;
}

/** Who logs in at an Rserve. */
export interface RserveAccount {
  readonly user: string;
  readonly password: string;
}

/** How an Rserve is used. */
export interface RservePolicy {
  readonly account: RserveAccount | undefined;
  /** An R that has answered so many calls, or has grown larger, is replaced. */
  readonly callsMax: number;
  readonly memoryBytesMax: number;
}

/** How the instances behind one name are treated: `services:` in routes.yaml, compiled. */
export interface ServicePolicy {
  readonly balance: BalanceSpec;
  readonly concurrency: number;
  readonly queueDepthMax: number;
  readonly queueWaitMsMax: number;
  /** Callers take turns; false: first come, first served. */
  readonly isFair: boolean;
  /** Whether R may be handed the next call a moment before it is done with the last. */
  readonly ahead: 'auto' | 'off';
  readonly hangMsMax: number;
  readonly streamsMax: number;
  /** Whether connections are kept between calls; `auto`: where that is known to be quick. */
  readonly reuse: boolean | 'auto';
  readonly connectTimeoutMs: number;
  /** Undefined: nothing is written. */
  readonly tls: UpstreamTls | undefined;
  /** Sent as PLUMBER_SHARED_SECRET. */
  readonly sharedSecret: string | undefined;
  readonly health: HealthPolicy;
  readonly outlier: OutlierPolicy;
  readonly slowStartMs: number;
  readonly rserve: RservePolicy;
}
