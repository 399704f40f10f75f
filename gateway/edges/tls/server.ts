import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { chooserOf } from './certificates.ts';
import { TLS_RULES } from './certificate.ts';
import type { AboutTls } from './secure-peer.ts';
import { isHost } from '../../domain/http/forwarding.ts';

/** What is spoken within TLS, the better one first (RFC 7301). */
const ALPN = { ALPNProtocols: ['h2', 'http/1.1'] };

interface TlsParts {
  readonly tls: AboutTls;
  /** Takes over a connection that speaks HTTP/2. */
  readonly takeHttp2: (socket: Socket) => void;
}

/** Node's server with TLS before it: by name, with certificates that may change while it listens. */
export function createTlsServer(options: ServerOptions, { tls, takeHttp2 }: TlsParts): Server {
  const { certificates, handshakeTimeoutMs: handshakeTimeout } = tls;
  // Routes decide whether they want a certificate, and of whom: none ends the handshake.
  const certificateRequest = { requestCert: certificates.areRequested, rejectUnauthorized: false };
  const choose = { SNICallback: chooserOf(certificates), handshakeTimeout, ...certificateRequest };
  const server = createSecureServer({ ...options, ...TLS_RULES, ...ALPN, ...choose });
  const http1 = server.listeners('secureConnection') as ((this: Server, socket: TLSSocket) => void)[];
  server.removeAllListeners('secureConnection').on('secureConnection', socket => {
    if (socket.alpnProtocol === 'h2') takeHttp2(socket);
    else for (const listener of http1) listener.call(server, socket);
  });
  certificates.onDefault(texts => server.setSecureContext({ ...texts, ...TLS_RULES }));
  // What fails before there is a connection is no request: nothing is said to it, nor counted.
  server.removeAllListeners('tlsClientError').on('tlsClientError', (_error: Error, socket: TLSSocket) => {
    socket.destroy();
  });
  endAll(server);
  return server;
}

/** Node ends the connections it knows requests of; those that have said nothing yet would hold up its end. */
export function endAll(server: Server): void {
  const begun = new Set<Socket>();
  const closeAll = server.closeAllConnections.bind(server);
  server.on('connection', (socket: Socket) => {
    begun.add(socket);
    socket.once('close', () => begun.delete(socket));
  });
  server.closeAllConnections = () => {
    closeAll();
    for (const socket of begun) socket.destroy();
  };
}

interface RedirectOptions {
  readonly host: string;
  /** The plain port. */
  readonly redirectFrom: number;
  readonly urlBytesMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly connectionsMax: number;
  /** The port of TLS, once it listens. */
  readonly securePort: () => number;
}

/** A plain listener that says the same of everything: ask again by https. */
export interface Redirect {
  /** Resolves when it listens, rejects when it cannot. */
  listen(): Promise<void>;
  /** Where it listens, once it does. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

const NOTHING_LEFT_TO_SAY = { Connection: 'close', 'Content-Length': 0 };

/** Redirects to https, permanently, and never takes a body; a request that names no host is refused. */
export function createRedirect(options: RedirectOptions): Redirect {
  const { host, redirectFrom, urlBytesMax, headerBytesMax, headersTimeoutMs, connectionsMax } = options;
  const answer = (req: IncomingMessage, res: ServerResponse) => {
    const location = locationOf(req, options.securePort());
    // 308 keeps the method: a POST that became a GET would lose its body (RFC 9110 §15.4.9).
    if (location === undefined) res.writeHead(400, NOTHING_LEFT_TO_SAY);
    else res.writeHead(308, { ...NOTHING_LEFT_TO_SAY, Location: location });
    res.end();
  };
  const server = createServer({
    maxHeaderSize: urlBytesMax + headerBytesMax,
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs),
    requireHostHeader: false,
  });
  server.maxConnections = connectionsMax;
  server.on('request', answer).on('checkContinue', answer).on('checkExpectation', answer);

  return {
    async listen() {
      server.listen({ host, port: redirectFrom });
      await once(server, 'listening'); // rejects with the server's error
    },
    get port() {
      const address = server.address();
      return typeof address === 'object' ? address?.port : undefined;
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A path with its query, perhaps behind scheme and host: of characters that a field may hold. */
const TARGET = /^(?:https?:\/\/([^/?#]*))?(\/[\x21\x22\x24-\x7e]*)$/i;

/** Where the same is to be had by TLS, as it stands; undefined where the request does not say of whom it asks it. */
function locationOf({ url = '', headers }: IncomingMessage, securePort: number): string | undefined {
  const [, authority = headers.host ?? '', target] = TARGET.exec(url) ?? [];
  if (target === undefined || !isHost(authority)) return undefined;
  const name = authority.replace(/:\d*$/, '');
  return `https://${name}${securePort === 443 ? '' : `:${securePort}`}${target}`;
}
