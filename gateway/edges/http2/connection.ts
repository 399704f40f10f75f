import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Timed } from '../../domain/deadlines.ts';
import type { Peer } from '../express/intake.ts';
import type { Listener } from '../express/connection.ts';
import { toHttp2Head } from './head.ts';
import { Http2Wire } from './wire.ts';

/** Pings, settings and the like that a caller may send within the time of one window: each is answered, and asks nothing. */
const CONTROL_FRAMES_MAX = 1_000;
const CONTROL_WINDOW_MS = 10_000;

/**
 * A caller's connection that speaks HTTP/2. Its streams are bounded by its settings; here is what these do not bound:
 * answers that wait unread, frames that ask nothing, and a connection that carries no call.
 */
export class Http2Connection implements Timed {
  readonly peer: Peer;
  endsMs = Infinity;
  watchedAt = -1;
  readonly #session: ServerHttp2Session;
  readonly #listener: Listener;
  readonly #waiting: Http2Wire[] = [];
  #streams = 0;
  #bytesUnread = 0;
  #hasCalled = false;
  #controlFrames = 0;
  #windowMs = 0;

  constructor(session: ServerHttp2Session, { peer, listener }: AboutConnection) {
    this.#session = session;
    this.#listener = listener;
    this.peer = peer;
    session.on('ping', () => this.#countControl());
    session.on('remoteSettings', () => this.#countControl());
    session.once('close', () => listener.deadlines.remove(this));
    this.#rest();
  }

  /** A request came: it is taken now, or when answers before it are read. */
  add(stream: ServerHttp2Stream, raw: readonly string[], flags: number): void {
    const isEnded = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const wire = new Http2Wire(stream, toHttp2Head(raw), { listener: this.#listener, connection: this, isEnded });
    this.#streams += 1;
    this.#hasCalled = true;
    this.#listener.deadlines.remove(this);
    if (this.#hasRoom()) wire.enter();
    else this.#wait(wire);
  }

  /** An answer was handed to Node whole. */
  handed(bytes: number): void {
    this.#bytesUnread += bytes;
  }

  /** A call's answer is out, or its caller is gone. */
  leave(bytes: number): void {
    this.#bytesUnread -= bytes;
    this.#gone();
    while (this.#waiting.length > 0 && this.#hasRoom()) {
      const wire = this.#waiting.shift();
      if (wire?.req.closed === false) wire.enter();
    }
  }

  /** Nothing new is taken: the caller is told which streams will still be answered, and the connection ends with them. */
  refuse(): void {
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
  }

  /** No call for too long; or never one. */
  onTimeOver(): void {
    this.refuse();
  }

  #wait(wire: Http2Wire): void {
    this.#waiting.push(wire);
    wire.req.once('close', () => {
      const at = this.#waiting.indexOf(wire);
      if (at < 0) return; // it was taken, and has left by itself
      this.#waiting.splice(at, 1);
      this.#gone();
    });
  }

  #hasRoom(): boolean {
    return this.#bytesUnread < this.#listener.listen.bytesPerConnectionMax;
  }

  #gone(): void {
    this.#streams -= 1;
    if (this.#streams > 0 || this.#session.destroyed) return;
    if (this.#listener.refusal() !== undefined) this.refuse();
    else this.#rest();
  }

  /** Without a call a connection is kept for a while; bytes that are none yet do not lengthen it. */
  #rest(): void {
    const { deadlines, clock, listen } = this.#listener;
    const keptMs = this.#hasCalled ? Math.max(1, listen.keepAliveTimeoutMs) : listen.headersTimeoutMs;
    deadlines.move(this, clock.nowMs() + keptMs);
  }

  #countControl(): void {
    const nowMs = this.#listener.clock.nowMs();
    if (nowMs - this.#windowMs > CONTROL_WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#controlFrames = 0;
    }
    this.#controlFrames += 1;
    if (this.#controlFrames > CONTROL_FRAMES_MAX) this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

interface AboutConnection {
  readonly peer: Peer;
  readonly listener: Listener;
}
