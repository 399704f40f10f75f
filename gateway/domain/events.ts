import type { CacheResult } from './call.ts';
import type { FailureCode } from './errors.ts';
import type { JobState } from './jobs/job.ts';
import type { SourceName } from './roster.ts';
import type { AttemptFacts } from './upstream.ts';
import type { Clock } from './clock.ts';

/** One request, told once, when its reply is over: the access line and the request metrics. */
export interface RequestEvent {
  readonly kind: 'request';
  readonly id: string;
  readonly caller: string | null;
  readonly method: string;
  readonly path: string;
  /** Null: no route. */
  readonly route: string | null;
  readonly service: string | null;
  readonly instance: string | null;
  readonly version: string | null;
  readonly status: number;
  readonly code: FailureCode | null;
  readonly attempts: number;
  readonly queueMs: number;
  readonly connectMs: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Null: no cache was asked. */
  readonly cache: CacheResult | null;
  readonly isCoalesced: boolean;
  /** Its last attempt; null where there was none, or R was asked for several at once. */
  readonly attempt: AttemptFacts | null;
  /** What the caller speaks, where that is not JSON over REST. */
  readonly protocol?: string | undefined;
}

/** An attempt that no request's event reports: one that was retried, or made for several calls. */
export interface AttemptEvent extends AttemptFacts {
  readonly kind: 'attempt';
  readonly service: string;
  readonly instance: string;
}

/**
 * What came of asking R again, alone, for a row that had travelled with others; the label of
 * `penstock_batch_rechecks_total`.
 *
 *   agreed        the same answer
 *   contradicted  another one: the rows influence one another
 *   unanswered    none
 */
export type RecheckResult = 'agreed' | 'contradicted' | 'unanswered';

/**
 * Everything worth observing. Who emits knows nothing of metrics or logs; edges/prom-client.ts and edges/winston.ts turn
 * events into series and lines.
 */
export type GatewayEvent =
  | RequestEvent
  | AttemptEvent
  | {
      readonly kind: 'retry';
      readonly service: string;
      readonly reason: string;
      readonly requestId: string;
      readonly instance: string;
    }
  | { readonly kind: 'batch'; readonly service: string; readonly rows: number }
  | { readonly kind: 'batch-recheck'; readonly service: string; readonly result: RecheckResult }
  | {
      /** A call was too much for a limit: it was refused, or would have been. */
      readonly kind: 'limit-exceeded';
      readonly route: string;
      readonly limit: string;
      readonly isEnforced: boolean;
    }
  | {
      /** R was handed a call a moment before the one before it was done. */
      readonly kind: 'sent-ahead';
      readonly service: string;
    }
  | {
      /** A route begins or stops to let calls travel together. */
      readonly kind: 'batching';
      readonly route: string;
      readonly isOn: boolean;
      readonly reason: string;
    }
  | {
      readonly kind: 'ejected';
      readonly service: string;
      readonly instance: string;
      readonly reason: string;
      readonly forMs: number;
    }
  | { readonly kind: 'ejection-withheld'; readonly service: string; readonly instance: string; readonly reason: string }
  | { readonly kind: 'probation'; readonly service: string; readonly instance: string }
  | { readonly kind: 'readmitted'; readonly service: string; readonly instance: string; readonly reason: string }
  | {
      readonly kind: 'instance-joined';
      readonly service: string;
      readonly instance: string;
      readonly address: string;
      readonly version: string | null;
    }
  | { readonly kind: 'instance-left'; readonly service: string; readonly instance: string }
  | {
      readonly kind: 'instance-health';
      readonly service: string;
      readonly instance: string;
      readonly isWell: boolean;
      readonly note: string;
    }
  | {
      readonly kind: 'registration-malformed';
      readonly source: SourceName;
      readonly service: string;
      readonly instance: string;
      readonly problem: string;
    }
  | { readonly kind: 'source-lost'; readonly source: SourceName; readonly problem: string }
  | { readonly kind: 'source-back'; readonly source: SourceName }
  | { readonly kind: 'roster-doubted'; readonly source: SourceName; readonly service: string; readonly forMs: number }
  | {
      readonly kind: 'config-loaded';
      readonly generation: number;
      readonly routes: number;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'config-refused'; readonly problems: readonly string[] }
  | { readonly kind: 'restart-needed'; readonly file: string }
  | {
      /** A job was made, or is over; its rows so far. */
      readonly kind: 'job';
      readonly job: string;
      readonly route: string;
      readonly state: JobState;
      readonly rows: number;
      readonly failed: number;
    }
  | {
      readonly kind: 'internal-error';
      readonly where: string;
      readonly error: unknown;
      readonly requestId: string | null;
    }
  | {
      /** A plug-in cost a call its answer. */
      readonly kind: 'plugin-failed';
      readonly plugin: string;
      readonly error: unknown;
      readonly requestId: string | null;
    }
  | {
      /** A plug-in kept the event loop from turning for so long; told once it is over. */
      readonly kind: 'plugin-blocked';
      readonly plugin: string;
      readonly forMs: number;
    }
  | {
      readonly kind: 'process';
      readonly phase: 'starting' | 'ready' | 'draining' | 'refusing' | 'stopped';
      readonly note: string;
    }
  | {
      readonly kind: 'notice';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly text: string;
      readonly about: Readonly<Record<string, string | number | boolean | null>>;
    };

/** Takes an event. It never throws and never waits. */
export type Observe = (event: GatewayEvent) => void;

/** An event is told so much later at most. */
const HELD_MS_MAX = 10;

/** Held at most; then they are told, whatever the time. */
const HELD_MAX = 256;

/** What calls bring. All else is rare, and told at once. */
const ROUTINE: ReadonlySet<GatewayEvent['kind']> = new Set<GatewayEvent['kind']>(['request', 'attempt', 'batch']);

/** Takes an event, and when it was: milliseconds since 1970. */
type Emit = (event: GatewayEvent, wallMs: number) => void;

/** Events on their way to the metrics and the log. */
interface HeldEvents {
  readonly observe: Observe;
  /** Emits all that is held, now. */
  readonly flush: () => void;
}

/**
 * Holds the events of requests for a moment, and emits many in one go, in the order they came.
 *
 * Emitted one at a time, between R's answer and the next call for R, each costs several times as much, since a processor
 * that R has used meanwhile has forgotten how; and a caller waits for it.
 */
export function createHeldEvents(clock: Clock, emit: Emit, onEmitted: () => void = ignore): HeldEvents {
  const held: { readonly event: GatewayEvent; readonly wallMs: number }[] = [];
  let cancel: (() => void) | undefined;

  /** One by one: should one fail, those after it are emitted next time. */
  const flush = () => {
    cancel?.();
    cancel = undefined;
    for (let one = held.shift(); one !== undefined; one = held.shift()) emit(one.event, one.wallMs);
    onEmitted();
  };

  return {
    observe(event) {
      held.push({ event, wallMs: clock.wallMs() });
      if (!ROUTINE.has(event.kind) || held.length >= HELD_MAX) flush();
      else cancel ??= clock.after(HELD_MS_MAX, flush);
    },
    flush,
  };
}

function ignore(): void {
  // The metrics gather what is emitted; a test need not.
}
