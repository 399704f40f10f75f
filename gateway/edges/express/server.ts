import express, { type ErrorRequestHandler, type Express } from 'express';
import { once } from 'node:events';
import { createServer as createHttpServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { randomUUID } from 'node:crypto';
import type { Call, WayBack } from '../../domain/call.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Deadlines } from '../../domain/deadlines.ts';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { createCertificates, type CertificateExpiry } from '../tls/certificates.ts';
import { createRedirect, type Redirect, createTlsServer, endAll } from '../tls/server.ts';
import { securePeerOf, type AboutTls } from '../tls/secure-peer.ts';
import { createHttp2Server, chooseByPreface } from '../http2/server.ts';
import { Connection, InHand, type Listener } from './connection.ts';
import { HttpWire } from './http-wire.ts';
import { Intake, type ListenOptions, type Peer } from './intake.ts';
import { UpgradeWire, answerRaw } from './upgrade-wire.ts';
import { toProblem } from '../../domain/http/reply.ts';

/** Slow heads are looked for at least so often. */
const CHECK_INTERVAL_MS_MAX = 1_000;

/** A silent connection is asked after so long whether its caller is still there. */
const PROBE_AFTER_MS = 60_000;

/** What a caller is told to wait before asking again while this gateway drains: another one answers by then. */
const DRAINING_RETRY_MS = 1_000;

/** What a listener is made of. */
export interface ServerParts {
  readonly listen: ListenOptions;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** Where the flow begins for each call: `enter` of `createFlow`. It never throws. */
  readonly enter: (call: Call) => void;
  readonly back: WayBack;
  readonly observe: Observe;
}

/** The listener for callers. */
export interface GatewayServer {
  /** Resolves with the address it got. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** From now on new requests are refused with DRAINING; those in hand go on. */
  refuse(): void;
  /** Takes nothing more, waits for what is in hand, and after `withinMs` ends what is left. */
  close(withinMs: number): Promise<void>;
  /** Requests and streams whose reply is not over. */
  readonly inFlight: number;
  /** The plain port that redirects here, where there is one and it listens. */
  readonly redirectPort: number | undefined;
  /** Of the certificates that are shown. */
  expiries(): readonly CertificateExpiry[];
}

/** Express on Node's HTTP server, with everything that comes in made into a call and given to the flow. */
export function createServer(parts: ServerParts): GatewayServer {
  const { listen, clock, observe } = parts;
  const inHand = new InHand(clock);
  /** The connections that have left Node's server by an upgrade; no more than its connections, which bound them. */
  const upgraded = new Set<Duplex>();
  let draining: GatewayError | undefined;
  const listener: Listener = { ...parts, intake: new Intake(listen), inHand, refusal: () => draining };
  const tls = tlsOf(listen, observe);
  const doors = new Doors(listener, { upgraded, tls });
  const app = createApp(doors.request, observe);
  const options = { ...serverOptions(listen, doors), ...messagesOf(app) };
  const http2 = createHttp2Server(listener, socket => doors.peerOf(socket));
  const server =
    tls === undefined ? createHttpServer(options) : createTlsServer(options, { tls, takeHttp2: http2.take });
  server.maxConnections = listen.connectionsMax;
  server.maxHeadersCount = 0; // bounded by size; a count would drop the rest without a word
  subscribe(server, doors, entranceOf(app, doors.request, observe));
  if (listen.h2c === true && tls === undefined) {
    chooseByPreface(server, { take: http2.take, waitMs: listen.headersTimeoutMs });
    endAll(server);
  }
  const redirect = redirectTo(server, listen);

  const refuse = () => {
    draining ??= new GatewayError('DRAINING', 'the gateway is draining', { retryAfterMs: DRAINING_RETRY_MS });
    server.closeIdleConnections();
    http2.refuse();
  };

  return {
    async listen() {
      tls?.certificates.open();
      server.listen({ host: listen.host, port: listen.port });
      await once(server, 'listening'); // rejects with the server's error
      const { address, port } = server.address() as AddressInfo;
      await redirect?.listen();
      return { host: address, port };
    },
    refuse,
    async close(withinMs) {
      refuse();
      tls?.certificates.close();
      await redirect?.close();
      const closed = server.listening ? once(server.close(), 'close') : Promise.resolve();
      await inHand.settle(withinMs);
      http2.closeAll();
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      await closed;
    },
    get inFlight() {
      return inHand.count;
    },
    get redirectPort() {
      return redirect?.port;
    },
    expiries: () => tls?.certificates.expiries() ?? [],
  };
}

/** What a listener has of TLS; undefined where it is a plain one. */
function tlsOf({ tls, headersTimeoutMs }: ListenOptions, observe: Observe): AboutTls | undefined {
  if (tls === undefined) return undefined;
  const certificates = createCertificates({ files: [tls, ...tls.more], clientCa: tls.clientCa, observe });
  return { certificates, hstsSeconds: tls.hstsSeconds, handshakeTimeoutMs: headersTimeoutMs };
}

function redirectTo(server: Server, { redirectFrom, ...listen }: ListenOptions): Redirect | undefined {
  if (redirectFrom === undefined) return undefined;
  return createRedirect({ ...listen, redirectFrom, securePort: () => (server.address() as AddressInfo).port });
}

function serverOptions(listen: ListenOptions, doors: Doors) {
  return {
    insecureHTTPParser: false,
    requireHostHeader: false, // the intake does, and answers as the gateway answers
    // Node counts the URL in; each has its own bound here, looked at when the head is there.
    maxHeaderSize: listen.headerBytesMax + listen.urlBytesMax,
    headersTimeout: listen.headersTimeoutMs,
    requestTimeout: 0, // a body is bounded by its pauses, the whole by the route
    keepAliveTimeout: Math.max(1, listen.keepAliveTimeoutMs), // 0 would mean for ever
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS_MAX, listen.headersTimeoutMs),
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
    noDelay: true,
    shouldUpgradeCallback: (req: IncomingMessage) => isWebSocket(req) || doors.mayPassOver(req),
  };
}

