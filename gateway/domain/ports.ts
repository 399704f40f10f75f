import type { Readable } from 'node:stream';

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

/** What goes to an instance, complete: framing fields (`content-length`, `host`, `connection`) are the transport's. */
export interface UpstreamRequest {
  /** Scheme, host and port, without a slash at the end. */
  readonly origin: string;
  readonly method: string;
  /** Path and query, as they stand in the request line. */
  readonly target: string;
  /** Sent as `Host`; the origin's own when undefined. */
  readonly host: string | undefined;
  /** Name, value, name, value, … */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
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

/** How an exchange with an instance ended, whoever still waited for it. */
export type Settled = 'answered' | 'refused' | 'lost' | 'malformed' | 'hung';

/** One exchange under way. It is its own owner: who asked may leave, and it still runs to its end. */
export interface Sending {
  /** The answer, or a GatewayError: CONNECT_FAILED, CONNECTION_LOST, UPSTREAM_FAULT. */
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
