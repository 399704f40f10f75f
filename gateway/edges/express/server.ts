import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import express from 'express';
import { GatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import type { Received, Reply } from '../../domain/exchange.ts';
import type { Clock } from '../../domain/ports.ts';
import { createAccept, type Accept } from './accept.ts';
import { createIntake } from './incoming.ts';
import { createInHand } from './in-hand.ts';
import type { ListenOptions } from './listen-options.ts';
import { messagesOf } from './messages.ts';
import { problemHandler } from './problem-handler.ts';
import { createTrust } from './trust.ts';
import { createUpgradedSockets, isWebSocket, type UpgradedSockets } from './upgrade.ts';
import { createWriter } from './writer.ts';

/** Slow heads are looked for at least so often. */
const CHECK_INTERVAL_MS_MAX = 1_000;

/** A silent connection is asked after so long whether anybody is still there. */
const PROBE_AFTER_MS = 60_000;

/** What a caller is told to wait before asking again while this gateway drains: another one answers by then. */
const DRAINING_RETRY_MS = 1_000;

interface ServerParts {
  readonly listen: ListenOptions;
  readonly clock: Clock;
  readonly flow: (received: Received) => Promise<Reply>;
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
}

/** Express on Node's HTTP server, with everything that comes in sent through the flow. */
export function createServer({ listen, clock, flow, observe }: ServerParts): GatewayServer {
  const inHand = createInHand(clock);
  const upgraded = createUpgradedSockets();
  let isRefusing = false;
  const accept = createAccept({
    flow,
    intake: createIntake({ listen, clock, partyOf: createTrust(listen.trustedProxies) }),
    write: createWriter({ clock, idleMsMax: listen.bodyIdleTimeoutMs }, () => isRefusing),
    inHand,
    observe,
    clock,
    urlBytesMax: listen.urlBytesMax,
    refusal: () => (isRefusing ? draining() : undefined),
  });
  const askedToContinue = new WeakSet<IncomingMessage>();
  const enter: Enter = (req, res) => accept.request(req, res, askedToContinue.has(req));
  const app = createApp(enter, observe);
  const server = createHttpServer({ ...serverOptions(listen), ...messagesOf(app) });
  server.maxConnections = listen.connectionsMax;
  server.maxHeadersCount = 0; // bounded by size; a count would drop the rest without a word
  subscribe(server, { app, enter, askedToContinue, accept, upgraded });

  const refuse = () => {
    isRefusing = true;
    server.closeIdleConnections();
  };

  return {
    async listen() {
      server.listen({ host: listen.host, port: listen.port });
      await once(server, 'listening'); // rejects with the server's error
      const { address, port } = server.address() as AddressInfo;
      return { host: address, port };
    },
    refuse,
    async close(withinMs) {
      refuse();
      const closed = server.listening ? once(server.close(), 'close') : Promise.resolve();
      await inHand.settle(withinMs);
      server.closeAllConnections();
      upgraded.destroyAll();
      await closed;
    },
    get inFlight() {
      return inHand.count;
    },
  };
}

function serverOptions(listen: ListenOptions) {
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
    shouldUpgradeCallback: isWebSocket,
  };
}

type Enter = (req: IncomingMessage, res: ServerResponse) => void;

function createApp(enter: Enter, observe: Observe): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(enter);
  app.use(problemHandler(observe, randomUUID));
  return app;
}

interface Subscribers {
  readonly app: express.Express;
  /** For what Express cannot route. */
  readonly enter: Enter;
  readonly askedToContinue: WeakSet<IncomingMessage>;
  readonly accept: Accept;
  readonly upgraded: UpgradedSockets;
}

function subscribe(server: Server, { app, enter, askedToContinue, accept, upgraded }: Subscribers): void {
  const request: Enter = (req, res) => {
    // Express routes by path; a target that is none goes straight to where it is refused.
    if (req.url?.startsWith('/') === true) app(req, res);
    else enter(req, res);
  };
  server
    .on('request', request)
    .on('checkExpectation', request) // what else is expected need not be met (RFC 9110 §10.1.1)
    .on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      askedToContinue.add(req);
      request(req, res);
    })
    .on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      upgraded.add(socket);
      accept.upgrade(req, socket, head);
    })
    .on('connect', (_req: IncomingMessage, socket: Duplex) => {
      accept.fault(new Error('CONNECT'), socket); // this is no tunnel
    })
    .on('clientError', (error: Error, socket: Duplex) => accept.fault(error, socket));
}

function draining(): GatewayError {
  return new GatewayError('DRAINING', 'the gateway is draining', { retryAfterMs: DRAINING_RETRY_MS });
}
