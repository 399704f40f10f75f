import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type Express, type Response } from 'express';
import type { Admin } from '../../domain/operating/admin.ts';
import { GatewayError, toGatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { keepDescriptors, type DescriptorReserve } from '../descriptors.ts';
import { addApi } from './admin-api.ts';
import { allowOnly, guard, type GuardOptions } from './admin-guard.ts';
import { toProblem } from '../../domain/http/reply.ts';

interface AdminOptions extends GuardOptions {
  readonly port: number;
  readonly admin: Admin;
  readonly observe: Observe;
}

/** The listener for operators, load balancers and Prometheus. */
export interface AdminServer {
  /** Resolves with where it listens; rejects when it cannot. */
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  close(): Promise<void>;
}

/** A stranger, where it is reachable for strangers, may hold so many connections and no more. */
const CONNECTIONS_MAX = 256;
const REQUEST_MS_MAX = 10_000;
const BODY_BYTES_MAX = 64 * 1024;

/** The admin listener: probes, metrics, and what operators look at and change. */
export function createAdminServer(options: AdminOptions): AdminServer {
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX }, createApp(options));
  server.maxConnections = CONNECTIONS_MAX;
  let reserve: DescriptorReserve | undefined;
  return {
    async listen() {
      reserve = keepDescriptors(options.observe);
      server.listen({ host: options.host, port: options.port });
      await once(server, 'listening');
      const { address, port } = server.address() as AddressInfo;
      return { host: address, port };
    },
    async close() {
      reserve?.close();
      await closeServer(server);
    },
  };
}

function createApp(options: AdminOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', false);

  app.use((_req, res, next) => {
    res.locals['id'] = randomUUID();
    res.set({ 'X-Request-Id': idOf(res), 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    next();
  });
  app.use(guard(options)); // before the body, which a stranger has no business sending
  app.use(express.json({ limit: BODY_BYTES_MAX, type: () => true }));
  addProbes(app, options.admin);
  addApi(app, options);
  app.use(req => {
    throw new GatewayError('NO_ROUTE', `no ${req.path} here`, { detail: 'The admin listener has no such path.' });
  });
  app.use(problems(options.observe));
  return app;
}

function addProbes(app: Express, admin: Admin): void {
  app
    .route('/livez')
    .get((_req, res) => void res.json({ alive: true }))
    .all(allowOnly('GET', 'HEAD'));
  app
    .route('/readyz')
    .get((_req, res) => {
      const readiness = admin.readiness();
      res.status(readiness.ready ? 200 : 503).json(readiness);
    })
    .all(allowOnly('GET', 'HEAD'));
  app
    .route('/metrics')
    .get(async (_req, res) => {
      const { contentType, text } = await admin.metrics();
      res.set('Content-Type', contentType).send(text);
    })
    .all(allowOnly('GET', 'HEAD'));
}

function problems(observe: Observe): ErrorRequestHandler {
  // eslint-disable-next-line max-params, @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters
  return (error: unknown, _req, res, _next) => {
    const failure = toFailure(error);
    const requestId = idOf(res);
    if (failure.code === 'INTERNAL') observe({ kind: 'internal-error', where: 'admin', error, requestId });
    if (res.headersSent) {
      res.destroy();
      return;
    }
    const { status, fields, body } = toProblem(failure, requestId);
    for (let i = 0; i < fields.length; i += 2) addField(res, fields[i] ?? '', fields[i + 1] ?? '');
    res.status(status).send(body);
  };
}

/** Several schemes may be offered, each on a line of its own; every other field is there once. */
function addField(res: Response, name: string, value: string): void {
  if (name === 'WWW-Authenticate') res.append(name, value);
  else res.set(name, value);
}

/** Express and its body parser throw errors that carry the status they mean. */
function toFailure(error: unknown): GatewayError {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 413) {
    return new GatewayError('BODY_TOO_LARGE', 'body too large', { detail: `At most ${BODY_BYTES_MAX} bytes.` });
  }
  if (typeof status === 'number' && status >= 400 && status < 500 && !(error instanceof GatewayError)) {
    return new GatewayError('BAD_REQUEST', 'unreadable request', {
      detail: 'The body is not JSON, or the path not UTF-8.',
    });
  }
  return toGatewayError(error);
}

function idOf(res: Response): string {
  return String(res.locals['id']);
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections(); // a dashboard keeps a connection open for ever
  await closed;
}
