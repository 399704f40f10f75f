import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import type { GatewayError } from './errors.ts';
import { type RawFields, fieldOf } from './http/fields.ts';
import type { Route } from './route.ts';
import type { AttemptOutcome, Priority, UpstreamTls } from './service.ts';

/** What R is asked, whichever instance will be: framing fields (`content-length`, `host`, `connection`) are the transport's. */
export interface UpstreamMessage {
  readonly method: string;
  /** Path and query, as they stand in the request line. */
  readonly target: string;
  /** Sent as `Host`; the address's own when undefined. */
  readonly host: string | undefined;
  readonly fields: RawFields;
  readonly body: Buffer;
}

/** An instance's answer as the transport read it: before what ends at this hop is taken off, and before any filter. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly fields: string[];
  /** Whole; or, past `bufferBytesMax` and of an event stream, what is read of it as it comes. */
  readonly body: Buffer | Readable;
}

/** How an exchange is bounded. */
export interface ExchangeBounds {
  /** Whether a connection carries one exchange or many; 'auto': many where acknowledgements are seen to be quick. */
  readonly reuse: boolean | 'auto';
  readonly connectTimeoutMs: number;
  /** How its connection is secured, where the origin asks for that; undefined: in the usual way. */
  readonly tls: UpstreamTls | undefined;
  /** An exchange without an end for so long is broken off, even where a caller still waits. */
  readonly hangMsMax: number;
  /** An answer up to this size is taken off the instance's hands; of a larger one the rest is a stream. */
  readonly bufferBytesMax: number;
}

/**
 * How an exchange with an instance ended, whether a caller still waited for it or not.
 *
 *   answered         it gave its answer, or the reader did not want the rest
 *   refused          nothing took the connection; nothing reached it
 *   connect-timeout  the connection did not come about in time; nothing reached it
 *   untrusted        its certificate does not verify; nothing reached it
 *   lost             it broke off before its answer was complete
 *   malformed        what it sent is not HTTP, or ambiguous (RFC 9112 §6.3)
 *   failed           the model itself failed, or cannot be called so, where no HTTP status says it: the instance is well
 *   hung             it did not end within `hangMsMax`
 *   abandoned        the gateway itself gave up (it closes, or has no socket left): says nothing of the instance
 */
export type ExchangeEnd =
  | { readonly kind: 'answered'; readonly answer: UpstreamAnswer }
  | {
      readonly kind:
        'refused' | 'connect-timeout' | 'untrusted' | 'lost' | 'malformed' | 'failed' | 'hung' | 'abandoned';
      readonly failure: GatewayError;
    };

/** What the transport calls back, never from within `send`: `stages/attempt.ts`. */
export interface ExchangeListener {
  /** An interim answer that the gateway did not ask for (102, 103); 100 is not told. */
  onInterim(status: number, fields: string[]): void;
  /** The answer's head, and a body that is still to come; `onEnd` follows when that is over. Not called for a whole one. */
  onStream(answer: UpstreamAnswer): void;
  /** Once, last: until then the instance must be counted as taken. */
  onEnd(end: ExchangeEnd): void;
}

/**
 * One exchange under way: in HTTP `WireExchange`. It is its own owner: the listener may lose interest, it still runs
 * to its end.
 */
export interface Exchange {
  /** When a connection was there and the request was written, by the clock; undefined until then. */
  readonly sentMs: number | undefined;
  /** When the first byte of the final answer came. */
  readonly firstByteMs: number | undefined;
  /** What the transport calls back: another may take over what it waits for. */
  listener: ExchangeListener;
  /** The answer is of no use any more: what still comes is thrown away, and nothing is kept of it. */
  discard(): void;
}

/** Carries calls to instances: in HTTP `edges/r-transport`; `edges/by-scheme.ts` chooses where there are other ways. */
export interface Transport {
  /** `origin`: scheme, host and port, without a slash at the end; `script:NAME` of a script, `onnx:NAME` of a model; `rserve://`, `grpc://`, by TLS `rserves://`, `grpcs://`. */
  send(origin: string, message: UpstreamMessage, options: SendOptions): Exchange;
  /** Lets go of what is kept for an origin that left; exchanges under way end by themselves. */
  forget(origin: string): void;
  close(): Promise<void>;
}

/** How a call is carried, and what its exchange reports to. */
export interface SendOptions {
  readonly bounds: ExchangeBounds;
  readonly listener: ExchangeListener;
  /** For whose calls it is: some ways lead to what a route names. */
  readonly route?: Route | undefined;
}

/** How an attempt went. */
export interface AttemptFacts {
  readonly outcome: AttemptOutcome;
  /** Of R's own answer; null where there was none. */
  readonly status: number | null;
  readonly durationMs: number;
  /** How long it waited for its permit; null: for a stream, which waits for none. */
  readonly queueMs: number | null;
}

/** Which instance gave an answer, or failed to, and what the attempts there took. */
export interface Via {
  readonly instance: string | null;
  readonly version: string | null;
  readonly attempts: number;
  readonly queueMs: number;
  readonly connectMs: number | null;
  readonly firstByteMs: number | null;
  /** The last attempt, where no event of its own has reported it. */
  readonly last?: AttemptFacts | undefined;
}

/** Of what was answered, or refused, before any instance was asked. */
export const NOT_SENT: Via = {
  instance: null,
  version: null,
  attempts: 0,
  queueMs: 0,
  connectMs: null,
  firstByteMs: null,
};

