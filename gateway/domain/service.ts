import type { GatewayError } from './errors.ts';
import type { Instance, InstanceState } from './instance.ts';
import type { RosterEntry, SourceName } from './roster.ts';
import type { Peers } from './service/peers.ts';
import type { ServicePolicy } from './service/service-policy.ts';

/** What asks for a permit: it is given one at once, or waits in the service's queue and is told. */
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
  /** Told only after `acquire` returned undefined; once, one or the other. */
  onPermit(permit: Permit): void;
  onRefused(failure: GatewayError): void;
}

/** The right to occupy one place at an instance, until R has truly finished. */
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

/** A stream's room at an instance, beside the permits. */
export interface StreamPlace {
  readonly instance: Instance;
  release(): void;
}

/** Whose turn comes sooner; none waits for ever. */
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

/** The instances behind one name, under one set of policies, and the one queue for them. */
export interface Service {
  readonly name: string;
  readonly policy: ServicePolicy;
  /** The model's versions that the roster lists now, each once, sorted, joined by commas: who shares an answer agrees in it. */
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
  acquireStream(request: Pick<PermitRequest, 'affinity' | 'callerId'>): StreamPlace;
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
  /** By hand. False: no such instance. */
  command(instanceId: string, order: 'eject' | 'readmit' | 'drain'): boolean;
  /** The service left the configuration: refuses who waits, stops its timers. */
  close(): void;
}

/** What operators see: `GET /api/services`. */
export interface ServiceView {
  readonly service: string;
  readonly queue: { readonly depth: number; readonly depthMax: number };
  readonly permits: { readonly inUse: number; readonly abandoned: number };
  readonly instances: readonly InstanceView[];
}

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
