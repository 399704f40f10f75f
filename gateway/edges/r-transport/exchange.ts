import { Readable } from 'node:stream';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines, Timed } from '../../domain/deadlines.ts';
import { GatewayError } from '../../domain/errors.ts';
import type {
  Exchange,
  ExchangeBounds,
  ExchangeEnd,
  ExchangeListener,
  SendOptions,
  UpstreamAnswer,
} from '../../domain/upstream.ts';
import type { AnswerHead } from './answer-head.ts';
import type { AnswerSink } from './answer-reader.ts';

/** What carries an exchange: `Connection`. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** Closes it at once. Of the exchange it reports nothing more. */
  abort(): void;
}

/** What all exchanges with an address share: `Origin`. */
export interface ExchangeHome {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** An exchange has ended, and its listener is about to be called. */
  onExchangeOver(kind: ExchangeEnd['kind']): void;
}

/** What is sent, as the wire has it. */
export interface WireRequest {
  readonly head: string;
  readonly body: Buffer;
  /** Its answer has no body, whatever that says. */
  readonly isHead: boolean;
  /** It says that the connection may be kept. */
  readonly isKept: boolean;
}

/**
 * One exchange under way.
 *
 *   waiting    → sent        a connection was there, and the request was written
 *   sent       → waiting     the connection had been open before, and took nothing of it
 *   sent       → buffering   the head is there
 *   buffering  → over        the answer is complete, or broke off
 *   buffering  → streaming   it outgrows its buffer, or is an event stream
 *   streaming  → over        it is complete, broke off, or the reader left
 *   any        → over        it hung, or was abandoned
 */
export class WireExchange implements Exchange, Timed, AnswerSink {
  sentMs: number | undefined = undefined;
  firstByteMs: number | undefined = undefined;
  endsMs = Infinity;
  watchedAt = -1;
  readonly request: WireRequest;
  readonly #home: ExchangeHome;
  listener: ExchangeListener;
  readonly #bounds: ExchangeBounds;
  readonly #hangEndsMs: number;
  #carrier: Carrier | undefined = undefined;
  #status = 0;
  #fields: string[] = NO_FIELDS;
  #content: Buffer = NO_CONTENT;
  #bytes = 0;
  #streamed: (UpstreamAnswer & { readonly body: AnswerBody }) | undefined = undefined;
  #isPaused = false;
  #isDiscarded = false;
  #isOver = false;

  constructor(home: ExchangeHome, request: WireRequest, { bounds, listener }: SendOptions) {
    this.#home = home;
    this.request = request;
    this.#bounds = bounds;
    this.listener = listener;
    this.#hangEndsMs = home.clock.nowMs() + bounds.hangMsMax;
  }

