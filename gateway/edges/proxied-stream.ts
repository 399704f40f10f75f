import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { listOf } from '../domain/http/fields.ts';
import type { CarriedStream, StreamEnd, StreamOptions } from '../domain/stream.ts';
import type { Answer, UpstreamAnswer } from '../domain/upstream.ts';
import { connectEnd } from './r-transport/connection.ts';
import { distrustOf } from './tls/upstream.ts';

/** Silence is looked for so many times within the longest that is allowed. */
const LOOKS_PER_IDLE = 8;

/** What differs between a stream over HTTP and one over an upgraded connection. */
export interface StreamKind {
  /** The caller's connection, or what of it is this stream's. */
  readonly socket: Pick<Socket, 'destroyed' | 'bytesRead' | 'bytesWritten'>;
  /** The request to the instance exists, and is not sent yet. */
  begin(proxyReq: ClientRequest): void;
  /** The instance has answered in HTTP. */
  respond(proxyRes: IncomingMessage): void;
  /** Ends what the caller is sent, at once. */
  cutOff(): void;
  /** It is over: whatever was held for it is let go. */
  over(): void;
}

const ANSWERED: StreamEnd = { kind: 'answered' };

/**
 * What all streams have in common: a connection that must come about, a head that is told once, silence that ends it,
 * and one end.
 */
export class ProxiedStream implements CarriedStream {
  connectMs: number | null = null;
  firstByteMs: number | null = null;
  bytesIn = 0;
  bytesOut = 0;
  readonly #options: StreamOptions;
  readonly #kind: StreamKind;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #proxyReq: ClientRequest | undefined = undefined;
  #isHeadSent = false;
  #isConnectLate = false;
  #isSilent = false;
  #isOver = false;
  #cancelConnect: () => void = ignore;
  #cancelLook: () => void = ignore;
  #silentLooks = 0;
  #lastBytes = 0;

  constructor(kind: StreamKind, options: StreamOptions, clock: Clock) {
    this.#kind = kind;
    this.#options = options;
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    this.#look();
  }

  get origin(): string {
    return this.#options.origin;
  }

  /** The request to the instance exists; its connection comes about, or not in time. */
  begin(proxyReq: ClientRequest): void {
    this.#proxyReq = proxyReq;
    proxyReq.on('error', ignore); // the proxy listens too, but not after it has ended it
    proxyReq.once('close', () => this.#vanish());
    proxyReq.on('information', ({ statusCode, rawHeaders }) => {
      if (!this.#isOver) this.#options.listener.onInterim(statusCode, rawHeaders);
    });
    if (this.#isOver) {
      proxyReq.destroy();
      return;
    }
    const watch = (socket: Socket) => {
      const connected = () => {
        this.#cancelConnect();
        this.connectMs ??= this.#sinceStart();
      };
      socket.once(this.origin.startsWith('https:') ? 'secureConnect' : 'connect', connected);
    };
    const { connectTimeoutMs } = this.#options;
    this.#cancelConnect = this.#clock.after(connectTimeoutMs, () => {
      this.#isConnectLate = true;
      this.fail(new Error(`no connection within ${connectTimeoutMs} ms`));
    });
    if (proxyReq.socket === null) proxyReq.once('socket', watch);
    else watch(proxyReq.socket);
    this.#kind.begin(proxyReq);
  }

  /** The instance has answered in HTTP. */
  respond(proxyRes: IncomingMessage): void {
    this.#kind.respond(proxyRes);
  }

  leave(reason: GatewayError): void {
    this.fail(reason);
  }

  /** A part of the request's body passes. */
  countIn(bytes: number): boolean {
    this.bytesIn += bytes;
    return this.bytesIn <= this.#options.bodyBytesMax;
  }

  /** A switch of protocols that was not asked for, say, ends the request with neither an answer nor an error. */
  #vanish(): void {
    if (!this.#isHeadSent) this.fail(new Error('over without an answer'));
  }

