import {
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
  constants,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Server } from 'node:http';
import type { ListenOptions, Peer } from '../express/intake.ts';
import type { Listener } from '../express/connection.ts';
import type { Timed } from '../../domain/deadlines.ts';
import { toHttp2Head } from './head.ts';
import { Http2Wire } from './wire.ts';

const MIB = 1024 * 1024;

/** Streams that a caller may open and reset at once, for each that it may have open; then so many a second. */
const RESETS_PER_STREAM = 4;
const RESETS_MIN = 100;
const RESETS_PER_SECOND = 33;

/** What a connection may hold beside its answers: Node's own default. */
const SESSION_MIB = 10;

/** Whatever speaks HTTP/2 with callers. */
export interface Http2Server {
  /** Takes over a connection on which nothing was read yet, or what was read was put back. */
  readonly take: (socket: Socket) => void;
  /** Each connection ends with the calls in hand on it. */
  refuse(): void;
  /** Ends every connection, whatever is in hand. */
  closeAll(): void;
}

/** Node's HTTP/2, with each stream made into a call and given to the flow: Express does not speak it. */
export function createHttp2Server(listener: Listener, peerOf: (socket: Socket) => Peer): Http2Server {
  const connections = new Map<ServerHttp2Session, Http2Connection>();
  const peers = new WeakMap<ServerHttp2Session, Peer>();
  const server = createServer(optionsFrom(listener.listen));
  let taking: Socket | undefined;
  server.on('session', session => {
    const peer = taking === undefined ? undefined : peerOf(taking);
    if (peer === undefined) {
      session.destroy();
      return;
    }
    peers.set(session, peer);
    const connection = new Http2Connection(session, { peer, listener });
    connections.set(session, connection);
    session.once('close', () => connections.delete(session));
  });
  server.on('sessionError', ignore); // it is over by then
  const onStream = (stream: ServerHttp2Stream, flags: number, raw: readonly string[]) => {
    stream.on('error', ignore); // 'close' follows, and tells all there is to tell
    const connection = stream.session === undefined ? undefined : connections.get(stream.session as ServerHttp2Session);
    if (connection === undefined) stream.destroy();
    else connection.add(stream, raw, flags);
  };
  // eslint-disable-next-line max-params -- as Node says of a stream
  server.on('stream', (stream, _headers, flags, raw: readonly string[] = []) =>
    onStream(stream as ServerHttp2Stream, flags, raw),
  );

  return {
    take(socket) {
      taking = socket;
      server.emit('connection', socket);
      taking = undefined;
    },
    refuse() {
      for (const connection of connections.values()) connection.refuse();
    },
    closeAll() {
      for (const session of connections.keys()) session.destroy();
    },
  };
}

/** Node has them, and its types do not. */
interface ResetBounds {
  readonly streamResetBurst: number;
  readonly streamResetRate: number;
}

function optionsFrom(listen: ListenOptions): ServerOptions & ResetBounds {
  const { urlBytesMax, headerBytesMax, requestsPerConnectionMax, bytesPerConnectionMax } = listen;
  return {
    settings: {
      maxConcurrentStreams: requestsPerConnectionMax,
      // What is over `headerBytesMax` is answered as such; what is far over it is not read to its end.
      maxHeaderListSize: 2 * (urlBytesMax + headerBytesMax),
      enableConnectProtocol: false,
    },
    maxHeaderListPairs: Math.ceil(headerBytesMax / 8), // bounded by size; a count would refuse what HTTP/1.1 takes
    maxSessionMemory: SESSION_MIB + Math.ceil(bytesPerConnectionMax / MIB),
    streamResetBurst: Math.max(RESETS_MIN, RESETS_PER_STREAM * requestsPerConnectionMax),
    streamResetRate: RESETS_PER_SECOND,
  };
}

function ignore(): void {
  // See where it is used.
}

/** How HTTP/2 begins (RFC 9113 §3.4); no method of HTTP/1.1 is called so. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

interface Choice {
  readonly take: (socket: Socket) => void;
  /** How long a caller may take to show what it speaks. */
  readonly waitMs: number;
}

/** Has connections of a plain server that begin as HTTP/2 does taken elsewhere, with nothing of them read. */
export function chooseByPreface(server: Server, { take, waitMs }: Choice): void {
  const http1 = server.listeners('connection') as ((this: Server, socket: Socket) => void)[];
  server.removeAllListeners('connection').on('connection', (socket: Socket) => {
    let begun = Buffer.alloc(0);
    const late = () => socket.destroy();
    const look = () => {
      const more = socket.read() as Buffer | null;
      if (more === null) return;
      begun = Buffer.concat([begun, more]); // put back when it is enough: what is put back is reported again
      const length = Math.min(begun.length, PREFACE.length);
      const isLike = begun.subarray(0, length).equals(PREFACE.subarray(0, length));
      if (isLike && length < PREFACE.length) return;
      socket.off('readable', look).off('timeout', late).off('end', late).off('error', late).setTimeout(0);
      if (isLike) {
        socket.unshift(begun);
        take(socket);
        return;
      }
      for (const listener of http1) listener.call(server, socket);
      // When Node has begun to read: before, it would begin again after the edge has stopped it for these very bytes.
      socket.once('resume', () => socket.unshift(begun));
    };
    socket.on('readable', look).on('timeout', late).on('end', late).on('error', late).setTimeout(waitMs);
  });
}

/** Pings, settings and the like that a caller may send within the time of one window: each is answered, and asks nothing. */
const CONTROL_FRAMES_MAX = 1_000;
const CONTROL_WINDOW_MS = 10_000;

/**
 * A caller's connection that speaks HTTP/2. Its streams are bounded by its settings; here is what these do not bound:
 * answers that wait unread, frames that ask nothing, and a connection that carries no call.
 */
class Http2Connection implements Timed {
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
