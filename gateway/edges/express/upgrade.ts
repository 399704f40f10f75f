import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** True for the one protocol that is switched to; an offer of any other, `h2c` say, is passed over (RFC 9110 §7.8). */
export function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket';
}

/** The connections that have left Node's HTTP server by an upgrade, so that they can be ended with it. */
export interface UpgradedSockets {
  add(socket: Duplex): void;
  destroyAll(): void;
}

/** No more than the server's connections, which bound them. */
export function createUpgradedSockets(): UpgradedSockets {
  const sockets = new Set<Duplex>();
  return {
    add(socket) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    },
    destroyAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
