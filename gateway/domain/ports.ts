import type { Readable } from 'node:stream';
import type { TokenFault } from './admission/bearer.ts';
import type { Caller } from './caller.ts';
import type { Tally } from './admission/limits.ts';
import type { Limit, ReplyDraft, RouteSpec } from './route.ts';
import type { Remembered } from './sharing/cache/remembered.ts';

/** Time, as the domain sees it. The real one lives in edges/clock.ts; tests turn their own. */
export interface Clock {
  /** Milliseconds of a clock that never jumps; fractions are kept. Only differences mean something. */
  nowMs(): number;
  /** Milliseconds since 1970 of the wall clock, for what is shown to people and compared with dates. */
  wallMs(): number;
  /** Calls back once, `delayMs` from now, unless the returned function is called first. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Chance, as the domain sees it. */
export interface Random {
  /** A whole number from 0 up to, but not including, `limit`; 0 when `limit` is 0. */
  below(limit: number): number;
}

/** A digest of what it is given that nobody can aim at: short, the same for the same, and fit for a header field. */
export type Digest = (data: string | Buffer) => string;

/** What R is asked, whichever instance will be: framing fields (`content-length`, `host`, `connection`) are the transport's. */
export interface UpstreamMessage {
  readonly method: string;
  /** Path and query, as they stand in the request line. */
  readonly target: string;
  /** Sent as `Host`; the origin's own when undefined. */
  readonly host: string | undefined;
  /** Name, value, name, value, … */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** What goes to an instance, complete. */
export interface UpstreamRequest extends UpstreamMessage {
  /** Scheme, host and port, without a slash at the end. */
  readonly origin: string;
}

/** How an exchange is bounded. */
export interface SendBounds {
  readonly reuse: boolean;
  readonly connectTimeoutMs: number;
  /** An exchange without an end for so long is broken off, whoever still waits. */
  readonly hangMsMax: number;
  /** An answer up to this size is taken off the instance's hands; of a larger one the rest is a stream. */
  readonly bufferBytesMax: number;
}

/** An instance's answer, before the route's filters. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Name, value, name, value, …, as they came. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer | Readable;
}

/**
 * How an exchange with an instance ended, whoever still waited for it.
 *
 *   answered         it gave its answer, or the reader did not want the rest
 *   refused          nothing took the connection; nothing reached it
 *   connect-timeout  the connection did not come about in time; nothing reached it
 *   lost             it broke off before its answer was complete
 *   malformed        what it sent is not HTTP
 *   hung             it did not end within `hangMsMax`
 *   abandoned        the gateway itself gave up (it closes, or has no socket left): says nothing of the instance
 */
export type Settled = 'answered' | 'refused' | 'connect-timeout' | 'lost' | 'malformed' | 'hung' | 'abandoned';

/** One exchange under way. It is its own owner: who asked may leave, and it still runs to its end. */
export interface Sending {
  /**
   * The answer, or a GatewayError: CONNECT_FAILED, CONNECTION_LOST, UPSTREAM_FAULT, ATTEMPT_TIMEOUT when it hung.
   *
   * It comes when the body is complete or has outgrown `bufferBytesMax`; that of an event stream at its head, since it
   * need not end. Whoever takes a body that is a stream must read it or destroy it.
   */
  readonly answer: Promise<UpstreamAnswer>;
  /** Never rejects. Until it resolves the instance must be counted as taken. */
  readonly settled: Promise<Settled>;
  /** Time to the connection and to the answer's first byte, in milliseconds from the call; undefined until then. */
  readonly timings: { readonly connectMs: number | undefined; readonly firstByteMs: number | undefined };
  /** Nobody waits any more: what still comes is thrown away, and nothing is kept of it. */
  discard(): void;
}

/** Carries ordinary calls to instances. */
export interface Transport {
  send(request: UpstreamRequest, bounds: SendBounds): Sending;
  /** Lets go of what is kept for an origin that left; exchanges under way end by themselves. */
  forget(origin: string): void;
  close(): Promise<void>;
}

/** What a stream is made of, and how it is bounded. */
export interface StreamWanted {
  /** The caller's connection: `Received.wire`. */
  readonly wire: object;
  readonly request: UpstreamRequest;
  /** The caller asked for the head alone; the instance, which may know no HEAD, was asked for all. */
  readonly isHeadOnly: boolean;
  readonly connectTimeoutMs: number;
  /** Without a byte in either direction for so long the stream is ended. */
  readonly idleMsMax: number;
  /** What the caller is told of the instance's answer; throws a GatewayError when it cannot be told. */
  toHead(answer: Pick<UpstreamAnswer, 'status' | 'rawHeaders'>): ReplyDraft;
}

/** One stream under way. */
export interface Carrying {
  /** The status the caller was told, or a GatewayError while nothing was. */
  readonly head: Promise<number>;
  /** Never rejects. Until it resolves the instance carries the stream. */
  readonly settled: Promise<Settled>;
  /** As of a `Sending`. */
  readonly timings: Sending['timings'];
  /** Payload so far, in each direction. */
  readonly bytes: { readonly in: number; readonly out: number };
}

/** Carries streams and upgrades, straight from the caller's connection to an instance. */
export interface Carrier {
  carry(stream: StreamWanted): Carrying;
}

/** What verifying a token came to. */
export type TokenFinding =
  { readonly kind: 'valid'; readonly caller: Caller } | { readonly kind: 'refused'; readonly fault: TokenFault };

/** Tells whose a bearer token is, or why it is not taken. It never throws for what a token contains. */
export type VerifyToken = (token: string) => TokenFinding | Promise<TokenFinding>;

/** Counts requests against limits. */
export interface LimitCounter {
  /** Counts one request against one of a route's limits, under a key. */
  count(route: RouteSpec, limit: Limit, key: string): Promise<Tally>;
}

/** Answers by key, in bounded room: the least recently used goes first. */
export interface AnswerStore {
  find(key: string): Remembered | undefined;
  /** In the place of what was there under the key. False: it is larger than all the room. */
  keep(key: string, remembered: Remembered): boolean;
  forget(key: string): void;
  /** Forgets all, and says how many there were. */
  clear(): number;
}

/** How much a store may hold. */
export interface StoreRoom {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Told of each that is no longer there, replaced ones among them, before anything else is asked of the store. */
  readonly onGone?: ((key: string, remembered: Remembered) => void) | undefined;
}

/** Makes a store, empty. */
export type CreateAnswerStore = (room: StoreRoom) => AnswerStore;
