import express, { type Express, type Request, type Response } from 'express';
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import type { Call } from '../../domain/call.ts';
import { isHopByHop } from '../../domain/http/fields.ts';
import type { Observe } from '../../domain/events.ts';
import type { MiddlewareDefinition } from '../../domain/plugin/define.ts';
import { PLUGIN_TIMEOUT_MS, PluginFailure, guarded, type PluginPorts } from '../../domain/plugin/guard.ts';
import type { LoadedPlugins } from '../../domain/plugin/plugin-set.ts';
import { Http2Wire } from '../http2/wire.ts';
import { HttpWire } from './http-wire.ts';

/** A call's request and response as Express middleware knows them. */
interface Exchange {
  readonly req: Request;
  readonly res: Response;
  /** Where the body comes from. */
  readonly body: Readable;
  /** Reports the answer's end. */
  readonly answer: Writable;
}

interface EdgeParts {
  /** Where the flow begins. */
  readonly enter: (call: Call) => void;
  readonly observe: Observe;
  readonly ports: PluginPorts;
}

/** Express middleware of plug-ins, between the listener and the flow. */
export interface MiddlewareEdge {
  readonly enter: (call: Call) => void;
  /** From the next request on it is these. */
  use(plugins: Pick<LoadedPlugins, 'middleware'>): void;
}

/**
 * Lets every HTTP request through the middleware of plug-ins, in the order in which they are written, before it is routed;
 * HTTP/2 by Node's compatibility objects. What the edge itself refuses, and a WebSocket's upgrade, go past it.
 *
 * Fields that middleware sets are on every answer, whatever R says. It may answer itself; it may not read the body, which
 * is R's, nor put itself in the way of the answer.
 */
export function createMiddlewareEdge({ enter, ...parts }: EdgeParts): MiddlewareEdge {
  let chain: readonly MiddlewareDefinition[] = [];
  const toHttp2 = http2Exchanges(express());
  return {
    enter(call) {
      const exchange = chain.length === 0 || call.refusal !== undefined ? undefined : exchangeOf(call, toHttp2);
      if (exchange === undefined) enter(call);
      else new Passage(call, exchange, { ...parts, chain, done: enter }).begin();
    },
    use: ({ middleware }) => {
      chain = middleware.map(({ definition }) => definition);
    },
  };
}

function exchangeOf({ wire }: Call, toHttp2: (wire: Http2Wire) => Exchange): Exchange | undefined {
  if (wire instanceof Http2Wire) return toHttp2(wire);
  if (!(wire instanceof HttpWire)) return undefined;
  const [req, res] = [wire.req as Request, wire.res as Response]; // its server makes none but Express's
  return prepared({ req, res, body: wire.req, answer: wire.res });
}

/** As Express itself prepares them. */
function prepared(exchange: Exchange): Exchange {
  const { req, res } = exchange;
  Object.assign(req, { res, originalUrl: req.url, baseUrl: '' });
  Object.assign(res, { locals: Object.create(null) as object });
  return exchange;
}

/**
 * Node's compatibility objects, with what Express adds to requests and responses. Express itself would put them on the
 * prototypes of HTTP/1.1, where nothing of theirs works.
 */
function http2Exchanges(app: Express): (wire: Http2Wire) => Exchange {
  const over = (base: object, added: object) => {
    const joined = Object.create(base, Object.getOwnPropertyDescriptors(added)) as object;
    return Object.defineProperty(joined, 'app', { value: app, configurable: true, writable: true });
  };
  const requests = over(Http2ServerRequest.prototype, express.request);
  const responses = over(Http2ServerResponse.prototype, express.response);
  return ({ req: stream, head }) => {
    const req = new Http2ServerRequest(stream, headersOf(head.rawHeaders, head), {}, [...head.rawHeaders]);
    const res = new Http2ServerResponse(stream);
    Object.setPrototypeOf(req, requests);
    Object.setPrototypeOf(res, responses);
    return prepared({ req: req as unknown as Request, res: res as unknown as Response, body: stream, answer: stream });
  };
}

function headersOf(raw: readonly string[], { method = '', url = '' }: Http2Wire['head']): Record<string, string> {
  const headers: Record<string, string> = { ':method': method, ':path': url };
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value = ''] = [(raw[i] ?? '').toLowerCase(), raw[i + 1]];
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return { ...headers, ':authority': headers['host'] ?? '' };
}

/** By these an answer goes out. */
const WRAPPED = ['writeHead', 'write', 'end'];

interface PassageParts extends Omit<EdgeParts, 'enter'> {
  readonly chain: readonly MiddlewareDefinition[];
  readonly done: (call: Call) => void;
}

