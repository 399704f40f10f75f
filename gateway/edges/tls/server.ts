import type { Server as HttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { chooserOf } from './certificates.ts';
import { TLS_RULES } from './rules.ts';
import type { AboutTls } from './secure-peer.ts';

/** What is spoken within TLS, the better one first (RFC 7301). */
const ALPN = { ALPNProtocols: ['h2', 'http/1.1'] };

interface TlsParts {
  readonly tls: AboutTls;
  /** Takes over a connection that speaks HTTP/2. */
  readonly takeHttp2: (socket: Socket) => void;
}

/** Node's server with TLS before it: by name, with certificates that may change while it listens. */
export function createTlsServer(options: ServerOptions, { tls, takeHttp2 }: TlsParts): HttpServer {
  const { certificates, handshakeTimeoutMs: handshakeTimeout } = tls;
  // Routes decide whether they want a certificate, and of whom: none ends the handshake.
  const asking = { requestCert: certificates.areAsked, rejectUnauthorized: false };
  const choose = { SNICallback: chooserOf(certificates), handshakeTimeout, ...asking };
  const server = createServer({ ...options, ...TLS_RULES, ...ALPN, ...choose });
  const http1 = server.listeners('secureConnection') as ((this: HttpServer, socket: TLSSocket) => void)[];
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
export function endAll(server: HttpServer): void {
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
