import { STATUS_CODES, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../domain/clock.ts';
import { fieldOf } from '../domain/http/fields.ts';
import type { StreamOptions } from '../domain/stream.ts';
import type { UpgradeWire } from './express/upgrade-wire.ts';
import { ProxiedStream, toHeaders } from './proxied-stream.ts';

/** The protocol that is switched to; the server has let no other through. */
const SWITCH = { connection: 'Upgrade', upgrade: 'websocket' } as const;

const NOTHING = Buffer.alloc(0);

/** A WebSocket: after the head, bytes in both directions until one side has enough. */
export function createUpgradeStream(wire: UpgradeWire, options: StreamOptions, clock: Clock): ProxiedStream {
  const { socket, head } = wire;
  const readBefore = socket.bytesRead - head.length;
  const [letEnd, stopWatching] = [holdOpen(socket), watchForEnd(socket)];
  const letGo = () => {
    letEnd();
    stopWatching();
  };
  /** Pieces are not listened for: the first listener would take what the proxy's pipes are to have. */
  let count: () => void = ignore;
  const kind = {
    socket,
    begin(proxyReq: ClientRequest) {
      // These come before the proxy's own listeners, which then send what is written here.
      proxyReq.once('upgrade', (proxyRes: IncomingMessage, instance: Socket, first: Buffer) => {
        const answeredBefore = instance.bytesRead - first.length;
        count = () => {
          stream.bytesIn = socket.bytesRead - readBefore;
          stream.bytesOut = instance.bytesRead - answeredBefore;
        };
        join(proxyRes, instance, { stream, socket, letGo });
      });
      proxyReq.once('response', (proxyRes: IncomingMessage) => answerInstead(proxyRes, { stream, socket, letGo }));
    },
    respond: ignore, // the proxy tells of answers to calls alone
    cutOff() {
      letGo();
      socket.destroy();
    },
    over() {
      letGo();
      count();
    },
  };
  const stream = new ProxiedStream(kind, options, clock);
  prepare(wire, options);
  return stream;
}

function prepare({ req }: UpgradeWire, { message, origin }: StreamOptions): void {
  const host = message.host ?? new URL(origin).host;
  req.url = message.target;
  req.headers = { ...toHeaders([...message.fields, 'host', host]), ...SWITCH };
}

interface Ends {
  readonly stream: ProxiedStream;
  readonly socket: Socket;
  /** From here the caller's connection is the proxy's to read and to end. */
  readonly letGo: () => void;
}

/** The instance answers instead of switching: that is the answer, and the end. */
function answerInstead(proxyRes: IncomingMessage, { stream, socket, letGo }: Ends): void {
  proxyRes.on('error', (error: Error) => stream.fail(error));
  const transferCoding = fieldOf(proxyRes.rawHeaders, 'transfer-encoding');
  const head = stream.headOf(proxyRes, proxyRes);
  if (head === undefined) {
    proxyRes.destroy();
    return;
  }
  proxyRes.statusCode = head.status;
  proxyRes.statusMessage = STATUS_CODES[head.status] ?? 'Unknown'; // R's word is no phrase
  proxyRes.headers = toHeaders(head.fields);
  if (transferCoding !== undefined) proxyRes.headers['transfer-encoding'] = transferCoding;
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytesOut += chunk.length;
  });
  letGo();
  socket.once('close', () => stream.end());
}

function join(proxyRes: IncomingMessage, instance: Socket, { stream, socket, letGo }: Ends): void {
  instance.on('error', error => stream.fail(error));
  const head = stream.headOf(proxyRes, NOTHING);
  if (head === undefined) {
    letGo();
    socket.destroy();
    instance.destroy();
    return;
  }
  proxyRes.headers = { ...toHeaders(head.fields), ...SWITCH };
  letGo();
  // A pipe passes an end on, but not a connection that is simply gone.
  socket.once('close', () => instance.destroy());
  instance.once('close', () => {
    socket.destroySoon();
    stream.end();
  });
}

/**
 * Keeps a connection from being ended until it may. The proxy ends the caller's when the instance fails, before the flow
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

/** A connection that is not read does not show that its caller has left: it is read, and nothing taken, until it is joined. */
function watchForEnd(socket: Socket): () => void {
  const look = () => {
    if (socket.readableLength === 0) socket.read(); // nothing there to be read is the end, and is told when asked for
  };
  const gone = () => void socket.destroy();
  socket.on('readable', look).once('end', gone);
  return () => void socket.off('readable', look).off('end', gone);
}

function ignore(): void {
  // See where it is used.
}
