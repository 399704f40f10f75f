import { createServer, type ServerHttp2Session, type ServerHttp2Stream, type ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { ListenOptions, Peer } from '../express/intake.ts';
import type { Listener } from '../express/connection.ts';
import { Http2Connection } from './connection.ts';

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
  // eslint-disable-next-line max-params -- as Node tells of a stream
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
