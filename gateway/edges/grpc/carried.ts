import { constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { Clock } from '../../domain/clock.ts';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import { CODES, encodeMessage } from '../../domain/grpc/status.ts';
import { timeoutMsOf } from '../../domain/grpc/speech.ts';
import { fieldOf } from '../../domain/http/fields.ts';
import { keepForCaller } from '../../domain/http/reply.ts';
import type { CarriedStream, StreamEnd, StreamOptions } from '../../domain/stream.ts';
import type { Http2Wire } from '../http2/wire.ts';
import { toHttp2Headers } from '../http2/head.ts';
import { distrustIn } from './session.ts';

/** Silence is looked for so many times within the longest that is allowed. */
const LOOKS_PER_IDLE = 8;

/** What an instance may refuse and another is given: a longer body goes to one instance. */
const SENT_BYTES_MAX = 64 * 1024;

/** What of callers' bodies was sent to an instance that has refused them. */
const refusedBodies = new WeakMap<Http2Wire['req'], readonly Buffer[]>();

interface CarryParts {
  readonly clock: Clock;
  readonly session: ClientHttp2Session;
}

/**
 * One call of gRPC on its way to an instance that speaks it: messages pass in both directions as they come, and the
 * trailers behind them. The caller's `grpc-timeout` ends it on both sides; so does a caller who leaves.
 */
export class GrpcStream implements CarriedStream {
  connectMs: number | null = null;
  firstByteMs: number | null = null;
  bytesIn = 0;
  bytesOut = 0;
  /** Another instance can have the caller's body whole. */
  isUntouched = true;
  readonly #wire: Http2Wire;
  readonly #options: StreamOptions;
  readonly #clock: Clock;
  readonly #session: ClientHttp2Session;
  readonly #startedMs: number;
  readonly #cancels: (() => void)[] = [];
  #stream: ClientHttp2Stream | undefined = undefined;
  #isHeadSent = false;
  #trailers: readonly string[] = [];
  #lastMs = 0;
  #isOver = false;
  /** What was sent before there was a head. */
  #sent: Buffer[] = [];
  #letGo: () => void = () => undefined;

  constructor(wire: Http2Wire, options: StreamOptions, { clock, session }: CarryParts) {
    this.#wire = wire;
    this.#options = options;
    this.#clock = clock;
    this.#session = session;
    this.#startedMs = clock.nowMs();
    this.#lastMs = this.#startedMs;
    this.#limitTime();
    wire.req.once('close', this.#callerClosed);
    if (session.connecting) this.#awaitConnection();
    else this.#begin();
  }

  leave(reason: GatewayError): void {
    this.#fail(reason);
  }

  #limitTime(): void {
    const timeoutMs = timeoutMsOf(fieldOf(this.#options.message.fields, 'grpc-timeout') ?? '');
    if (timeoutMs !== undefined && timeoutMs < LONGEST_MS) this.#after(timeoutMs, () => this.#outOfTime(timeoutMs));
    this.#look();
  }

  #after(ms: number, then: () => void): void {
    this.#cancels.push(this.#clock.after(ms, then));
  }

  #look(): void {
    const { idleMsMax } = this.#options;
    const cancel = this.#clock.after(idleMsMax / LOOKS_PER_IDLE, () => {
      this.#cancels.splice(this.#cancels.indexOf(cancel), 1);
      if (this.#clock.nowMs() - this.#lastMs < idleMsMax) this.#look();
      else this.#fail(new GatewayError('ATTEMPT_TIMEOUT', `not a byte for ${idleMsMax} ms`));
    });
    this.#cancels.push(cancel);
  }

  #awaitConnection(): void {
    const session = this.#session;
    const { connectTimeoutMs } = this.#options;
    const settled = () => {
      cancel();
      session.off('connect', connected).off('close', closed);
    };
    const connected = () => {
      settled();
      if (!this.#isOver) this.#begin();
    };
    const closed = () => {
      settled();
      const distrust = distrustIn(session);
      if (distrust !== undefined) this.#end({ kind: 'untrusted', failure: distrust });
      else this.#end({ kind: 'refused', failure: new GatewayError('CONNECT_FAILED', 'no connection') });
    };
    const cancel = this.#clock.after(connectTimeoutMs, () => {
      settled();
      session.destroy();
      this.#end({
        kind: 'connect-timeout',
        failure: new GatewayError('CONNECT_FAILED', `no connection within ${connectTimeoutMs} ms`),
      });
    });
    this.#cancels.push(settled);
    session.once('connect', connected).once('close', closed);
  }

  #begin(): void {
    const { message, origin } = this.#options;
    const { length } = this.#wire;
    if (this.#session.closed || this.#session.destroyed) {
      this.#end({ kind: 'refused', failure: new GatewayError('CONNECT_FAILED', 'the connection ended') });
      return;
    }
    this.connectMs = this.#sinceStart();
    const headers = {
      ...toHttp2Headers([...message.fields, 'te', 'trailers']),
      ...{ ':method': message.method, ':path': message.target, ':authority': message.host ?? new URL(origin).host },
    };
    const stream = this.#session.request(headers, { endStream: length === 0 });
    this.#stream = stream;
    stream.on('error', ignore); // `close` follows, and tells all there is to tell
    stream.once('response', (_headers: IncomingHttpHeaders, flags: number, raw: string[] = []) =>
      this.#respond(flags, raw),
    );
    stream.once('trailers', (_trailers: IncomingHttpHeaders, _flags: number, raw: string[] = []) => {
      keepForCaller(raw);
      this.#trailers = raw;
    });
    stream.once('close', () => this.#closed(stream));
    if (length !== 0) this.#passBody(stream);
  }

  /** What another instance has refused comes first. */
  #passBody(stream: ClientHttp2Stream): void {
    const { req } = this.#wire;
    const refused = refusedBodies.get(req);
    if (refused === undefined) this.#wire.sendContinue();
    refusedBodies.delete(req);
    for (const chunk of refused ?? []) this.#pass(chunk, stream);
    if (req.readableEnded) {
      stream.end();
      return;
    }
    const pass = (chunk: Buffer) => {
      this.#pass(chunk, stream);
    };
    const end = () => stream.end();
    stream.on('drain', () => req.resume());
    req.on('data', pass).once('end', end);
    this.#letGo = () => {
      req.pause();
      req.off('data', pass).off('end', end);
    };
    if (req.isPaused() && !stream.writableNeedDrain) req.resume();
  }

  #pass(chunk: Buffer, stream: ClientHttp2Stream): void {
    this.#lastMs = this.#clock.nowMs();
    this.bytesIn += chunk.length;
    if (this.bytesIn <= SENT_BYTES_MAX && !this.#isHeadSent) this.#sent.push(chunk);
    else this.#keepNothing();
    const { bodyBytesMax } = this.#options;
    if (this.bytesIn > bodyBytesMax) this.#fail(bodyTooLarge(bodyBytesMax));
    else if (!stream.destroyed && !stream.write(chunk)) this.#wire.req.pause();
  }

  #keepNothing(): void {
    this.#sent = [];
    this.isUntouched = false;
  }

  #respond(flags: number, raw: string[]): void {
    const stream = this.#stream;
    if (stream === undefined || this.#isOver) return;
    this.firstByteMs = this.#sinceStart();
    this.#lastMs = this.#clock.nowMs();
    const status = Number(fieldOf(raw, ':status'));
    const fields = raw.filter((_, i) => raw[i - (i % 2)]?.startsWith(':') === false);
    try {
      const head = this.#options.listener.onHead({ status, fields, body: stream });
      this.#isHeadSent = true;
      this.#keepNothing();
      const { req } = this.#wire;
      if (req.destroyed || req.closed) return;
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#wire.respondAlone(head.status, head.fields);
      else this.#pour(stream, head);
    } catch (error) {
      this.#fail(error);
    }
  }

  #pour(
    stream: ClientHttp2Stream,
    { status, fields }: { readonly status: number; readonly fields: readonly string[] },
  ): void {
    const { req } = this.#wire;
    this.#wire.respondTrailed(status, fields, () => this.#trailers);
    stream.on('data', (chunk: Buffer) => {
      this.#lastMs = this.#clock.nowMs();
      this.bytesOut += chunk.length;
      if (!req.destroyed && !req.write(chunk)) stream.pause();
    });
    req.on('drain', () => stream.resume());
    stream.once('end', () => {
      // Where it was cut off there is an end as well, and no trailers.
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR && this.#trailers.length > 0) req.end();
    });
  }

  #closed(stream: ClientHttp2Stream): void {
    if (this.#isOver) return;
    const { rstCode } = stream;
    const isWhole =
      rstCode === constants.NGHTTP2_NO_ERROR && (this.#trailers.length > 0 || this.#wire.req.writableEnded);
    if (this.#isHeadSent && isWhole) {
      this.#end(ANSWERED);
      return;
    }
    if (rstCode === constants.NGHTTP2_REFUSED_STREAM && this.isUntouched) this.#refused();
    else this.#fail(new Error(`the stream ended with the code ${rstCode}`));
  }

  /** The instance has not seen it: it says so of the stream, or of all behind the last that it takes (RFC 9113 §8.7). */
  #refused(): void {
    this.#letGo();
    refusedBodies.set(this.#wire.req, this.#sent);
    this.#end({ kind: 'lost', failure: new GatewayError('CONNECTION_LOST', 'the instance refused the stream') });
  }

  /** The caller's side is over: whole, or given up. */
  readonly #callerClosed = (): void => {
    if (this.#isOver) return;
    const { req } = this.#wire;
    if (this.#isHeadSent && req.writableFinished && !req.aborted) this.#end(ANSWERED);
    else this.#fail(new GatewayError('CALLER_GONE', 'the caller hung up'));
  };

  /** Behind a head there is still a place for how it ended. */
  #outOfTime(timeoutMs: number): void {
    const failure = new GatewayError('DEADLINE_EXCEEDED', `no end within ${timeoutMs} ms`);
    const { req } = this.#wire;
    if (this.#isHeadSent && !this.#isOver && req.headersSent && !req.writableEnded) {
      this.#trailers = ['grpc-status', String(CODES.DEADLINE_EXCEEDED), 'grpc-message', encodeMessage(failure.detail)];
      req.end();
      this.#end({ kind: 'abandoned', failure });
      return;
    }
    this.#fail(failure);
  }

  #fail(cause: unknown): void {
    if (this.#isOver) return;
    this.#keepNothing(); // the instance may have seen it
    const failure =
      cause instanceof GatewayError ? cause : new GatewayError('CONNECTION_LOST', 'the call broke off', { cause });
    if (this.#isHeadSent) this.#wire.cut();
    this.#end({ kind: KINDS[failure.code] ?? 'abandoned', failure });
  }

  #end(end: StreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#wire.req.off('close', this.#callerClosed);
    const stream = this.#stream;
    if (stream !== undefined && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    this.#options.listener.onEnd(end);
  }

  #sinceStart(): number {
    return this.#clock.nowMs() - this.#startedMs;
  }
}

const ANSWERED: StreamEnd = { kind: 'answered' };

/** Timers take no longer times. */
const LONGEST_MS = 2 ** 31;

/** Who is at fault for the end of one that has failed, where it is not its caller. */
const KINDS: Readonly<Partial<Record<string, 'lost' | 'hung' | 'malformed'>>> = {
  CONNECTION_LOST: 'lost',
  ATTEMPT_TIMEOUT: 'hung',
  UPSTREAM_FAULT: 'malformed',
};

function ignore(): void {
  // See where it is used.
}
