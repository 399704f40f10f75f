import type { Permit, Place } from './exchange.ts';
import type { Instance, InstanceState } from './instance.ts';
import type { RosterEntry, SourceName } from './roster.ts';
import type { Peers } from './service/preferences.ts';
import type { ServicePolicy } from './service/service-policy.ts';

/** Whom to ask for a place, and what the asker knows. */
export interface PlaceWanted {
  readonly signal: AbortSignal;
  /** Instances that failed this request already: avoided while another can do it. */
  readonly tried: readonly Instance[];
  /** Equal for requests that should meet the same instance; empty where no policy asks. */
  readonly affinity: string;
  /** For fairness among callers. */
  readonly callerId: string;
  readonly priority: Priority;
  /** Until nobody waits for the answer any more. */
  readonly remainingMs: number;
}

/** Whose turn comes sooner; none waits for ever. */
export type Priority = 'high' | 'normal' | 'low';

/** How an attempt at an instance went, for its health. */
export interface Finding {
  /** The same in all findings of one request. Not its id, which the caller may choose, and choose twice. */
  readonly request: object;
  readonly callerId: string;
  /** 'ok' is any answer that is R's own, a 500 of its code included. */
  readonly outcome: AttemptOutcome;
  /** From sending to the answer's end; only meaningful for 'ok'. */
  readonly durationMs: number;
}

/** The outcomes of an attempt; the label of `penstock_attempts_total`. */
export type AttemptOutcome =
  'ok' | 'refused' | 'connect-timeout' | 'lost' | 'fault' | 'status' | 'timeout' | 'hung' | 'abandoned';

/** The instances behind one name, under one set of policies, and the one queue for them. */
export interface Service {
  readonly name: string;
  readonly policy: ServicePolicy;
  /** The model's versions that the roster lists now, each once, sorted, joined by commas: who shares an answer agrees in it. */
  readonly versions: string;
  /**
   * A place at an instance, at once or after waiting. Refuses with SERVICE_UNAVAILABLE, QUEUE_FULL, QUEUE_TIMEOUT or the
   * signal's reason.
   */
  acquire(wanted: PlaceWanted): Promise<Permit>;
  /** How many calls of a caller wait for a place; 0 where callers do not take turns. */
  waitingOf(callerId: string): number;
  /** A place for a stream, beside the permits. Refuses with SERVICE_UNAVAILABLE. */
  board(wanted: PlaceWanted): Place;
  /** Tells what an attempt showed of its instance. */
  report(instance: Instance, finding: Finding): void;
  /** Counts one request towards the retry budget, and asks it for a retry. */
  readonly budget: { request(): void; tryRetry(percent: number): boolean };
  readonly view: () => ServiceView;
}

/** A service as the owner of the generation sees it. */
export interface LivingService extends Service {
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
