import { EventEmitter, once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** One request as it came over the wire. */
export interface WireRequest {
  readonly head: string;
  readonly body: Buffer;
  /** How many pieces it came in. */
  readonly pieces: number;
}

/** What an instance does with a request that has come in whole. */
export type Script = (socket: Socket, request: WireRequest) => void;

/** A small instance over plain TCP that does as it is told, well or badly. */
export interface ScriptedUpstream {
  readonly origin: string;
  readonly port: number;
  /** Every request so far, but for those that the gateway makes of its own to see how it is. */
  readonly requests: readonly WireRequest[];
  /** Connections taken so far, and those open now. */
  readonly taken: number;
  readonly open: number;
  /** Emits 'request' with each of them, 'connection', and 'disconnection' when one closes. */
  readonly events: EventEmitter;
  /** Changes what it does from now on with requests; the gateway's own checks may come at any moment, and are no part of it. */
  play(script: Script): void;
  /** Changes what it does with checks; at first it is well. */
  playChecks(script: Script): void;
  /** Ends every connection in good order, and takes new ones. */
  hangUp(): void;
  /** Resets every connection, at once, and takes new ones. */
  reset(): void;
  /** Refuses from now on: closes its port and every connection. */
  stop(): Promise<void>;
}

const isCheck = ({ head }: WireRequest) => head.startsWith('GET /ping ');

/** Starts an instance on a free port of the loopback; it ends with the test. */
export async function startUpstream(t: TestContext, initial: Script): Promise<ScriptedUpstream> {
  const events = new EventEmitter();
  const requests: WireRequest[] = [];
  const sockets = new Set<Socket>();
  let script = initial;
  let checks = answer('');
  let taken = 0;

  const server: Server = createServer(socket => {
    taken += 1;
    sockets.add(socket);
    socket.on('error', () => {
      // The other side may leave as it likes.
    });
    socket.on('close', () => {
      sockets.delete(socket);
      events.emit('disconnection');
    });
    readRequests(socket, request => {
      if (isCheck(request)) {
        checks(socket, request);
        return;
      }
      requests.push(request);
      script(socket, request);
      events.emit('request', request);
    });
    events.emit('connection');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;

  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    await once(server.close(), 'close');
  };
  t.after(stop);

  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    events,
    get taken() {
      return taken;
    },
    get open() {
      return sockets.size;
    },
    play(next) {
      script = next;
    },
    playChecks(next) {
      checks = next;
    },
    hangUp() {
      for (const socket of sockets) socket.end();
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stop,
  };
}

/** The address of a port where nothing listens. */
export async function deadOrigin(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return `http://127.0.0.1:${port}`;
}

/** A complete answer with `Content-Length`. */
export function answer(body: string | Buffer, { status = 200, fields = '' } = {}): Script {
  const content = Buffer.from(body);
  const head = `HTTP/1.1 ${status} Dunno\r\n${fields}Content-Length: ${content.length}\r\n\r\n`;
  return socket => {
    socket.write(Buffer.concat([Buffer.from(head, 'latin1'), content]));
  };
}

/** These very bytes, and no end. */
export function bytes(text: string): Script {
  return socket => {
    socket.write(text, 'latin1');
  };
}

/** These very bytes, and then the connection ends in good order. */
export function bytesThenEnd(text: string): Script {
  return socket => {
    socket.end(text, 'latin1');
  };
}

/** These very bytes, and then the connection is reset. */
export function bytesThenReset(text: string): Script {
  return socket => {
    if (text === '') socket.resetAndDestroy();
    else socket.write(text, 'latin1', () => socket.resetAndDestroy());
  };
}

/** Nothing, ever. */
export const stall: Script = () => {
  // The test ends it.
};

/** Endless zeros after a head that promises `length` bytes, as fast as they are taken. */
export function flood(length: number): Script {
  return socket => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    const block = Buffer.alloc(64 * 1024);
    let left = length;
    const pour = () => {
      while (left > 0 && !socket.destroyed) {
        const piece = block.subarray(0, Math.min(left, block.length));
        left -= piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on('drain', pour);
    pour();
  };
}

function readRequests(socket: Socket, onRequest: (request: WireRequest) => void): void {
  let pending = Buffer.alloc(0);
  let pieces = 0;
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    pieces += 1;
    const headEnd = pending.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = pending.toString('latin1', 0, headEnd + 4);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (pending.length < headEnd + 4 + length) return;
    const body = pending.subarray(headEnd + 4, headEnd + 4 + length);
    pending = pending.subarray(headEnd + 4 + length);
    onRequest({ head, body, pieces });
    pieces = 0;
  });
}

/** An instance that answers when the test says so, and what it says. */
export function byHand() {
  const waiting: Socket[] = [];
  const script: Script = socket => {
    waiting.push(socket);
    socket.on('close', () => {
      if (waiting.includes(socket)) waiting.splice(waiting.indexOf(socket), 1);
    });
  };
  const play = (said: Script) => {
    const socket = waiting.shift();
    if (socket !== undefined) said(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
  };
  return { script, waiting, play, release: (body = '[1]', fields = '') => play(answer(body, { fields })) };
}
