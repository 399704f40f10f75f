import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import type { ClientCertificate } from '../../domain/caller.ts';
import type { BodyReader, Call, CallerSide, IncomingBody } from '../../domain/call.ts';
import type { Timed } from '../../domain/deadlines.ts';
import { bodyTooLarge } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { fieldOf, hasField, type RawFields } from '../../domain/http/fields.ts';
import { keepForCaller } from '../../domain/http/reply.ts';
import { type Answer, dropBody } from '../../domain/upstream.ts';
import {
  callOf,
  CollectingBody,
  enterFlow,
  pour,
  pushLength,
  sendOnce,
  type Pouring,
  type AnswerWriter,
} from '../express/http-wire.ts';
import type { Listener } from '../express/connection.ts';
import type { Peer } from '../express/intake.ts';
import { toHttp2Fields, toInterimHeaders, toHttp2Headers, type Http2Head } from './head.ts';

/** A body is handed on in pieces of this size, so that one that is taken slowly is told from one that is not taken. */
const PIECE_BYTES = 64 * 1024;

const NOTHING = Buffer.alloc(0);

/** One call's stream of an HTTP/2 connection: its body comes in here, and its answer goes out. */
export class Http2Wire implements CallerSide, IncomingBody, Pouring, AnswerWriter, Timed {
  /** The stream, under the name that whatever takes a body in knows. */
  readonly req: ServerHttp2Stream;
  readonly head: Http2Head;
  length: number | undefined = 0;
  endsMs = Infinity;
  watchedAt = -1;
  readonly #listener: Listener;
  readonly #connection: Carrying;
  readonly #hasBody: boolean;
  #call: Call | undefined = undefined;
  #collecting: CollectingBody | undefined = undefined;
  #expectsContinue = false;
  /** Of an answer that was handed over whole. */
  #bytesHanded = 0;
  #lastMs = 0;
  #isOver = false;

  constructor(stream: ServerHttp2Stream, head: Http2Head, about: AboutStream) {
    this.req = stream;
    this.head = head;
    this.#listener = about.listener;
    this.#connection = about.connection;
    this.#hasBody = !about.isEnded;
  }

  get connection(): object {
    return this.#connection;
  }

  get certificate(): ClientCertificate | undefined {
    return this.#connection.peer.tls?.certificate;
  }

