import { type ClientRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import { Agent, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware';
import type { Clock } from '../domain/clock.ts';
import type { UpstreamTls } from '../domain/service.ts';
import type { Carrier, StreamOptions } from '../domain/stream.ts';
import { HttpWire } from './express/http-wire.ts';
import { UpgradeWire } from './express/upgrade-wire.ts';
import { carryHttp2 } from './http2/carried.ts';
import { Http2Wire } from './http2/wire.ts';
import { ProxiedStream, toHeaders } from './proxied-stream.ts';
import { tlsTowards } from './tls/upstream.ts';
import { bodyTooLarge, GatewayError } from '../domain/errors.ts';
import { GrpcStream } from './grpc/carried.ts';
import { GrpcConnections } from './grpc/connections.ts';
import { fieldOf, hasField } from '../domain/http/fields.ts';

/**
 * Carries streams and upgrades by http-proxy-middleware, used as a library.
 *
 * It never subscribes to anything itself: each stream comes through the flow, and is given to it with the target that
 * was chosen and the very fields that are to be sent. Its default plugins (an answer of its own to errors, a log) are
 * off. A connection carries one stream, and is closed after it.
 */
export function createCarrier({ clock, grpc = new GrpcConnections() }: CarrierParts): Carrier {
  const streams = new WeakMap<IncomingMessage, ProxiedStream>();
  const proxyBy = (agent: Agent | false) =>
    createProxyMiddleware({
      router: req => streams.get(req)?.origin ?? '',
      agent,
      selfHandleResponse: true,
      ejectPlugins: true,
      plugins: [reportStreams(req => streams.get(req))],
    });
  const plain = proxyBy(false);
  const secureBy = (tls: UpstreamTls | undefined) => {
    const agent = new OwnNameAgent(tls);
    return { agent, proxy: proxyBy(agent) };
  };
  const usual = secureBy(undefined);
  const secures = new WeakMap<UpstreamTls, ReturnType<typeof secureBy>>();
  const secureOf = (tls: UpstreamTls | undefined) => {
    if (tls === undefined) return usual;
    const known = secures.get(tls) ?? secureBy(tls);
    secures.set(tls, known);
    return known;
  };

  return {
    carry(options) {
      const { wire, origin, tls } = options;
      if (origin.startsWith('grpc')) return carryGrpc(options, { clock, grpc });
      const proxy = origin.startsWith('https:') ? secureOf(tls).proxy : plain;
      if (wire instanceof HttpWire) {
        const stream = createHttpStream(wire, options, clock);
        streams.set(wire.req, stream);
        proxy(wire.req, wire.res).catch((error: unknown) => stream.fail(error));
        return stream;
      }
      if (wire instanceof Http2Wire) return carryHttp2(wire, options, { clock, secureAgent: secureOf(tls).agent });
      if (wire instanceof UpgradeWire) {
        const stream = createUpgradeStream(wire, options, clock);
        streams.set(wire.req, stream);
        proxy.upgrade(wire.req, wire.socket, wire.head);
        return stream;
      }
      throw new TypeError('this connection is not of a kind that carries streams');
    },
  };
}

interface CarrierParts {
  readonly clock: Clock;
  readonly grpc?: GrpcConnections;
}

function carryGrpc(options: StreamOptions, { clock, grpc }: Required<CarrierParts>): GrpcStream {
  const { wire, origin } = options;
  if (wire instanceof Http2Wire) return new GrpcStream(wire, options, { clock, session: grpc.to(origin, options.tls) });
  throw new GatewayError('BAD_REQUEST', 'gRPC over HTTP/1.1', {
    detail: 'The service speaks gRPC: call it over HTTP/2.',
  });
}

/** Has a certificate checked under the service's own name, whatever `Host` the instance is sent. */
class OwnNameAgent extends Agent {
  readonly #tls: UpstreamTls | undefined;

  constructor(tls: UpstreamTls | undefined) {
    super({ maxCachedSessions: 0 }); // a session that is taken up again is not verified again
    this.#tls = tls;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    return super.createConnection({ ...options, ...tlsTowards(options.host ?? '', this.#tls) }, callback);
  }
}

/** Passes what the proxy says of a request on to the request's own stream. */
function reportStreams(streamOf: (req: IncomingMessage) => ProxiedStream | undefined): Plugin {
  return server => {
    const begin = (proxyReq: ClientRequest, req: IncomingMessage) => streamOf(req)?.begin(proxyReq);
    server.on('proxyReq', begin);
    server.on('proxyReqWs', begin);
    server.on('proxyRes', (proxyRes, req) => streamOf(req)?.respond(proxyRes));
    server.on('error', (error, req) => {
      if (req !== undefined) streamOf(req)?.fail(error);
    });
    server.on('econnreset', (error, req) => streamOf(req)?.fail(error));
  };
}

/** A long body in either direction, or an event stream. */
function createHttpStream(wire: HttpWire, options: StreamOptions, clock: Clock): ProxiedStream {
  const { req } = wire;
  const kind = {
    socket: req.socket,
    begin: ignore,
    respond: (proxyRes: IncomingMessage) => passOn(proxyRes, { stream, wire, options }),
    cutOff: () => wire.cut(),
    over: () => wire.onFault(undefined),
  };
  const stream = new ProxiedStream(kind, options, clock);
  prepare(wire, options);
  req.on('data', (chunk: Buffer) => {
    if (!stream.countIn(chunk.length)) stream.fail(bodyTooLarge(options.bodyBytesMax));
  });
  req.pause(); // until the proxy takes it: a listener alone would let it flow
  wire.sendContinue();
  wire.onFault(fault => stream.fail(fault));
  return stream;
}

/** Makes the caller's request into the one that is to be sent. */
function prepare({ req }: HttpWire, { message, origin }: StreamOptions): void {
  const framing = framingOf(req.rawHeaders);
  req.url = message.target;
  req.method = message.method;
  req.headers = toHeaders([...message.fields, 'host', message.host ?? new URL(origin).host, ...framing]);
}

interface Passage {
  readonly stream: ProxiedStream;
  readonly wire: HttpWire;
  readonly options: StreamOptions;
}

function passOn(proxyRes: IncomingMessage, { stream, wire, options }: Passage): void {
  const { res } = wire;
  proxyRes.on('error', (error: Error) => stream.fail(error));
  const head = stream.headOf(proxyRes, proxyRes);
  if (head === undefined) return;
  const { status, fields } = head;
  if (wire.closeAfter(status)) fields.push('Connection', 'close');
  res.writeHead(status, fields);
  res.flushHeaders(); // an event stream may have nothing to say for a long time

  proxyRes.once('close', () => {
    if (proxyRes.complete) stream.end();
    else stream.fail(new Error('broken off'));
  });
  res.once('close', () => stream.end());
  if (options.isHeadOnly) {
    res.end();
    return;
  }
  proxyRes.on('data', (chunk: Buffer) => {
    stream.bytesOut += chunk.length;
  });
  proxyRes.pipe(res);
}

/** How the caller frames the body is how it is passed on. */
function framingOf(fields: readonly string[]): string[] {
  if (hasField(fields, 'transfer-encoding')) return ['transfer-encoding', 'chunked'];
  const length = fieldOf(fields, 'content-length');
  return length === undefined ? [] : ['content-length', length];
}

function ignore(): void {
  // Nothing is left to do.
}

/** The protocol that is switched to; the server has let no other through. */
const SWITCH = { connection: 'Upgrade', upgrade: 'websocket' } as const;

const NOTHING = Buffer.alloc(0);

/** A WebSocket: after the head, bytes in both directions until one side has enough. */
function createUpgradeStream(wire: UpgradeWire, options: StreamOptions, clock: Clock): ProxiedStream {
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
    respond: ignore, // the proxy reports answers to calls alone
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
  prepareUpgrade(wire, options);
  return stream;
}

function prepareUpgrade({ req }: UpgradeWire, { message, origin }: StreamOptions): void {
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
