import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { GatewayError } from '../domain/errors.ts';
import type { Carrying, Clock, Settled, StreamWanted } from '../domain/ports.ts';
import { ConnectFailure, connectFailure, connectTimeout } from './connect-failure.ts';

/** Silence is looked for so many times within the longest that is allowed. */
const LOOKS_PER_IDLE = 8;

/** What differs between a stream over HTTP and one over an upgraded connection. */
export interface StreamKind {
  /** The caller's connection. */
  readonly socket: Socket;
  /** The request to the instance exists, and is not sent yet. */
  begin(proxyReq: ClientRequest): void;
  /** The instance has answered in HTTP. */
  respond(proxyRes: IncomingMessage): void;
  /** Ends what the caller hears, at once. */
  cutOff(): void;
}

/**
 * What all streams have in common: a connection that must come about, a head that is told once, silence that ends it,
 * and one end.
 */
export class ProxiedStream implements Carrying {
  readonly head: Promise<number>;
  readonly settled: Promise<Settled>;
  readonly timings: { connectMs: number | undefined; firstByteMs: number | undefined };
  readonly bytes = { in: 0, out: 0 };
  readonly #wanted: StreamWanted;
  readonly #kind: StreamKind;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #tellHead: (status: number) => void = ignore;
  #refuseHead: (error: GatewayError) => void = ignore;
  #settle: (settled: Settled) => void = ignore;
  #proxyReq: ClientRequest | undefined;
  #isHeadTold = false;
  #isSilent = false;
  #isOver = false;
  #cancelConnect: () => void = ignore;
  #cancelLook: () => void = ignore;
  #silentLooks = 0;
  #lastBytes = 0;

  constructor(kind: StreamKind, wanted: StreamWanted, clock: Clock) {
    this.#kind = kind;
    this.#wanted = wanted;
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    this.timings = { connectMs: undefined, firstByteMs: undefined };
    this.head = new Promise((resolve, reject) => {
      this.#tellHead = resolve;
      this.#refuseHead = reject;
    });
    this.head.catch(ignore); // who asked may have left
    this.settled = new Promise(resolve => {
      this.#settle = resolve;
    });
    this.#look();
  }

  get origin(): string {
    return this.#wanted.request.origin;
  }

  /** The request to the instance exists; its connection comes about, or not in time. */
  begin(proxyReq: ClientRequest): void {
    this.#proxyReq = proxyReq;
    proxyReq.on('error', ignore); // the proxy listens too, but not after it has ended it
    proxyReq.once('close', () => this.#vanish());
    if (this.#isOver) {
      proxyReq.destroy();
      return;
    }
    const watch = (socket: Socket) => {
      const connected = () => {
        this.#cancelConnect();
        this.timings.connectMs ??= this.#sinceStart();
      };
      socket.once(this.origin.startsWith('https:') ? 'secureConnect' : 'connect', connected);
    };
    const { connectTimeoutMs } = this.#wanted;
    this.#cancelConnect = this.#clock.after(connectTimeoutMs, () => this.fail(connectTimeout(connectTimeoutMs)));
    if (proxyReq.socket === null) proxyReq.once('socket', watch);
    else watch(proxyReq.socket);
    this.#kind.begin(proxyReq);
  }

  /** The instance has answered in HTTP. */
  respond(proxyRes: IncomingMessage): void {
    this.#kind.respond(proxyRes);
  }

  /** The caller is gone; while the head is not told, that is all there is to tell. */
  leave(): void {
    if (!this.#isHeadTold) this.fail(new Error('the caller hung up'));
  }

  /** A switch of protocols that nobody asked for, say, ends the request with neither an answer nor an error. */
  #vanish(): void {
    if (!this.#isHeadTold) this.fail(new Error('over without an answer'));
  }

  /** Something went wrong; what it means depends on how far the stream has come. */
  fail(cause: unknown): void {
    if (this.#isOver) return;
    if (this.#isHeadTold) {
      this.end(this.#isSilent || this.#kind.socket.destroyed ? 'answered' : 'lost');
      this.#kind.cutOff();
      return;
    }
    const { settled, failure } = this.#diagnose(cause);
    this.#refuseHead(failure);
    this.end(settled);
  }

  /** The stream is over, on the instance's side too. */
  end(settled: Settled): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelConnect();
    this.#cancelLook();
    this.#proxyReq?.destroy();
    this.#settle(settled);
  }

  /** What the caller is told of the answer; undefined when it cannot be told, and the stream has failed. */
  headOf({ statusCode, rawHeaders }: IncomingMessage): ReturnType<StreamWanted['toHead']> | undefined {
    this.timings.firstByteMs = this.#sinceStart();
    try {
      return this.#wanted.toHead({ status: statusCode ?? 0, rawHeaders });
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  /** The caller has been told the head. */
  told(status: number): void {
    this.#isHeadTold = true;
    this.#tellHead(status);
  }

  #diagnose(cause: unknown): { settled: Settled; failure: GatewayError } {
    if (cause instanceof GatewayError) return { settled: settledBy(cause), failure: cause };
    if (this.#kind.socket.destroyed) {
      return { settled: 'abandoned', failure: new GatewayError('CALLER_GONE', 'the caller hung up', { cause }) };
    }
    if (this.timings.connectMs === undefined) {
      const { settled, message } = cause instanceof ConnectFailure ? cause : connectFailure(cause);
      return { settled, failure: new GatewayError('CONNECT_FAILED', message, { cause }) };
    }
    if (isBadGrammar(cause)) {
      return { settled: 'malformed', failure: new GatewayError('UPSTREAM_FAULT', 'not HTTP', { cause }) };
    }
    return { settled: 'lost', failure: new GatewayError('CONNECTION_LOST', 'broken off before the head', { cause }) };
  }

  /** Bytes in either direction pass the caller's connection: while its counts stand still, the stream is silent. */
  #look(): void {
    const { idleMsMax } = this.#wanted;
    this.#cancelLook = this.#clock.after(idleMsMax / LOOKS_PER_IDLE, () => {
      const bytes = this.#kind.socket.bytesRead + this.#kind.socket.bytesWritten;
      this.#silentLooks = bytes === this.#lastBytes ? this.#silentLooks + 1 : 0;
      this.#lastBytes = bytes;
      if (this.#silentLooks < LOOKS_PER_IDLE) this.#look();
      else {
        this.#isSilent = true;
        this.fail(new GatewayError('ATTEMPT_TIMEOUT', `not a byte for ${idleMsMax} ms`));
      }
    });
  }

  #sinceStart(): number {
    return this.#clock.nowMs() - this.#startedMs;
  }
}

function settledBy(failure: GatewayError): Settled {
  if (failure.code === 'ATTEMPT_TIMEOUT') return 'hung';
  return failure.code === 'UPSTREAM_FAULT' ? 'malformed' : 'abandoned';
}

/** The parser's complaint, but for the one that the connection ended too early. */
function isBadGrammar(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return false;
  return cause.code.startsWith('HPE_') && cause.code !== 'HPE_INVALID_EOF_STATE';
}

function ignore(): void {
  // See where it is used.
}
