import { isIP, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Clock } from '../domain/ports.ts';
import { connectFailure, connectTimeout, type ConnectFailure } from './connect-failure.ts';

/**
 * Opens connections for undici, each within the time that stands in `bounds` when it begins.
 *
 * undici's own connector counts times beyond a second in steps of half a second, and sets keep-alive probes that a
 * connection for one call has no use for.
 */
export function createConnector(bounds: { readonly connectTimeoutMs: number }, clock: Clock): buildConnector.connector {
  return (options, callback) => {
    const isTls = options.protocol === 'https:';
    const socket = isTls ? openTls(options) : openTcp(options);
    const finish = (error: ConnectFailure | null) => {
      cancel();
      socket.off('error', fail).off(isTls ? 'secureConnect' : 'connect', succeed);
      if (error === null) callback(null, socket);
      else {
        socket.on('error', ignore).destroy();
        callback(error, null);
      }
    };
    const fail = (error: Error) => finish(connectFailure(error));
    const succeed = () => finish(null);
    const cancel = clock.after(bounds.connectTimeoutMs, () => {
      finish(connectTimeout(bounds.connectTimeoutMs));
    });
    socket.on('error', fail).on(isTls ? 'secureConnect' : 'connect', succeed);
  };
}

function openTcp({ hostname, port }: buildConnector.Options): Socket {
  return new CallSocket({ noDelay: true }).connect(Number(port || 80), hostname);
}

/**
 * undici ends a connection that is not used again by an error, which Node asks for its stack; nobody ever reads it, and
 * writing it down costs a tenth of a whole call.
 */
class CallSocket extends Socket {
  override destroy(error?: Error): this {
    if (error !== undefined && 'code' in error && error.code === 'UND_ERR_INFO') error.stack = error.message;
    return super.destroy(error);
  }
}

function openTls({ hostname, port, servername }: buildConnector.Options): Socket {
  const name = servername ?? (isIP(hostname) === 0 ? hostname : undefined);
  return connectTls({
    host: hostname,
    port: Number(port || 443),
    ALPNProtocols: ['http/1.1'],
    ...(name === undefined ? {} : { servername: name }),
  });
}

function ignore(): void {
  // What a connection says after it was given up concerns nobody.
}
