import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Clock } from '../domain/ports.ts';
import { connectFailure, connectTimeout, type ConnectFailure } from './connect-failure.ts';
import { CallSocket } from './undici-socket.ts';
import type { Spares } from './undici-spares.ts';

/** What opening a connection to an address goes by, as it stands when it begins. */
export interface Connecting {
  readonly connectTimeoutMs: number;
  /** Calls under way there. */
  readonly callsInHand: number;
  /** Until it may be connected to again, after a connection there broke off; not above 0: at once. */
  readonly restMs: number;
  /** Connections opened ahead; undefined: none are. */
  readonly spares: Spares | undefined;
}

/**
 * Opens connections for undici, or gives it one that was opened ahead.
 *
 * undici's own connector counts times beyond a second in steps of half a second, and sets keep-alive probes that a
 * connection for one call has no use for.
 */
export function createConnector(how: Connecting, clock: Clock): buildConnector.connector {
  return (options, callback) => {
    const isTls = options.protocol === 'https:';
    const open = () => (isTls ? openTls(options) : openTcp(options));
    const go = (socket: Socket) => {
      callback(null, socket);
      how.spares?.sent(() => openTcp(options), how.callsInHand);
    };
    const goWhenOpen = (socket: Socket) => {
      const tell = (error: ConnectFailure | null) => (error === null ? go(socket) : callback(error, null));
      whenOpen(socket, isTls ? 'secureConnect' : 'connect', { timeoutMs: how.connectTimeoutMs, clock, tell });
    };
    const { restMs } = how;
    if (restMs > 0) {
      clock.after(restMs, () => goWhenOpen(open()));
      return;
    }
    const spare = how.spares?.take();
    if (spare === undefined || spare.connecting) goWhenOpen(spare ?? open());
    else {
      // Not before what this turn of the event loop brought is seen to: the end of this very connection, perhaps.
      setImmediate(() => (spare.isFit ? go(spare) : goWhenOpen(open())));
    }
  };
}

interface Waiting {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly tell: (error: ConnectFailure | null) => void;
}

/** Tells when a connection is open, or why it is not, within the time there is for it. */
function whenOpen(socket: Socket, event: 'connect' | 'secureConnect', { timeoutMs, clock, tell }: Waiting): void {
  const finish = (error: ConnectFailure | null) => {
    cancel();
    socket.off('error', fail).off(event, succeed);
    if (error !== null) socket.on('error', ignore).destroy();
    tell(error);
  };
  const fail = (error: Error) => finish(connectFailure(error));
  const succeed = () => finish(null);
  const cancel = clock.after(timeoutMs, () => finish(connectTimeout(timeoutMs)));
  socket.on('error', fail).on(event, succeed);
}

function openTcp({ hostname, port }: buildConnector.Options): CallSocket {
  const socket = new CallSocket();
  socket.connect(Number(port || 80), hostname);
  return socket;
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
