import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Timed } from '../../domain/deadlines.ts';
import { GatewayError } from '../../domain/errors.ts';
import type { UpstreamTls } from '../../domain/service.ts';
import { distrustOf, tlsTowards } from '../tls/upstream.ts';
import { AnswerReader } from './answer-reader.ts';
import type { Carrier, WireExchange } from './exchange.ts';

/** Asks the kernel to acknowledge at once what comes next on a connection. It forgets that again: after each write. */
export type QuickAck = (socket: Socket) => void;

/** Where connections go. */
export interface Address {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Undefined: verified in the usual way, where it is. */
  readonly tls: UpstreamTls | undefined;
  /** Host and port, as a request names them. */
  readonly authority: string;
}

/** What a connection asks of the address it belongs to: `Origin`. */
export interface ConnectionHome {
  readonly quickAck: QuickAck | undefined;
  /** What waits for the end of this turn of the event loop. */
  readonly turnEnd: TurnEnd;
  onWritten(): void;
  /** An answer is complete. The connection can carry another exchange within the next `idleMs`; 0: it cannot. */
  onAnswered(connection: Connection, exchange: WireExchange, idleMs: number): void;
  /** It had been open before, and its exchange is as if never sent. */
  onUnseen(exchange: WireExchange): void;
  /** Nothing can be sent on it any more. */
  onUnfit(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/** What waits until all that this turn of the event loop brought is seen to. */
export class TurnEnd {
  #written = new ConnectionList();
  #closed = new ConnectionList();
  #writtenNext = new ConnectionList();
  #closedNext = new ConnectionList();
  #isSet = false;
  readonly #see = () => this.#all();

  /** Its exchange is written: not before what has come is read, the end of this very connection, perhaps. */
  write(connection: Connection): void {
    this.#written.add(connection);
    this.#set();
  }

  /** It is closed: the caller has the answer first. */
  close(connection: Connection): void {
    this.#closed.add(connection);
    this.#set();
  }

  #set(): void {
    if (this.#isSet) return;
    this.#isSet = true;
    setImmediate(this.#see);
  }

  /** What comes meanwhile waits for the end of the next turn. */
  #all(): void {
    const { written, closed } = { written: this.#written, closed: this.#closed };
    this.#isSet = false;
    this.#written = this.#writtenNext;
    this.#closed = this.#closedNext;
    this.#writtenNext = written;
    this.#closedNext = closed;
    try {
      for (let i = 0; i < written.count; i++) written.at(i)?.write();
      for (let i = 0; i < closed.count; i++) closed.at(i)?.close();
    } finally {
      written.clear();
      closed.clear();
    }
  }
}

/** Connections in a list that keeps its room: an array that is emptied gives it up, and takes new room each turn. */
class ConnectionList {
  count = 0;
  readonly #all: (Connection | undefined)[] = [];

  add(connection: Connection): void {
    this.#all[this.count] = connection;
    this.count += 1;
  }

  at(index: number): Connection | undefined {
    return this.#all[index];
  }

  clear(): void {
    this.#all.fill(undefined, 0, this.count);
    this.count = 0;
  }
}

/** Up to this size head and body are copied into one piece; larger ones are handed over as two, in one write all the same. */
const COPIED_BYTES_MAX = 16 * 1024;

const READ_BYTES = 64 * 1024;

/**
 * What plain connections read into, all of them: the kernel fills it, and what came is read to its end before the next
 * connection's turn.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

/** Where an answer gives no hint: shorter than what common servers keep an idle connection open. */
const IDLE_MS_MAX = 4_000;

/** Less than what it says itself: its clock started earlier than ours. */
const IDLE_MARGIN_MS = 1_000;

/** One connection: opened for a call or ahead of one, carrying one exchange at a time. */
export class Connection implements Timed, Carrier {
  endsMs = Infinity;
  watchedAt = -1;
  /** Exchanges carried to their end. */
  served = 0;
  readonly #home: ConnectionHome;
  readonly #socket: Socket;
  readonly #reader = new AnswerReader();
  readonly #buffer: Buffer;
  #exchange: WireExchange | undefined = undefined;
  #isOpen = false;
  /** It has ended, broke, or said something unasked: nothing can be sent on it. */
  #isUnfit = false;
  /** It was open before it had an exchange. */
  #wasOpen = false;
  #isWritten = false;
  /** Of what was written nothing was taken. */
  #isRefused = false;
  #isPaused = false;

  constructor(home: ConnectionHome, address: Address) {
    this.#home = home;
    this.#buffer = address.isTls ? Buffer.allocUnsafe(READ_BYTES / 4) : READ_BUFFER;
    const onread = { buffer: this.#buffer, callback: (bytes: number) => this.#onBytes(bytes) };
    this.#socket = open(address, onread);
    this.#socket
      .on(address.isTls ? 'secureConnect' : 'connect', () => this.#onOpen())
      .on('end', () => this.#onEnd())
      .on('error', (error: Error) => this.#onError(error))
      .on('close', () => this.#onClose());
  }

  /** Gives it an exchange, which is sent once the connection is open and found fit. */
  carry(exchange: WireExchange): void {
    this.#exchange = exchange;
    this.#wasOpen = this.#isOpen;
    exchange.carried(this);
    if (this.#isOpen) this.#home.turnEnd.write(this);
    else exchange.connecting();
  }

  /** Sends what it was given, if that still waits for it. */
  write(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#isWritten) return;
    if (this.#isUnfit) {
      this.#detach();
      this.#home.onUnseen(exchange);
      return;
    }
    const { head, body, isHead, isKept } = exchange.request;
    this.#isWritten = true;
    this.#reader.begin(exchange, isHead);
    exchange.sent();
    this.#send(head, body);
    this.#isRefused = this.#socket.errored !== null;
    if (isKept && !this.#isRefused) this.#home.quickAck?.(this.#socket);
    this.#home.onWritten();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  abort(): void {
    this.#detach();
    this.close();
  }

  /** Its exchange, if it has one, ends with it. Comes back when it is closed. */
  async abandon(reason: string): Promise<void> {
    const exchange = this.#exchange;
    this.abort();
    exchange?.abandon(reason);
    if (!this.#socket.closed) await new Promise(resolve => this.#socket.once('close', resolve));
  }

  close(): void {
    this.#isUnfit = true;
    this.#socket.destroy();
  }

  /** It was idle for long enough. */
  onTimeOver(): void {
    this.#home.onUnfit(this);
    this.close();
  }

  #send(head: string, body: Buffer): void {
    const socket = this.#socket;
    if (body.length === 0) socket.write(head, 'latin1');
    else if (head.length + body.length <= COPIED_BYTES_MAX) {
      const whole = Buffer.allocUnsafe(head.length + body.length);
      whole.write(head, 'latin1');
      body.copy(whole, head.length);
      socket.write(whole);
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  #onOpen(): void {
    this.#isOpen = true;
    if (this.#exchange !== undefined) this.write();
  }

  #onBytes(bytes: number): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined || !this.#isWritten) {
      // Bytes without a request belong to no call, least of all to the next.
      this.#home.onUnfit(this);
      this.close();
      return true;
    }
    exchange.onBytes();
    const chunk = this.#buffer.subarray(0, bytes);
    const end = this.#reader.read(chunk);
    if (this.#exchange !== exchange) return true; // it was broken off meanwhile
    if (this.#reader.isMalformed) {
      this.abort();
      exchange.fail('malformed', new GatewayError('UPSTREAM_FAULT', `not HTTP: ${this.#reader.head.fault}`));
    } else if (this.#reader.isOver) this.#finish(exchange, end < bytes);
    return true;
  }

  #finish(exchange: WireExchange, hasExcess: boolean): void {
    const idleMs = exchange.request.isKept && !hasExcess ? this.#idleMs() : 0;
    this.#detach();
    if (this.#isPaused) this.resume();
    this.#home.onAnswered(this, exchange, idleMs);
    this.served += 1;
    if (idleMs <= 0) this.#home.turnEnd.close(this);
    exchange.complete();
  }

  /** An answer that came before the whole request was taken leaves the rest of that on the way. */
  #idleMs(): number {
    const { isKeepable, keepAliveS } = this.#reader.head;
    if (!isKeepable || this.#isUnfit || this.#socket.writableLength > 0) return 0;
    return Math.min(IDLE_MS_MAX, keepAliveS * 1_000 - IDLE_MARGIN_MS);
  }

  #onEnd(): void {
    this.#isUnfit = true;
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#home.onUnfit(this);
      this.close();
    } else if (this.#isWritten) {
      if (this.#reader.end()) this.#finish(exchange, false);
      else this.#lose(exchange, new Error('closed by the other side'));
    }
  }

  #onError(error: Error): void {
    this.#isUnfit = true;
    const exchange = this.#exchange;
    if (exchange === undefined) this.#home.onUnfit(this);
    else if (!this.#isOpen) this.#failToOpen(exchange, error);
    else if (this.#isWritten) this.#lose(exchange, error);
  }

  #onClose(): void {
    this.#home.onClosed(this);
    // Closed without a word, as no connection should be: what it carries must not wait for nothing.
    if (this.#exchange !== undefined && (this.#isWritten || !this.#isOpen)) this.#onError(new Error('closed'));
  }

  #lose(exchange: WireExchange, cause: Error): void {
    const isUnseen = this.#wasOpen && this.#isUnseen(exchange, cause);
    const distrust = exchange.firstByteMs === undefined ? distrustOf(this.#socket, cause) : undefined;
    this.abort();
    if (distrust !== undefined) {
      exchange.fail('untrusted', distrust);
      return;
    }
    if (isUnseen) this.#home.onUnseen(exchange);
    else exchange.fail('lost', new GatewayError('CONNECTION_LOST', `broken off: ${codeOf(cause)}`, { cause }));
  }

  /**
   * A write that was refused, and nothing of an answer: sending it again cannot make its effect happen twice (RFC 9110
   * §9.2.2). Refused at once: nothing of it left. Refused half-way: some of it left, and an R has not seen that either.
   */
  #isUnseen(exchange: WireExchange, cause: Error): boolean {
    const isWrite = 'syscall' in cause && cause.syscall === 'write';
    return isWrite && exchange.firstByteMs === undefined && (this.#isRefused || exchange.isForR);
  }

  #failToOpen(exchange: WireExchange, cause: Error): void {
    const distrust = distrustOf(this.#socket, cause);
    this.abort();
    if (distrust !== undefined) {
      exchange.fail('untrusted', distrust);
      return;
    }
    const kind = connectEnd(cause);
    exchange.fail(kind, new GatewayError('CONNECT_FAILED', `no connection: ${kind}`, { cause }));
  }

  #detach(): void {
    this.#exchange?.carried(undefined);
    this.#exchange = undefined;
    this.#reader.leave();
    this.#isWritten = false;
    this.#isRefused = false;
  }
}

interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (bytes: number) => boolean;
}

function open({ hostname, port, isTls, tls }: Address, onread: ReadInto): Socket {
  if (!isTls) return connectTcp({ host: hostname, port, noDelay: true, onread });
  return connectTls({ host: hostname, port, ...tlsTowards(hostname, tls), ...{ onread } });
}

/** What is lacking here, not there: descriptors, local ports, memory. */
const OUR_OWN_LACK: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

/** Tells by the system's code why a connection did not come about. */
export function connectEnd(cause: unknown): 'refused' | 'connect-timeout' | 'abandoned' {
  const code = codeOf(cause);
  if (code === 'ETIMEDOUT') return 'connect-timeout';
  return OUR_OWN_LACK.has(code) ? 'abandoned' : 'refused';
}

/** An address with several faces fails once for each (AggregateError); the first one's code counts for all. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
