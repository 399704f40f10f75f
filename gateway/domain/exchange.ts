import type { Readable } from 'node:stream'; // a type alone: domain/ takes nothing else from outside
import type { Caller } from './caller.ts';
import type { Deadline } from './deadline.ts';
import type { GatewayError } from './errors.ts';
import type { RawFields } from './http/fields.ts';
import type { Instance } from './instance.ts';
import type { Notes } from './notes.ts';
import type { UpstreamMessage } from './ports.ts';
import type { Route } from './route.ts';

/**
 * What is known of a request grows stage by stage; each type adds what one stage learned.
 *
 * It is one object all along: a stage adds its field with `learn` and passes the same object on under its richer type.
 * A new object a stage costs a copy of every field, eight times a request.
 */
export interface Received {
  readonly id: string;
  readonly method: string;
  /** The path as it came, still percent-encoded, without the query. */
  readonly path: string;
  /** Without its question mark; empty when there is none. */
  readonly query: string;
  readonly rawHeaders: RawFields;
  readonly scheme: 'http' | 'https';
  /** Host and port as the caller named them, believing `X-Forwarded-Host` only from trusted proxies. */
  readonly host: string;
  /** Whose connection it is. */
  readonly peerAddress: string;
  /** Who is calling, believing `X-Forwarded-For` only from trusted proxies. */
  readonly callerAddress: string;
  /** The peer is one of `listen.trustedProxies`: what it says of where a request came from is believed. */
  readonly isPeerTrusted: boolean;
  readonly isUpgrade: boolean;
  readonly body: IncomingBody;
  readonly deadline: Deadline;
  /** What the access line and the metrics will tell. */
  readonly notes: Notes;
  /** The connection, as the edge that accepted it knows it; opaque to stages. */
  readonly wire: object;
  /** Why the edge itself refuses the request, where it does: `respond` answers with it and nothing else happens. */
  readonly refusal?: GatewayError | undefined;
}

/** A request's body, not yet taken in. */
export interface IncomingBody {
  /** The announced size; undefined when it comes in chunks; 0 when there is none. */
  readonly length: number | undefined;
  /**
   * Takes the whole body in. Refuses with BODY_TOO_LARGE beyond `bytesMax`, REQUEST_TIMEOUT when it stalls, BAD_REQUEST
   * when it is cut off, or the signal's reason.
   */
  read(bytesMax: number, signal: AbortSignal): Promise<Buffer>;
}

export interface Matched extends Received {
  readonly route: Route;
  /** What the route's patterns captured, by name. */
  readonly variables: ReadonlyMap<string, string>;
  /** A browser's question whether it may send another request; the route has `cors`. */
  readonly isPreflight: boolean;
}

export interface Admitted extends Matched {
  readonly caller: Caller;
}

export interface Complete extends Admitted {
  readonly content: Buffer;
}

/**
 * What is put to R: one caller's request, or what several callers share. From `attempt` on nobody asks for whom.
 *
 * A question that several share has a deadline and notes of its own; what they tell is copied to each who shared it.
 */
export interface Question {
  /** Of the request for which it was first asked. */
  readonly id: string;
  readonly route: Route;
  /** As the caller wrote it: whether it may be repeated follows from it. */
  readonly method: string;
  readonly callerId: string;
  /** What keeps it with an instance; empty where nothing does. */
  readonly affinity: string;
  readonly deadline: TimeLeft;
  /** Others may come to share it and make it last: each attempt has its own time, however little is left now. */
  readonly isOpenEnded?: boolean | undefined;
  readonly notes: Notes;
  /** What the instance is sent. Asked for only when a place was found, and the same for every attempt. */
  message(): UpstreamMessage;
  /** Takes an answer that comes when nobody waits any more. Where it is absent, such an answer is thrown away. */
  readonly keep?: ((answer: Answer) => void) | undefined;
}

/** How long a question may wait, and the signal of its end: of one request, or until the last who shares it has left. */
export type TimeLeft = Pick<Deadline, 'signal' | 'remainingMs'>;

/** Puts a question to R, and brings the instance's own answer: no filter of the route has seen it. */
export type Ask = (question: Question) => Promise<Answer>;

/** One attempt's share of a request: which it is, when it must end, and who has failed before. */
export interface Attempt {
  readonly number: number;
  readonly signal: AbortSignal;
  readonly tried: readonly Instance[];
  /** A place was found: the attempt's own time begins. Waiting for one is bounded by the queue, not by this. */
  placed(instance: Instance): void;
  /** What the instance itself answered, whatever filters make of it. */
  answered(status: number): void;
}

/** A place at an instance. Whoever holds it must release it exactly when the instance is free again. */
export interface Place {
  readonly instance: Instance;
  release(): void;
}

/** The place of one call. */
export interface Permit extends Place {
  /** Something was sent: from here on whoever sent it releases the place, when the exchange has settled. */
  begin(): void;
  readonly hasBegun: boolean;
  /** Nobody waits for the answer any more, while R still computes it. */
  abandon(): void;
  /** R has answered after all: whatever checks said meanwhile, it was busy and not dead. */
  prove(): void;
}

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly rawHeaders: RawFields;
  readonly body: Buffer | Readable;
}

/** A stream or an upgrade that an edge carries by itself; `ended` settles when it is over and never rejects. */
export interface HandedOver {
  readonly kind: 'handed-over';
  /** What the caller was told. */
  readonly status: number;
  readonly ended: Promise<void>;
}

export type Reply = Answer | HandedOver;

/** The stages of the flow, in the order a request meets them. */
export interface Stages {
  readonly observe: (received: Received, next: () => Promise<Reply>) => Promise<Reply>;
  readonly respond: (received: Received, next: () => Promise<Reply>) => Promise<Reply>;
  readonly match: (received: Received) => Matched;
  readonly preflight: (matched: Matched, next: () => Promise<Reply>) => Promise<Reply>;
  readonly admit: (matched: Matched) => Promise<Admitted>;
  readonly carry: (admitted: Admitted) => Promise<Reply>;
  readonly receive: (admitted: Admitted) => Promise<Complete>;
  readonly answer: (complete: Complete, ask: Ask) => Promise<Reply>;
  readonly attempt: (question: Question, next: (attempt: Attempt) => Promise<Answer>) => Promise<Answer>;
  readonly schedule: (
    question: Question,
    attempt: Attempt,
    next: (place: Permit) => Promise<Answer>,
  ) => Promise<Answer>;
  readonly forward: (question: Question, attempt: Attempt, place: Permit) => Promise<Answer>;
}

/** Adds what a stage learned to the request itself, and gives it back as what it now is. */
export function learn<R extends Received, L extends object>(request: R, learned: L): R & L {
  return Object.assign(request, learned);
}

/** True once `match` has found the route: what comes after may fail knowing whose rules apply. */
export function isMatched(received: Received): received is Matched {
  return 'route' in received && received.route !== undefined;
}
