import type { Server as HttpServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { chooserOf } from './certificates.ts';
import { TLS_RULES } from './rules.ts';
import type { AboutTls } from './secure-peer.ts';

/** Node's server with TLS before it: by name, with certificates that may change while it listens. */
export function createTlsServer(options: ServerOptions, { certificates, handshakeTimeoutMs }: AboutTls): HttpServer {
  const handshakeTimeout = handshakeTimeoutMs;
  const server = createServer({ ...options, ...TLS_RULES, SNICallback: chooserOf(certificates), handshakeTimeout });
  certificates.onDefault(({ cert, key }) => server.setSecureContext({ cert, key, ...TLS_RULES }));
  // What fails before there is a connection is no request: nothing is said to it, nor counted.
  server.removeAllListeners('tlsClientError').on('tlsClientError', (_error: Error, socket: TLSSocket) => {
    socket.destroy();
  });
  endHandshakes(server);
  return server;
}

/** Node ends the connections it knows requests of; those that are still shaking hands would hold up its end. */
function endHandshakes(server: HttpServer): void {
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