/** One request on its way through the middleware. */
class Passage {
  readonly #call: Call;
  readonly #exchange: Exchange;
  readonly #parts: PassageParts;
  /** It has been passed on, answered, or has failed. */
  #isOver = false;
  #cancel: (() => void) | undefined = undefined;

  constructor(call: Call, exchange: Exchange, parts: PassageParts) {
    this.#call = call;
    this.#exchange = exchange;
    this.#parts = parts;
  }

  begin(): void {
    this.#exchange.res.setHeader('X-Request-Id', this.#call.id);
    this.#exchange.answer.once('close', () => this.#closed());
    this.#step(0);
  }

  #step(at: number): void {
    const middleware = this.#parts.chain[at];
    if (middleware === undefined) {
      this.#end();
      this.#parts.done(this.#call);
      return;
    }
    const { name, timeoutMs = PLUGIN_TIMEOUT_MS.usual } = middleware;
    const late = () => this.#late(name, timeoutMs);
    const state = { isLeft: false };
    const next = (error?: unknown) => {
      if (state.isLeft) return;
      state.isLeft = true;
      this.#left(name, error, at + 1);
    };
    this.#run(middleware, next);
    const isWaiting = !state.isLeft && !this.#isOver && !this.#exchange.res.writableEnded;
    if (isWaiting) this.#cancel = this.#parts.ports.clock.after(timeoutMs, late);
  }

  #run({ name, handler }: MiddlewareDefinition, next: (error?: unknown) => void): void {
    const { req, res } = this.#exchange;
    try {
      const result = guarded(name, this.#parts.ports, () => handler(req, res, next));
      if (result instanceof Promise) result.catch((error: unknown) => this.#fail(name, 'rejected', error));
    } catch (error) {
      this.#fail(name, 'threw', error instanceof PluginFailure ? error.cause : error);
    }
  }

  /** A middleware passes the request on; what comes now is not its doing. */
  #left(name: string, error: unknown, to: number): void {
    if (this.#isOver) return;
    this.#cancel?.();
    const flaw = this.#flawOf(error);
    if (flaw !== undefined) {
      this.#fail(name, flaw, error);
      return;
    }
    const { watch } = this.#parts.ports;
    const before = watch.enter('');
    try {
      this.#step(to);
    } finally {
      watch.leave(before);
    }
  }

  #flawOf(error: unknown): string | undefined {
    const { res, body } = this.#exchange;
    // Of Express's own words these two mean no error.
    if (error !== undefined && error !== null && error !== 'route' && error !== 'router') return 'passed an error on';
    if (res.headersSent) return 'passed on what it had begun to answer';
    if (this.#call.body.length !== 0 && body.readableDidRead) return 'took the body in, which is R’s';
    return WRAPPED.some(method => Object.hasOwn(res, method))
      ? 'put itself in the way of the answer (writeHead, write or end)'
      : undefined;
  }

  #late(name: string, timeoutMs: number): void {
    if (!this.#exchange.res.headersSent) this.#fail(name, `neither answered nor passed on within ${timeoutMs} ms`);
  }

  #fail(name: string, message: string, error?: unknown): void {
    const failure = new PluginFailure(name, message, error);
    if (this.#isOver) {
      // The request has gone on, or is over: it is not answered twice.
      this.#parts.observe({ kind: 'plugin-failed', plugin: name, error: failure, requestId: this.#call.id });
      return;
    }
    const { res } = this.#exchange;
    for (const method of WRAPPED) Reflect.deleteProperty(res, method); // the failure is to reach the caller
    if (res.headersSent) this.#call.wire.destroy();
    this.#end();
    this.#call.fail(failure);
  }

  /** What was set for the answer is kept for the one that comes. */
  #end(): void {
    this.#isOver = true;
    this.#cancel?.();
    const { res, answer } = this.#exchange;
    if (res instanceof Http2ServerResponse) answer.removeAllListeners('wantTrailers'); // they are the wire's to send
    if (res.headersSent) return;
    res.removeHeader('X-Request-Id');
    for (const [name, value = ''] of Object.entries(res.getHeaders())) {
      res.removeHeader(name);
      if (isHopByHop(name) || name === 'content-length') continue;
      for (const line of [value].flat()) this.#call.addReplyField(name, String(line));
    }
  }

  /** The answer is out, or the caller is gone. */
  #closed(): void {
    const { res, answer } = this.#exchange;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel?.();
    if (!answer.writableFinished) return; // the wire reports callers who hung up
    this.#call.isReplied = true;
    this.#call.record.status = res.statusCode;
    this.#call.over();
  }
}
