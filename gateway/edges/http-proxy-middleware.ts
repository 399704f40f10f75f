import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, type RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware';
import type { Clock } from '../domain/clock.ts';
import type { Carrier } from '../domain/stream.ts';
import { HttpWire } from './express/http-wire.ts';
import { UpgradeWire } from './express/upgrade-wire.ts';
import { createHttpStream } from './proxied-http.ts';
import type { ProxiedStream } from './proxied-stream.ts';
import { createUpgradeStream } from './proxied-upgrade.ts';

/**
 * Carries streams and upgrades by http-proxy-middleware, used as a library.
 *
 * It never subscribes to anything itself: each stream comes through the flow, and is given to it with the target that
 * was chosen and the very fields that are to be sent. Its default plugins (an answer of its own to errors, a log) are
 * off. A connection carries one stream, and is closed after it.
 */
export function createCarrier({ clock }: { readonly clock: Clock }): Carrier {
  const streams = new WeakMap<IncomingMessage, ProxiedStream>();
  const proxyBy = (agent: Agent | false) =>
    createProxyMiddleware({
      router: req => streams.get(req)?.origin ?? '',
      agent,
      selfHandleResponse: true,
      ejectPlugins: true,
      plugins: [tellStreams(req => streams.get(req))],
    });
  const [plain, secure] = [proxyBy(false), proxyBy(new OwnNameAgent())];

  return {
    carry(options) {
      const { wire, origin } = options;
      const proxy = origin.startsWith('https:') ? secure : plain;
      if (wire instanceof HttpWire) {
        const stream = createHttpStream(wire, options, clock);
        streams.set(wire.req, stream);
        proxy(wire.req, wire.res).catch((error: unknown) => stream.fail(error));
        return stream;
      }
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

/** Has a certificate checked under the service's own name, whatever `Host` the instance is sent. */
class OwnNameAgent extends Agent {
  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const host = options.host ?? '';
    return super.createConnection({ ...options, servername: isIP(host) === 0 ? host : '' }, callback);
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