/** True for the one protocol that is switched to; the offer of any other, `h2c` say, is passed over (RFC 9110 §7.8). */
function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}

/** What can come in over a connection, and what becomes of it. */
class Doors {
  readonly #listener: Listener;
  readonly #upgraded: Set<Duplex>;
  readonly #tls: AboutTls | undefined;
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #continuing = new WeakSet<IncomingMessage>();

  constructor(listener: Listener, { upgraded, tls }: AboutDoors) {
    this.#listener = listener;
    this.#upgraded = upgraded;
    this.#tls = tls;
  }

  readonly request: Handle = (req, res) => {
    const connection = this.#connectionOf(req.socket);
    const expectsContinue = req.headers.expect !== undefined && this.#continuing.has(req);
    connection.add(new HttpWire(req, res, { listener: this.#listener, connection, expectsContinue }));
  };

  expectContinue(req: IncomingMessage): void {
    this.#continuing.add(req);
  }

  /**
   * An offer is passed over by reading the request again without it: behind one that it leaves as it is, Node's parser
   * loses what came in the same packet. Where that cannot be, `HttpWire` closes the connection after the answer.
   */
  mayPassOver({ headers, socket }: IncomingMessage): boolean {
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
    return !hasBody && this.#connectionOf(socket).isIdle;
  }

  upgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    new UpgradeWire(req, socket, { head, listener: this.#listener }).enter(this.#connectionOf(socket).peer);
  }

  /** What is no request at all. */
  fault(error: ProtocolFault, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (isLate && connection?.excusesLateHead(() => this.#refuse(error, socket)) === true) return;
    this.#refuse(error, socket);
  }

  #refuse(error: ProtocolFault, socket: Duplex): void {
    const { listen } = this.#listener;
    const failure = toFailure(error, socket, listen.urlBytesMax);
    const open = this.#connections.get(socket)?.last;
    if (open !== undefined && !open.res.writableFinished) {
      if (failure === undefined || error.code === undefined)
        socket.destroy(); // after CONNECT it is Node's no more
      else if (open.req.complete) open.isLast = true;
      else open.fail(failure);
    } else if (failure === undefined) socket.destroy();
    else refuseRaw(failure, socket, this.#listener);
  }

  peerOf(socket: Socket): Peer {
    return this.#listener.intake.peerOf(socket.remoteAddress, this.#tls && securePeerOf(socket, this.#tls));
  }

  #connectionOf(socket: Socket): Connection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const { listen, clock } = this.#listener;
    const connection = new Connection(socket, { peer: this.peerOf(socket), bounds: listen, clock });
    this.#connections.set(socket, connection);
    return connection;
  }
}

interface AboutDoors {
  readonly upgraded: Set<Duplex>;
  readonly tls: AboutTls | undefined;
}

function subscribe(server: Server, doors: Doors, entrance: Handle): void {
  const request = (req: IncomingMessage, res: ServerResponse) => {
    // Express routes by path; a target that is none goes straight to where it is answered.
    if (req.url?.startsWith('/') === true) entrance(req, res);
    else doors.request(req, res);
  };
  server
    .on('request', request)
    .on('checkExpectation', request) // what else is expected need not be met (RFC 9110 §10.1.1)
    .on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      doors.expectContinue(req);
      request(req, res);
    })
    .on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
      if (isWebSocket(req)) doors.upgrade(req, socket, head);
      else {
        socket.removeAllListeners('pause').removeAllListeners('resume'); // the server's, which adds them once more
        socket.unshift(Buffer.concat([withoutOffer(req), head]));
        server.emit('connection', socket);
      }
    })
    .on('connect', (_req: IncomingMessage, socket: Duplex) => doors.fault(new Error('CONNECT'), socket)) // no tunnel
    .on('clientError', (error: Error, socket: Duplex) => doors.fault(error, socket));
}

/** A request's head as it came, but for the offer of another protocol. */
function withoutOffer({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    if (name.toLowerCase() === 'upgrade') continue;
    const kept = name.toLowerCase() === 'connection' ? value.replace(/\bupgrade\b/gi, '') : value;
    head += `${name}: ${kept}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, 'latin1');
}

/** Takes a request of Node's server. */
export type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** Express, with all that comes in given to one handler. */
export function createApp(handle: Handle, observe: Observe): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(handle);
  app.use(problemHandler(observe));
  return app;
}

/** Layers that `createApp` itself puts on the router. */
const OWN_LAYERS = 2;

/**
 * Where a request goes first. As long as nothing is mounted beside the one handler, the router finds that alone: then it
 * is called at once, which spares each call a tenth of what it allocates.
 */
export function entranceOf(app: Express, handle: Handle, observe: Observe): Handle {
  if (app.router.stack.length > OWN_LAYERS) return app;
  return (req, res) => {
    try {
      handle(req, res);
    } catch (error) {
      answerFault(error, res, observe);
    }
  };
}

/** Express's last word, for what fails outside the flow. */
function problemHandler(observe: Observe): ErrorRequestHandler {
  // eslint-disable-next-line max-params, @typescript-eslint/no-unused-vars -- Express knows it by its four parameters
  return (error: unknown, _req, res, _next) => answerFault(error, res, observe);
}

/** The same problem that a stage's failure becomes. */
function answerFault(error: unknown, res: ServerResponse, observe: Observe): void {
  const id = randomUUID();
  observe({ kind: 'internal-error', where: 'express', error, requestId: id });
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { status, fields, body } = toProblem(new GatewayError('INTERNAL', 'outside the flow'), id);
  res.writeHead(status, [...fields, 'X-Request-Id', id, 'Connection', 'close']);
  res.end(body);
}

/** What Node's server is told to make of requests and responses. */
interface Messages {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
}

/**
 * Classes of requests and responses that are Express's own from the start.
 *
 * Express gives every request and response another prototype, which makes all that touches them afterwards slow, Node
 * itself included: a third of what Express costs. Where they have that prototype already, nothing changes.
 */
export function messagesOf(app: Express): Messages {
  class Request extends IncomingMessage {}
  class Response<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(Request.prototype, app.request);
  Object.setPrototypeOf(Response.prototype, app.response);
  Object.assign(app, { request: Request.prototype, response: Response.prototype });
  return { IncomingMessage: Request, ServerResponse: Response };
}

/** What Node's parser says of bytes that are no request, or not in time; `rawPacket` is what it choked on. */
interface ProtocolFault extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

type FaultySocket = Duplex & { readonly bytesRead?: number };

/** The failure to answer with, or undefined where no caller is left, or nothing was said, to answer. */
function toFailure(fault: ProtocolFault, socket: FaultySocket, urlBytesMax: number): GatewayError | undefined {
  if (!socket.writable || fault.code === 'ECONNRESET' || fault.code === 'HPE_INVALID_EOF_STATE') return undefined;
  const options = { cause: fault };
  switch (fault.code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      // A connection opened ahead of need, as browsers do, says nothing, and is told nothing.
      return socket.bytesRead === 0
        ? undefined
        : new GatewayError('REQUEST_TIMEOUT', 'the head came too slowly', options);
    case 'HPE_HEADER_OVERFLOW':
      return isRequestLineTooLong(fault.rawPacket, urlBytesMax)
        ? new GatewayError('URL_TOO_LONG', 'the request line does not end', options)
        : new GatewayError('HEADERS_TOO_LARGE', 'the head does not end', options);
    case undefined:
    default:
      return new GatewayError('BAD_REQUEST', `no HTTP: ${fault.code ?? fault.message}`, options);
  }
}

/** It begins like a request, and its first line alone is longer than a URL may be. */
function isRequestLineTooLong(packet: Buffer | undefined, urlBytesMax: number): boolean {
  if (packet === undefined || !/^[A-Z]+ /.test(packet.toString('latin1', 0, 32))) return false;
  const lineEnd = packet.indexOf('\n');
  return lineEnd < 0 || lineEnd > urlBytesMax;
}

interface RefusePorts {
  readonly observe: Observe;
  readonly clock: Clock;
}

/** Refuses what is no request, on the connection itself, and reports it as a call of which nothing is known. */
function refuseRaw(failure: GatewayError, socket: Duplex, { observe, clock }: RefusePorts): void {
  const id = randomUUID();
  const problem = toProblem(failure, id);
  problem.fields.push('X-Request-Id', id);
  observe({
    ...{ kind: 'request', id, caller: null, method: '', path: '', route: null, service: null },
    ...{ instance: null, version: null, attempts: 0, queueMs: 0, connectMs: null, firstByteMs: null },
    ...{ status: failure.status, code: failure.code, totalMs: 0, bytesIn: 0 },
    ...{ cache: null, isCoalesced: false, attempt: null },
    bytesOut: Buffer.isBuffer(problem.body) ? problem.body.length : 0,
  });
  answerRaw(socket, problem, clock.wallMs());
}