/** An answer on its way to a caller. The fields are a draft: one list from R's head to the write. */
export interface Answer {
  status: number;
  /** Name, value, name, value, … Where several share an answer each gets a list of its own. */
  fields: string[];
  body: Buffer | Readable;
  /** Null: no instance was asked for it. */
  readonly via: Via | null;
  /** What follows the body, by HTTP/2. */
  readonly trailers?: RawFields;
  /** What the log and the metrics tell in place of `status`, where a protocol answers 200 whatever happens. */
  readonly meantStatus?: number;
}

/** A body that is still a stream keeps the instance until it is read or destroyed. */
export function dropBody({ body }: { readonly body: Buffer | Readable }): void {
  if (!Buffer.isBuffer(body)) body.destroy();
}

/** What waits for R's answer: a call, equal calls that share a flight, or a batch. It is told once, one or the other. */
export interface Waiting {
  /** R's own answer, less what ends at this hop: no filter of the route has seen it. */
  answered(answer: Answer): void;
  failed(failure: GatewayError, via: Via): void;
  /** An interim answer (102, 103), for one caller alone. */
  interim?(status: number, fields: string[]): void;
}

/** What is put to R. */
export interface UpstreamRequestOptions {
  /** Of the call for which it was first asked. */
  readonly id: string;
  readonly route: Route;
  /** As the caller wrote it: whether it may be repeated follows from it. */
  readonly method: string;
  /** In whose flow of the fair queue it waits. */
  readonly callerId: string;
  /** What keeps it with an instance; empty where nothing does. */
  readonly affinity: string;
  /** In place of the route's. */
  readonly priority?: Priority | undefined;
  /** Until when an answer is of use, by the clock. What is shared may last longer: `UpstreamRequest.extend`. */
  readonly endsMs: number;
  /** Others may come to share it: each attempt has its own time, however little is left now. */
  readonly isShared: boolean;
  readonly waiting: Waiting;
  /** What the instance is sent. Asked for only when a permit was found, and the same for every attempt. */
  message(): UpstreamMessage;
  /** Takes an answer that comes when nothing waits any more. Where it is undefined, such an answer is thrown away. */
  readonly keepLate: ((answer: Answer) => void) | undefined;
}

/** Put to R: queued, sent, repeated where that is allowed. */
export interface UpstreamRequest extends Via {
  /** What waited has left, for this reason: a queued request leaves the queue, one that was sent is let run to its end. */
  leave(reason: GatewayError): void;
  /** What shares it makes it last until then. */
  extend(endsMs: number): void;
  /** R was sent it: what is added now would not travel along. */
  readonly isSent: boolean;
}

/** Puts a request to R: `createAttempt`, or a batch before it. `waiting` may be told before this returns. */
export type SendUpstream = (options: UpstreamRequestOptions) => UpstreamRequest;

/**
 * What an instance's answer is.
 *
 *   own      R's own answer; a 500 of its code, too, since a caller's mistake comes out as one
 *   fault    a status that is none
 *   status   one that the service counts as a failure of the instance
 *   stream   an event stream or an upgrade, which no ordinary call is meant to be
 *
 * What a text says is never looked at: a model's author may write the very words that httpuv uses.
 */
export type Verdict = 'own' | 'fault' | 'status' | 'stream';

/** Judges an answer by what only the instance can have caused. */
export function verdictOf({ status, fields }: UpstreamAnswer, failureStatuses: ReadonlySet<number>): Verdict {
  if (status === 101 || isEventStream(fields)) return 'stream';
  if (status < 200 || status > 599) return 'fault';
  return failureStatuses.has(status) ? 'status' : 'own';
}

function isEventStream(fields: readonly string[]): boolean {
  const type = fieldOf(fields, 'content-type');
  return type !== undefined && /^\s*text\/event-stream\s*(?:;|$)/i.test(type);
}

/** How an exchange ended that brought no answer. */
export type EndWithoutAnswer = Exclude<ExchangeEnd['kind'], 'answered'>;

const OUTCOMES = {
  refused: 'refused',
  'connect-timeout': 'connect-timeout',
  untrusted: 'untrusted',
  lost: 'lost',
  malformed: 'fault',
  failed: 'ok',
  hung: 'hung',
  abandoned: 'abandoned',
} as const satisfies Record<EndWithoutAnswer, AttemptOutcome>;

/** What an exchange that brought no answer says of the instance. */
export function outcomeWithoutAnswer(kind: EndWithoutAnswer): AttemptOutcome {
  return OUTCOMES[kind];
}

/** What the end of an exchange says of the instance. */
export function outcomeOfEnd(end: ExchangeEnd, { service }: Route): AttemptOutcome {
  if (end.kind !== 'answered') return OUTCOMES[end.kind];
  const verdict = verdictOf(end.answer, service.policy.outlier.statuses);
  return verdict === 'fault' || verdict === 'status' ? verdict : 'ok';
}

/** The status that the model itself is to answer for; null where it gave none. */
export function statusOfEnd(end: ExchangeEnd): number | null {
  if (end.kind === 'answered') return end.answer.status;
  return end.kind === 'failed' ? end.failure.status : null;
}

interface Leaving {
  readonly reason: GatewayError;
  /** How long the instance had the request. */
  readonly heldMs: number;
  /** The route's time for the whole call. */
  readonly timeoutMs: number;
}

/**
 * What it says of the instance that nothing waits for its answer any more.
 *
 * A deadline is the instance's failure only where it had most of the time: it is not at fault for the queue.
 */
export function outcomeOfLeaving({ reason, heldMs, timeoutMs }: Leaving): AttemptOutcome {
  if (reason.code === 'ATTEMPT_TIMEOUT') return 'timeout';
  return reason.code === 'DEADLINE_EXCEEDED' && heldMs * 2 >= timeoutMs ? 'timeout' : 'abandoned';
}
