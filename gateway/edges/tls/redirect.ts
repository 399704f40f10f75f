import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isHost } from '../../domain/http/forwarding.ts';

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
  const server: Server = createServer({
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