  /** The request becomes a call. */
  enter(): void {
    const { inHand, refusal } = this.#listener;
    const { head } = this;
    const { peer } = this.#connection;
    inHand.begin();
    this.req.on('close', () => this.#leave()); // once by itself: `once` adds and takes off a listener more
    const came = { req: head, wire: this, peer, isUpgrade: false, refusal: refusal() ?? head.refusal };
    const call = callOf(came, this.#listener);
    if (!this.#hasBody) this.length = 0;
    else if (!hasField(head.rawHeaders, 'content-length')) this.length = undefined;
    this.#expectsContinue = this.length !== 0 && /^100-continue$/i.test(fieldOf(head.rawHeaders, 'expect') ?? '');
    this.#call = call;
    enterFlow(call, this.#listener, this);
  }

  read(bytesMax: number, reader: BodyReader): void {
    if (this.length === 0) reader.onBody(NOTHING);
    else if (this.length !== undefined && this.length > bytesMax) reader.onBodyFailed(bodyTooLarge(bytesMax));
    else {
      this.sendContinue();
      this.#collecting = new CollectingBody(this, { reader, bytesMax, listener: this.#listener });
      this.#collecting.start();
    }
  }

  leave(): void {
    this.#collecting?.stop();
  }

  /** A stream that breaks off ends by itself: there is no other way for its body to fail. */
  onFault(): void {
    // See above.
  }

  /** Says 100 to a caller that waits for it before sending the body, once. */
  sendContinue(): void {
    if (!this.#expectsContinue || this.req.headersSent || this.req.destroyed) return;
    this.#expectsContinue = false;
    this.req.additionalHeaders({ ':status': 100 });
  }

  interim(status: number, fields: RawFields): void {
    if (this.req.headersSent || this.req.destroyed || status === 100 || status === 101) return;
    const passedOn = [...fields];
    keepForCaller(passedOn);
    const headers = toInterimHeaders(status, passedOn);
    if (headers !== undefined) this.req.additionalHeaders(headers);
  }

  send(call: Call, answer: Answer): void {
    sendOnce(call, answer, this);
  }

  get isPast(): boolean {
    return this.req.destroyed || this.req.closed || this.req.headersSent;
  }

  get observe(): Observe {
    return this.#listener.observe;
  }

  /** An answer's head, behind which nothing comes. */
  respondAlone(status: number, fields: readonly string[]): void {
    this.req.respond(toHttp2Fields(status, fields), { endStream: true });
  }

  /**
   * An answer's head, whose body its sender pours. Its end waits for a word of ours: Node says that a stream is
   * over even where it is cut, and what was cut would pass for whole.
   */
  respondPoured(status: number, fields: readonly string[]): void {
    this.req.respond(toHttp2Fields(status, fields), { waitForTrailers: true });
    this.req.on('wantTrailers', () => {
      if (!this.req.closed) this.req.sendTrailers({});
    });
  }

  /** An answer's head, whose body fields follow: those that are there when it ends. */
  respondTrailed(status: number, fields: readonly string[], trailers: () => RawFields): void {
    this.req.respond(toHttp2Fields(status, fields), { waitForTrailers: true });
    this.req.on('wantTrailers', () => {
      if (this.req.closed) return;
      this.req.sendTrailers(toHttp2Headers(trailers()));
      this.#refuseRestLater(); // before, Node would send nothing else
    });
  }

  destroy(): void {
    this.cut();
  }

  /** Too late for another answer: the caller is told that this one is not whole. */
  cut(): void {
    if (!this.req.closed) this.req.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** The answer is not taken: a piece of it has waited for longer than a pause may be. */
  onTimeOver(): void {
    const { deadlines, clock, listen } = this.#listener;
    const endsMs = this.#lastMs + listen.bodyIdleTimeoutMs;
    if (endsMs > clock.nowMs()) deadlines.move(this, endsMs);
    else this.req.close(constants.NGHTTP2_CANCEL);
  }

  write(call: Call, answer: Answer): void {
    const { status, fields, body } = answer;
    if (answer.trailers !== undefined) {
      const { trailers } = answer;
      this.respondTrailed(status, fields, () => trailers);
      if (Buffer.isBuffer(body)) this.#hand(call, body);
      else pour(call, body, this);
      return;
    }
    pushLength(answer, call);
    if (isBodiless(answer, call)) {
      dropBody(answer);
      this.respondAlone(status, fields);
      this.#refuseRestLater();
      this.finish(call);
      return;
    }
    if (this.#hasRest) this.req.once('finish', () => this.#refuseRest());
    if (Buffer.isBuffer(body)) {
      this.req.respond(toHttp2Fields(status, fields));
      this.#hand(call, body);
      return;
    }
    this.respondPoured(status, fields);
    pour(call, body, this);
  }

  /** Of the request's body, some is still to come. */
  get #hasRest(): boolean {
    return this.#hasBody && !this.req.readableEnded;
  }

  #refuseRestLater(): void {
    if (this.#hasRest) setImmediate(() => this.#refuseRest());
  }

  /** A rest of the request's body is of no use: the caller is told so, once the answer is out (RFC 9113 §8.1). */
  #refuseRest(): void {
    if (!this.#hasRest) return;
    if (!this.req.closed) this.req.close(constants.NGHTTP2_NO_ERROR);
    this.req.resume(); // what has come is still to be read, or the stream would never be over
  }

  #hand(call: Call, body: Buffer): void {
    this.#bytesHanded = body.length;
    call.record.bytesOut = body.length;
    this.#connection.handed(body.length);
    this.#move();
    if (body.length <= PIECE_BYTES) this.req.end(body);
    else this.#writeFrom(body, 0);
    this.finish(call);
  }

  #writeFrom(body: Buffer, from: number): void {
    let at = from;
    while (at + PIECE_BYTES < body.length) {
      const isTaken = this.req.write(body.subarray(at, at + PIECE_BYTES));
      at += PIECE_BYTES;
      if (isTaken) continue;
      this.req.once('drain', () => {
        this.#move();
        this.#writeFrom(body, at);
      });
      return;
    }
    this.req.end(body.subarray(at));
  }

  get sink(): Writable {
    return this.req;
  }

  hold(isHeldUp: boolean): void {
    if (isHeldUp) this.#move();
    else this.#listener.deadlines.remove(this);
  }

  end(): void {
    this.req.end();
  }

  /** A piece is under way: it has its time. */
  #move(): void {
    if (this.req.destroyed) return; // what is written now goes nowhere, and is reported by `close`
    const { deadlines, clock, listen } = this.#listener;
    this.#lastMs = clock.nowMs();
    deadlines.move(this, this.#lastMs + listen.bodyIdleTimeoutMs);
  }

  finish(call: Call): void {
    if (this.#isOver) return;
    this.#isOver = true;
    call.over();
  }

  /** The stream is no more. */
  #leave(): void {
    this.#listener.deadlines.remove(this);
    if (!this.req.writableFinished || this.req.aborted) this.#call?.hangUp();
    this.#connection.leave(this.#bytesHanded);
    this.#bytesHanded = 0;
    this.#listener.inHand.end();
  }
}

function isBodiless({ status, body }: Answer, { method }: Call): boolean {
  return status === 204 || status === 304 || method === 'HEAD' || (Buffer.isBuffer(body) && body.length === 0);
}

/** What a connection is to its streams. */
interface Carrying {
  readonly peer: Peer;
  /** An answer was handed to Node whole. */
  handed(bytes: number): void;
  /** A call's answer is out, or its caller is gone. */
  leave(bytes: number): void;
}

interface AboutStream {
  readonly listener: Listener;
  readonly connection: Carrying;
  /** The request has no body. */
  readonly isEnded: boolean;
}
