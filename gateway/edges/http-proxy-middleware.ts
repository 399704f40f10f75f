import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware';
import type { Clock } from '../domain/clock.ts';
import type { UpstreamTls } from '../domain/service.ts';
import type { Carrier, StreamOptions } from '../domain/stream.ts';
import { HttpWire } from './express/http-wire.ts';
import { UpgradeWire } from './express/upgrade-wire.ts';
import { carryHttp2 } from './http2/carried.ts';
import { Http2Wire } from './http2/wire.ts';
import { ProxiedStream, toHeaders } from './proxied-stream.ts';
import { createUpgradeStream } from './proxied-upgrade.ts';
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
      plugins: [tellStreams(req => streams.get(req))],
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

/** Passes what the proxy tells of a request on to the request's own stream. */
function tellStreams(streamOf: (req: IncomingMessage) => ProxiedStream | undefined): Plugin {
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
export function createHttpStream(wire: HttpWire, options: StreamOptions, clock: Clock): ProxiedStream {
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
  // Nothing is left to do before it is sent.
}