  /** An R: it looks at whole requests alone, so that one which did not go out whole was never seen. */
  get isForR(): boolean {
    return this.#bounds.reuse !== true;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Its answer is small and comes whole, and its end came so long after its beginning. */
  isLate(byMs: number, bytesMax: number): boolean {
    if (this.#streamed !== undefined || this.#bytes > bytesMax || this.firstByteMs === undefined) return false;
    return this.#home.clock.nowMs() - this.firstByteMs >= byMs;
  }

  /** A connection is to come about within the time for it, which begins `inMs` from now. */
  connecting(inMs = 0): void {
    this.sentMs = undefined;
    const endsMs = this.#home.clock.nowMs() + inMs + this.#bounds.connectTimeoutMs;
    this.#home.deadlines.move(this, Math.min(endsMs, this.#hangEndsMs));
  }

  /** It is carried by this connection now. */
  carried(carrier: Carrier | undefined): void {
    this.#carrier = carrier;
  }

  /** It is about to be written. */
  sent(): void {
    this.sentMs = this.#home.clock.nowMs();
    this.#home.deadlines.move(this, this.#hangEndsMs);
  }

  /** Bytes of an answer have come. */
  onBytes(): void {
    this.firstByteMs ??= this.#home.clock.nowMs();
  }

  discard(): void {
    this.#isDiscarded = true;
    this.#content = NO_CONTENT;
    this.#streamed?.body.destroy();
  }

  onInterim(status: number, fields: string[]): void {
    this.firstByteMs = undefined;
    if (!this.#isOver && !this.#isDiscarded) this.listener.onInterim(status, fields);
  }

  onHead({ status, fields, length, isEventStream }: AnswerHead): void {
    if (this.#isOver) return;
    this.onBytes(); // where an interim answer came with it
    this.#status = status;
    this.#fields = fields;
    if (length === 0) return;
    if (isEventStream || (length !== undefined && length > this.#bounds.bufferBytesMax)) this.#stream();
    else if (length !== undefined && !this.#isDiscarded) this.#content = Buffer.allocUnsafe(length);
  }

  onData(chunk: Buffer, start: number, end: number): void {
    if (this.#isOver) return;
    const before = this.#bytes;
    this.#bytes += end - start;
    if (this.#streamed === undefined && this.#bytes > this.#bounds.bufferBytesMax) this.#stream(before);
    if (this.#streamed !== undefined) this.#pour(Buffer.from(chunk.subarray(start, end)));
    else if (!this.#isDiscarded) {
      this.#makeRoom(before);
      chunk.copy(this.#content, before, start, end);
    }
  }

  /** The answer is complete, and the connection is off its hands. */
  complete(): void {
    if (this.#isOver) return;
    const streamed = this.#streamed;
    if (streamed !== undefined) {
      this.#end({ kind: 'answered', answer: streamed }, () => streamed.body.push(null));
      return;
    }
    const { length } = this.#content;
    const body = length === this.#bytes ? this.#content : this.#content.subarray(0, Math.min(length, this.#bytes));
    this.#end({ kind: 'answered', answer: { status: this.#status, fields: this.#fields, body } });
  }

  /** It has ended otherwise. */
  fail(kind: Exclude<ExchangeEnd['kind'], 'answered'>, failure: GatewayError): void {
    if (this.#isOver) return;
    const body = this.#streamed?.body;
    this.#content = NO_CONTENT;
    this.#end({ kind, failure }, () => body?.destroy(failure));
  }

  /** The gateway itself gives up. */
  abandon(reason: string): void {
    this.fail('abandoned', new GatewayError(this.sentMs === undefined ? 'CONNECT_FAILED' : 'CONNECTION_LOST', reason));
  }

  onTimeOver(): void {
    const { connectTimeoutMs, hangMsMax } = this.#bounds;
    this.#carrier?.abort();
    if (this.sentMs === undefined) {
      this.fail('connect-timeout', new GatewayError('CONNECT_FAILED', `no connection within ${connectTimeoutMs} ms`));
      return;
    }
    const failure = new GatewayError('ATTEMPT_TIMEOUT', `no end within ${hangMsMax} ms`);
    const streamed = this.#streamed;
    // A reader that takes nothing is no fault of the instance's.
    if (streamed === undefined || !this.#isPaused) this.fail('hung', failure);
    else this.#end({ kind: 'answered', answer: streamed }, () => streamed.body.destroy(failure));
  }

  /** The reader takes more. */
  resume(): void {
    if (!this.#isPaused || this.#isOver) return;
    this.#isPaused = false;
    this.#carrier?.resume();
  }

  /** The reader wants no more. The instance has given its answer: nothing of it is lost by closing. */
  leave(): void {
    if (this.#isOver) return;
    const answer = this.#streamed ?? { status: this.#status, fields: this.#fields, body: NO_CONTENT };
    this.#carrier?.abort();
    this.#end({ kind: 'answered', answer });
  }

  /** From here the answer flows only as fast as it is read; when there is no reader any more, it ends. */
  #stream(bytes = 0): void {
    if (this.#isDiscarded) {
      this.leave();
      return;
    }
    const body = new AnswerBody(this);
    this.#streamed = { status: this.#status, fields: this.#fields, body };
    if (bytes > 0) this.#pour(this.#content.subarray(0, bytes));
    this.#content = NO_CONTENT;
    this.listener.onStream(this.#streamed);
  }

  #pour(piece: Buffer): void {
    if (this.#isOver || this.#streamed?.body.push(piece) !== false) return;
    this.#isPaused = true;
    this.#carrier?.pause();
  }

  /** The buffer doubles, where its size is not known from the start. */
  #makeRoom(filled: number): void {
    if (this.#bytes <= this.#content.length) return;
    const grown = Buffer.allocUnsafe(Math.min(Math.max(this.#bytes, filled * 2), this.#bounds.bufferBytesMax));
    this.#content.copy(grown, 0, 0, filled);
    this.#content = grown;
  }

  #end(end: ExchangeEnd, closeBody?: () => void): void {
    this.#isOver = true;
    this.#carrier = undefined;
    this.#home.deadlines.remove(this);
    this.#home.onExchangeOver(end.kind);
    closeBody?.();
    this.listener.onEnd(end);
  }
}

/** An answer's body on its way. */
class AnswerBody extends Readable {
  readonly #exchange: WireExchange;

  constructor(exchange: WireExchange) {
    super();
    this.#exchange = exchange;
    this.on('error', ignore); // who reads listens as well; where there is no reader, there is none to tell
  }

  override _read(): void {
    this.#exchange.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#exchange.leave();
    callback(error);
  }
}

const NO_FIELDS: string[] = [];
const NO_CONTENT = Buffer.alloc(0);

function ignore(): void {
  // Reported by `onEnd`.
}
