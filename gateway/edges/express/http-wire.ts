import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import type { ClientCertificate } from '../../domain/caller.ts';
import { Call, type BodyReader, type CallerSide, type IncomingBody } from '../../domain/call.ts';
import { bodyTooLarge, toGatewayError, GatewayError } from '../../domain/errors.ts';
import { hasField, type RawFields } from '../../domain/http/fields.ts';
import { keepForCaller } from '../../domain/http/reply.ts';
import type { Observe } from '../../domain/events.ts';
import { lingerAtEnd, type Connection, type Listener } from './connection.ts';
import type { Came } from './intake.ts';
import type { Timed } from '../../domain/deadlines.ts';
import { type Answer, dropBody } from '../../domain/upstream.ts';

/** A body up to this size is sent together with its head. */
const ONE_WRITE_BYTES_MAX = 4 * 1024;

/** What is left of a body that is of no use is read to its end up to this size; beyond, the connection is closed. */
const DRAIN_BYTES_MAX = 64 * 1024;

const TOO_SLOW = 408;
const NOTHING = Buffer.alloc(0);

/** One call's two halves of a connection, as Node made them: its body comes in here, and its answer goes out. */
export class HttpWire implements CallerSide, IncomingBody, Pouring, AnswerWriter {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The announced size of the body; undefined when it comes in chunks. */
  length: number | undefined = 0;
  /** What came behind it is no request: the connection ends with its answer. */
  isLast = false;
  readonly #listener: Listener;
  readonly #connection: Connection;
  #call: Call | undefined = undefined;
  #expectsContinue: boolean;
  #fault: GatewayError | undefined = undefined;
  #onFault: ((fault: GatewayError) => void) | undefined = undefined;
  #reader: BodyReader | undefined = undefined;
  #bytesMax = 0;
  #collecting: CollectingBody | undefined = undefined;
  #bytesHanded = 0;
  /** A piece of a poured answer waits for its caller to take it. */
  #isHeldUp = false;
  #isOver = false;

  constructor(req: IncomingMessage, res: ServerResponse, about: AboutWire) {
    this.req = req;
    this.res = res;
    this.#listener = about.listener;
    this.#connection = about.connection;
    this.#expectsContinue = about.expectsContinue;
  }

  get connection(): object {
    return this.#connection;
  }

  get certificate(): ClientCertificate | undefined {
    return this.#connection.peer.tls?.certificate;
  }

