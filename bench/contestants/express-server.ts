import { Agent, type IncomingHttpHeaders } from 'node:http';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { Pool, type Dispatcher } from 'undici';

// Small servers in Express: PORT KIND PREFIX=HOST:PORT PREFIX HOST:PORT …
// The first prefix leads to the upstream of the rehearsal, the second to the instances.

const KINDS: Readonly<Record<string, (targets: readonly string[]) => RequestHandler>> = {
  /** What one would write to have a proxy in Express. The agent is the middleware's own, which keeps connections. */
  'proxy-kept': targets => createProxyMiddleware({ router: inTurns(targets) }),
  'proxy-fresh': targets => createProxyMiddleware({ router: inTurns(targets), agent: new Agent({ keepAlive: false }) }),
  floor,
  /** Asks nothing of anything. */
  alone: () => (_request, response) => void response.json({ ok: true }),
};

/** For one hop alone (RFC 9110 §7.6.1), or undici's own to write. */
const NOT_FORWARDED = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host']);

function inTurns(targets: readonly string[]): () => string {
  let turn = 0;
  return () => `http://${targets[turn++ % targets.length] ?? ''}`;
}

/** The least that carries a call: one dispatch of undici's on a connection that is kept, and no policy. */
function floor(targets: readonly string[]): RequestHandler {
  const pools = targets.map(target => new Pool(`http://${target}`));
  let turn = 0;
  return (request, response) => {
    const pool = pools[turn++ % pools.length];
    if (request.headers['content-length'] === undefined) {
      pool?.dispatch(messageOf(request, null), new Forwarded(response));
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => pool?.dispatch(messageOf(request, Buffer.concat(chunks)), new Forwarded(response)));
  };
}

function messageOf({ method, url, headers }: Request, body: Buffer | null): Dispatcher.DispatchOptions {
  return { method, path: url, headers: forwarded(headers), body };
}

function forwarded(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const name in headers) if (!NOT_FORWARDED.has(name)) kept[name] = headers[name];
  return kept;
}

/** Answers as the instance did. */
class Forwarded implements Dispatcher.DispatchHandler {
  readonly #response: Response;
  readonly #chunks: Buffer[] = [];

  constructor(response: Response) {
    this.#response = response;
  }

  onRequestStart(): void {
    // undici asks for it.
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#response.writeHead(status, forwarded(headers));
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first, ...rest] = this.#chunks;
    this.#response.end(rest.length === 0 ? first : Buffer.concat(this.#chunks));
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

const [port, kind = '', rehearsal = '', prefix = '', ...instances] = process.argv.slice(2);
const [rehearsalPrefix = '', rehearsed = ''] = rehearsal.split('=');
const handlerOf = KINDS[kind];
if (handlerOf === undefined) throw new Error(`no such kind: ${kind}`);

const app = express();
app.use(rehearsalPrefix, handlerOf([rehearsed]));
app.use(prefix === '' ? '/' : prefix, handlerOf(instances));
app.listen(Number(port), '127.0.0.1');
