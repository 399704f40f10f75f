import { STATUS_CODES, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { fieldOf } from '../domain/http/fields.ts';
import type { Clock, StreamWanted } from '../domain/ports.ts';
import type { UpgradeWire } from './express/wire.ts';
import { ProxiedStream } from './proxied-stream.ts';
import { toHeaders } from './upstream-fields.ts';

/** The protocol that is switched to; `isWebSocket` has let no other through. */
const SWITCH = { connection: 'Upgrade', upgrade: 'websocket' } as const;

/** A WebSocket: after the head, bytes in both directions until one side has enough. */
export function createUpgradeStream(wire: UpgradeWire, wanted: StreamWanted, clock: Clock): ProxiedStream {
  const { socket } = wire.req;
  const [letEnd, stopWatching] = [holdOpen(socket), watchForEnd(socket)];
  const letGo = () => {
    letEnd();
    stopWatching();
  };
  const kind = {
    socket,
    begin(proxyReq: ClientRequest) {
      // These come before the proxy's own listeners, which then send what is written here.
      proxyReq.once('upgrade', (proxyRes: IncomingMessage, instance: Socket) => {
        join(proxyRes, instance, { stream, socket, letGo });
      });
      proxyReq.once('response', (proxyRes: IncomingMessage) => answerInstead(proxyRes, { stream, socket, letGo }));
    },
    respond: () => {
      // The proxy tells of answers to calls alone.
    },
    cutOff() {
      letGo();
      socket.destroy();
    },
  };
  const stream = new ProxiedStream(kind, wanted, clock);
  void stream.settled.then(letGo);
  socket.once('close', () => stream.leave());
  prepare(wire, wanted);
  return stream;
}

function prepare({ req }: UpgradeWire, { request }: StreamWanted): void {
  const host = request.host ?? new URL(request.origin).host;
  req.url = request.target;
  req.headers = { ...toHeaders([...request.rawHeaders, 'host', host]), ...SWITCH };
}

interface Ends {
  readonly stream: ProxiedStream;
  readonly socket: Socket;
  /** From here the caller's connection is the proxy's to read and to end. */
  readonly letGo: () => void;
}

/** The instance answers instead of switching: that is the answer, and the end. */
function answerInstead(proxyRes: IncomingMessage, { stream, socket, letGo }: Ends): void {
  const head = stream.headOf(proxyRes);
  if (head === undefined) {
    proxyRes.destroy();
    return;
  }
  proxyRes.statusCode = head.status;
  proxyRes.statusMessage = STATUS_CODES[head.status] ?? 'Unknown'; // R's word is no phrase
  proxyRes.headers = toHeaders([...head.fields, ...framingOf(proxyRes.rawHeaders)]);
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytes.out += chunk.length;
  });
  letGo();
  stream.told(head.status);
  socket.once('close', () => stream.end('answered'));
}

function join(proxyRes: IncomingMessage, instance: Socket, { stream, socket, letGo }: Ends): void {
  instance.on('error', error => stream.fail(error));
  const head = stream.headOf(proxyRes);
  if (head === undefined) {
    letGo();
    socket.destroy();
    instance.destroy();
    return;
  }
  proxyRes.headers = { ...toHeaders(head.fields), ...SWITCH };
  letGo();
  stream.told(head.status);
  socket.on('data', (chunk: Buffer) => {
    stream.bytes.in += chunk.length;
  });
  instance.on('data', (chunk: Buffer) => {
    stream.bytes.out += chunk.length;
  });
  // A pipe passes an end on, but not a connection that is simply gone.
  socket.once('close', () => instance.destroy());
  instance.once('close', () => {
    socket.destroySoon();
    stream.end('answered');
  });
}

/**
 * Keeps a connection from being ended until it may. The proxy ends the caller's when the instance fails, before anybody
 * could say why; the flow, which answers, ends it then.
 */
function holdOpen(socket: Socket): () => void {
  const own = Object.getOwnPropertyDescriptor(socket, 'end');
  socket.end = () => socket;
  return () => {
    if (own === undefined) Reflect.deleteProperty(socket, 'end');
    else Object.defineProperty(socket, 'end', own);
  };
}

/** A connection that nobody reads does not show that its caller has left: it is read, and nothing taken, until it is joined. */
function watchForEnd(socket: Socket): () => void {
  const look = () => {
    if (socket.readableLength === 0) socket.read(); // nothing there to be read is the end, and is told when asked for
  };
  const gone = () => void socket.destroy();
  socket.on('readable', look).once('end', gone);
  return () => void socket.off('readable', look).off('end', gone);
}

function framingOf(rawHeaders: readonly string[]): string[] {
  const framing: string[] = [];
  for (const name of ['transfer-encoding', 'content-length']) {
    const value = fieldOf(rawHeaders, name);
    if (value !== undefined) framing.push(name, value);
  }
  return framing;
}