  /** The request becomes a call. */
  enter(): void {
    const { req, res } = this;
    const { inHand, refusal } = this.#listener;
    inHand.begin();
    res.on('close', () => this.#leave());
    const { peer } = this.#connection;
    const call = callOf({ req, wire: this, peer, isUpgrade: false, refusal: refusal() }, this.#listener);
    this.#call = call;
    enterFlow(call, this.#listener, this);
  }

  read(bytesMax: number, reader: BodyReader): void {
    if (this.length === 0) reader.onBody(NOTHING);
    else if (this.length !== undefined && this.length > bytesMax) reader.onBodyFailed(bodyTooLarge(bytesMax));
    else {
      this.sendContinue();
      this.#reader = reader;
      this.#bytesMax = bytesMax;
      // What came in one packet with the head is parsed when the head is dealt with.
      if (this.req.complete) this.look();
      else process.nextTick(lookAt, this);
    }
  }

  leave(): void {
    this.#reader = undefined;
    this.#collecting?.stop();
  }

  /** A small body lies here whole by now: neither a listener nor a time for it. */
  look(): void {
    const { req } = this;
    const reader = this.#reader;
    if (reader === undefined) return;
    if (this.#fault !== undefined || !req.complete) {
      this.#collect(reader);
      return;
    }
    this.#reader = undefined;
    if (req.readableLength > this.#bytesMax) reader.onBodyFailed(bodyTooLarge(this.#bytesMax));
    else reader.onBody((req.read() as Buffer | null) ?? NOTHING);
  }

  #collect(reader: BodyReader): void {
    this.#collecting = new CollectingBody(this, { reader, bytesMax: this.#bytesMax, listener: this.#listener });
    this.#collecting.start();
  }

  /** What the connection brings in place of the body's rest is none. */
  fail(fault: GatewayError): void {
    this.#fault ??= fault;
    this.#onFault?.(this.#fault);
  }

  /** What takes the body in is called with such a fault, be it past or to come. */
  onFault(onFault: ((fault: GatewayError) => void) | undefined): void {
    this.#onFault = onFault;
    if (this.#fault !== undefined) onFault?.(this.#fault);
  }

  /** Says `100 Continue` to a caller that waits for it before sending the body, once. */
  sendContinue(): void {
    if (!this.#expectsContinue) return;
    this.#expectsContinue = false;
    this.res.writeContinue();
  }

  /** HTTP/1.0 knows neither interim answers nor chunks. */
  get isTen(): boolean {
    return this.req.httpVersionMinor === 0;
  }

  interim(status: number, fields: RawFields): void {
    if (this.isTen || this.res.headersSent || this.res.destroyed || status === 100 || status === 101) return;
    const passedOn = [...fields];
    keepForCaller(passedOn);
    this.res.writeInformation(status, passedOn);
  }

  send(call: Call, answer: Answer): void {
    sendOnce(call, answer, this);
  }

  get isPast(): boolean {
    return this.res.destroyed || this.res.headersSent;
  }

  get observe(): Observe {
    return this.#listener.observe;
  }

  destroy(): void {
    this.res.destroy();
  }

  /** Its first bytes wait for the caller to take them. */
  get isStuck(): boolean {
    const { socket, writableEnded } = this.res;
    return (writableEnded || this.#isHeldUp) && (socket?.writableLength ?? 0) > 0;
  }

  /** The connection must not be used after this answer; what is read of it from here on is thrown away. */
  closeAfter(status: number): boolean {
    const { req } = this;
    if (!this.isLast && this.#listener.refusal() === undefined && !this.#isRestUnwanted(status)) return false;
    if (!req.complete) lingerAtEnd(req, this.#listener.clock);
    return true;
  }

  /** A body that was not taken in whole: a short rest may come and go, for a long one the connection is not worth it. */
  #isRestUnwanted(status: number): boolean {
    if (this.#expectsContinue) return true; // the caller may send it yet, or not: there is no telling
    if (status === TOO_SLOW) return true; // it might come for ever (RFC 9110 §15.5.9)
    if (this.#isOfferIgnored()) return true; // what came behind it may be lost: the caller is to send it again
    return !this.req.complete && (this.length === undefined || this.length > DRAIN_BYTES_MAX);
  }

  /** Another protocol was offered, and the request is answered in this one. */
  #isOfferIgnored(): boolean {
    const { upgrade, connection } = this.req.headers;
    return upgrade !== undefined && connection !== undefined && /upgrade/i.test(connection);
  }

  write(call: Call, answer: Answer): void {
    const { req, res } = this;
    const { status, fields, body } = answer;
    const isBodiless = status === 204 || status === 304;
    pushLength(answer, call);
    if (this.closeAfter(status)) fields.push('Connection', 'close');
    res.writeHead(status, fields);
    if (isBodiless || call.method === 'HEAD') {
      dropBody(answer);
      this.#hand(call, NOTHING);
    } else if (Buffer.isBuffer(body)) this.#hand(call, body);
    else pour(call, body, this);
    // What is left of the body must not stand between this request and the next one on the connection.
    if (!req.complete) req.resume();
  }

  #hand(call: Call, body: Buffer): void {
    this.#bytesHanded = body.length;
    call.record.bytesOut = body.length;
    // A short body goes out with the head as one text, in one write: Node sends a buffer as a second piece.
    if (body.length <= ONE_WRITE_BYTES_MAX) this.res.end(body.toString('latin1'), 'latin1');
    else this.res.end(body);
    this.#connection.handed(body.length);
    this.finish(call);
  }

  get sink(): Writable {
    return this.res;
  }

  hold(isHeldUp: boolean): void {
    this.#isHeldUp = isHeldUp;
    this.#connection.watch();
  }

  end(): void {
    this.res.end();
    this.#connection.watch();
  }

  /** Too late for another answer: a cut one is told from a whole one by its length, or by a connection that is reset. */
  cut(): void {
    const { socket } = this.res;
    // Over TLS the end that was not announced tells it.
    if (this.isTen && socket !== null && this.#connection.peer.tls === undefined) socket.resetAndDestroy();
    this.res.destroy();
  }

  finish(call: Call): void {
    if (this.#isOver) return;
    this.#isOver = true;
    call.over();
  }

  /** This half of the connection is done with the call. */
  #leave(): void {
    if (!this.res.writableFinished) this.#call?.hangUp();
    if (this.isLast) this.req.socket.destroySoon(); // its head may have been out before
    this.#connection.leave(this, this.#bytesHanded);
    this.#bytesHanded = 0;
    this.#listener.inHand.end();
  }
}

interface AboutWire {
  readonly listener: Listener;
  readonly connection: Connection;
  readonly expectsContinue: boolean;
}

const lookAt = (wire: HttpWire) => wire.look();

/** The request becomes a call of the listener's. */
export function callOf(came: Came, { intake, clock, back, deadlines }: Listener): Call {
  const arrivedMs = clock.nowMs();
  const call = new Call(intake.receive(came), { arrivedMs, back, deadlines });
  came.peer.tls?.mark(call);
  return call;
}

/** The flow never throws; should it, the caller waits for nothing. */
export function enterFlow(call: Call, { enter, observe }: Listener, wire: Pick<CallerSide, 'destroy'>): void {
  try {
    enter(call);
  } catch (error) {
    observe({ kind: 'internal-error', where: 'edge', error, requestId: call.id });
    wire.destroy();
  }
}

/** Where an answer goes. */
export interface AnswerWriter extends Pick<CallerSide, 'destroy'> {
  /** The caller is gone, or has its answer. */
  readonly isPast: boolean;
  readonly observe: Observe;
  write(call: Call, answer: Answer): void;
  finish(call: Call): void;
}

/** Writes an answer to a caller that is there and has none; an error of ours ends the connection. */
export function sendOnce(call: Call, answer: Answer, to: AnswerWriter): void {
  if (to.isPast) {
    dropBody(answer);
    to.finish(call);
    return;
  }
  try {
    to.write(call, answer);
  } catch (error) {
    to.observe({ kind: 'internal-error', where: 'edge', error, requestId: call.id });
    call.record.code = 'INTERNAL';
    dropBody(answer);
    to.destroy();
    to.finish(call);
  }
}

/** Where a stream of an answer goes. */
export interface Pouring {
  readonly sink: Writable;
  /** A piece waits for the caller to take it; or waits no longer. */
  hold(isHeldUp: boolean): void;
  /** It came to its end. */
  end(): void;
  cut(): void;
  finish(call: Call): void;
}

/** Moves a stream to the caller as fast as the caller takes it, counting as it goes. */
export function pour(call: Call, body: Readable, to: Pouring): void {
  const { sink } = to;
  call.poured = body;
  body.on('data', (chunk: Buffer) => {
    call.record.bytesOut += chunk.length;
    if (sink.write(chunk)) return;
    body.pause();
    to.hold(true);
  });
  sink.on('drain', () => {
    to.hold(false);
    body.resume();
  });
  body.once('end', () => {
    to.end();
    to.finish(call);
  });
  body.once('error', error => {
    call.record.code ??= toGatewayError(error).code;
    to.cut();
  });
  body.once('close', () => {
    if (!body.readableEnded) call.record.code ??= 'CALLER_GONE';
    to.finish(call);
  });
}

/** The answer to HEAD may have brought the length that its body had, or not know it. */
export function pushLength({ status, fields, body }: Answer, { method }: Call): void {
  if (!Buffer.isBuffer(body) || status === 204 || status === 304) return;
  const isDue = method !== 'HEAD' || (body.length > 0 && !hasField(fields, 'content-length'));
  if (isDue) fields.push('Content-Length', String(body.length));
}

/** Where a body comes from, and what tells that its rest is none. */
interface BodySource {
  readonly req: Readable;
  onFault(onFault: ((fault: GatewayError) => void) | undefined): void;
}

/** A body that comes in pieces, and is bounded in bytes and by its pauses. */
export class CollectingBody implements Timed {
  endsMs = Infinity;
  watchedAt = -1;
  readonly #wire: BodySource;
  readonly #about: AboutBody;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #lastMs = 0;

  constructor(wire: BodySource, about: AboutBody) {
    this.#wire = wire;
    this.#about = about;
  }

  start(): void {
    const { deadlines, clock, listen } = this.#about.listener;
    this.#lastMs = clock.nowMs();
    deadlines.move(this, this.#lastMs + listen.bodyIdleTimeoutMs);
    this.#wire.req.on('data', this.#take).on('end', this.#finish).on('close', this.#cutOff);
    this.#wire.onFault(this.#refuse);
  }

  stop(): void {
    this.#about.listener.deadlines.remove(this);
    this.#wire.onFault(undefined);
    this.#wire.req.off('data', this.#take).off('end', this.#finish).off('close', this.#cutOff);
    this.#chunks.length = 0; // the call may be in hand for long yet, and has its body once
  }

  /** Pieces only note their time: it is looked at when the body could be late. */
  onTimeOver(): void {
    const { deadlines, clock, listen } = this.#about.listener;
    const endsMs = this.#lastMs + listen.bodyIdleTimeoutMs;
    if (endsMs > clock.nowMs()) deadlines.move(this, endsMs);
    else this.#refuse(new GatewayError('REQUEST_TIMEOUT', `no byte of the body for ${listen.bodyIdleTimeoutMs} ms`));
  }

  readonly #take = (chunk: Buffer): void => {
    this.#lastMs = this.#about.listener.clock.nowMs();
    this.#bytes += chunk.length;
    if (this.#bytes > this.#about.bytesMax) this.#refuse(bodyTooLarge(this.#about.bytesMax));
    else this.#chunks.push(chunk);
  };

  readonly #finish = (): void => {
    const content = Buffer.concat(this.#chunks, this.#bytes);
    this.stop();
    this.#about.reader.onBody(content);
  };

  readonly #cutOff = (): void => {
    this.#refuse(new GatewayError('BAD_REQUEST', 'the body was cut off', { detail: CUT_OFF }));
  };

  readonly #refuse = (failure: GatewayError): void => {
    this.stop();
    this.#wire.req.pause();
    this.#about.reader.onBodyFailed(failure);
  };
}

interface AboutBody {
  readonly reader: BodyReader;
  readonly bytesMax: number;
  readonly listener: Pick<Listener, 'listen' | 'deadlines' | 'clock'>;
}

const CUT_OFF = 'The body ended before it was complete.';
