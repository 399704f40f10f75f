import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Clock, Settled } from '../domain/ports.ts';

/** What no connection was made for: which end it was, and the system's word for it as the cause. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure';
  readonly settled: Extract<Settled, 'refused' | 'connect-timeout' | 'abandoned'>;

  constructor(settled: ConnectFailure['settled'], cause: unknown) {
    super(`no connection: ${settled}`, { cause });
    this.settled = settled;
  }
}

/** What is lacking here, not there: descriptors, local ports, memory. */
const OUR_OWN_LACK: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

/** Tells by the system's code why a connection did not come about. */
export function connectFailure(cause: unknown): ConnectFailure {
  const code = codeOf(cause);
  if (code === 'ETIMEDOUT') return new ConnectFailure('connect-timeout', cause);
  return new ConnectFailure(OUR_OWN_LACK.has(code) ? 'abandoned' : 'refused', cause);
}

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
      finish(new ConnectFailure('connect-timeout', new Error(`no connection within ${bounds.connectTimeoutMs} ms`)));
    });
    socket.on('error', fail).on(isTls ? 'secureConnect' : 'connect', succeed);
  };
}

function openTcp({ hostname, port }: buildConnector.Options): Socket {
  return connectTcp({ host: hostname, port: Number(port || 80), noDelay: true });
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

/** An address with several faces fails once for each (AggregateError); they share one code or the first one's counts. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function ignore(): void {
  // What a connection says after it was given up concerns nobody.
}