  /** Something went wrong; what it means depends on how far the stream has come. */
  fail(cause: unknown): void {
    if (this.#isOver) return;
    if (!this.#isHeadSent) {
      this.end(this.#diagnose(cause));
      return;
    }
    const isUsual = this.#isSilent || this.#kind.socket.destroyed;
    this.#kind.cutOff();
    this.end(isUsual ? ANSWERED : lossOf(cause));
  }

  /** The stream is over, on the instance's side too. */
  end(end: StreamEnd = ANSWERED): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelConnect();
    this.#cancelLook();
    this.#kind.over();
    this.#proxyReq?.destroy();
    this.#options.listener.onEnd(end);
  }

  /** What the caller is sent of the answer; undefined when it cannot be sent, and the stream has failed. */
  headOf({ statusCode, rawHeaders }: IncomingMessage, body: UpstreamAnswer['body']): AnswerHead | undefined {
    this.firstByteMs = this.#sinceStart();
    try {
      if (this.#isOver) return undefined;
      if (!isCodedInChunksAtMost(rawHeaders))
        throw new GatewayError('UPSTREAM_FAULT', 'a body in a coding unasked for');
      const head = this.#options.listener.onHead({ status: statusCode ?? 0, fields: rawHeaders, body });
      this.#isHeadSent = true;
      return head;
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  #diagnose(cause: unknown): StreamEnd {
    if (cause instanceof GatewayError) return { kind: kindOf(cause), failure: cause };
    if (this.#kind.socket.destroyed) {
      return { kind: 'abandoned', failure: new GatewayError('CALLER_GONE', 'the caller hung up', { cause }) };
    }
    const distrust = distrustOf(this.#proxyReq?.socket, cause);
    if (distrust !== undefined) return { kind: 'untrusted', failure: distrust };
    if (this.connectMs === null) return this.#withoutConnection(cause);
    if (isBadGrammar(cause)) {
      return { kind: 'malformed', failure: new GatewayError('UPSTREAM_FAULT', 'not HTTP', { cause }) };
    }
    return { kind: 'lost', failure: new GatewayError('CONNECTION_LOST', 'broken off before the head', { cause }) };
  }

  #withoutConnection(cause: unknown): StreamEnd {
    const kind = this.#isConnectLate ? 'connect-timeout' : connectEnd(cause);
    return { kind, failure: new GatewayError('CONNECT_FAILED', `no connection: ${kind}`, { cause }) };
  }

  /** Bytes in either direction pass the caller's connection: while its counts stand still, the stream is silent. */
  #look(): void {
    const { idleMsMax } = this.#options;
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

/** What is said of an answer; its fields are a list that may be changed. */
type AnswerHead = Pick<Answer, 'status' | 'fields'>;

/** A body that is coded otherwise would be passed on coded, and without a word of it (RFC 9112 §6.1). */
function isCodedInChunksAtMost(fields: readonly string[]): boolean {
  const codings = listOf(fields, 'transfer-encoding');
  return codings.length === 0 || (codings.length === 1 && codings[0]?.toLowerCase() === 'chunked');
}

/** What cuts a stream that has begun: its caller's fault, or the instance's. */
function lossOf(cause: unknown): StreamEnd {
  if (cause instanceof GatewayError && cause.fault === 'caller') return { kind: 'abandoned', failure: cause };
  return { kind: 'lost', failure: new GatewayError('CONNECTION_LOST', 'broken off in the middle', { cause }) };
}

function kindOf(failure: GatewayError): 'hung' | 'malformed' | 'abandoned' {
  if (failure.code === 'ATTEMPT_TIMEOUT') return 'hung';
  return failure.code === 'UPSTREAM_FAULT' ? 'malformed' : 'abandoned';
}

/** The parser's complaint, but for the one that the connection ended too early. */
function isBadGrammar(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') return false;
  return cause.code.startsWith('HPE_') && cause.code !== 'HPE_INVALID_EOF_STATE';
}

/** Raw fields as Node's client takes them: by name, those of one name together. */
export function toHeaders(fields: readonly string[]): IncomingHttpHeaders {
  const headers = Object.create(null) as Record<string, string | string[]>; // `constructor` is a name like any other
  const spelled = new Map<string, string>(); // the first spelling stands for all of a name
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    const key = spelled.get(name.toLowerCase()) ?? name;
    spelled.set(name.toLowerCase(), key);
    const before = headers[key];
    if (Array.isArray(before)) before.push(value);
    else headers[key] = before === undefined ? value : [before, value];
  }
  return headers;
}

function ignore(): void {
  // See where it is used.
}
