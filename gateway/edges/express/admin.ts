import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { type Admin, ORDERS, type ExplainInput, type Order } from '../../domain/operating/admin.ts';
import { GatewayError, toGatewayError } from '../../domain/errors.ts';
import type { Observe } from '../../domain/events.ts';
import { keepDescriptors, type DescriptorReserve } from '../descriptors.ts';
import { allowOnly, guard, type GuardOptions } from './admin-guard.ts';
import { toProblem } from '../../domain/http/reply.ts';
import type { AuditedChange } from '../../domain/operating/audit.ts';
import { LOG_LEVELS, isLogLevel } from '../../domain/operating/log-line.ts';

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

interface ApiOptions {
  readonly admin: Admin;
  readonly observe: Observe;
}

/** Adds what operators look at and change. Every change is told to the log, with who made it. */
function addApi(app: Express, options: ApiOptions): void {
  const { admin } = options;
  addReading(app, '/api/routes', () => admin.routes());
  addReading(app, '/api/services', () => admin.services());
  addReading(app, '/api/config', () => admin.config());
  app
    .route('/api/audit')
    .get((req, res) => readAudit(options, { req, res }))
    .all(allowOnly('GET', 'HEAD'));
  app
    .route('/api/reload')
    .post((req, res) => reload(options, { req, res }))
    .all(allowOnly('POST'));
  app
    .route('/api/explain')
    .post(async (req, res) => void res.json(await admin.explain(toExplainInput(req.body))))
    .all(allowOnly('POST'));
  app
    .route('/api/cache/purge')
    .post((req, res) => purge(options, { req, res }))
    .all(allowOnly('POST'));
  app
    .route('/api/services/:service/recheck')
    .post((req, res) => recheck(options, { req, res }))
    .all(allowOnly('POST'));
  app
    .route('/api/services/:service/instances/:instance/:order')
    .post((req, res) => command(options, { req, res }))
    .all(allowOnly('POST'));
  app
    .route('/api/log/level')
    .get((_req, res) => void res.json({ level: admin.level() }))
    .put((req, res) => setLevel(options, { req, res }))
    .all(allowOnly('GET', 'HEAD', 'PUT'));
}

interface Exchange {
  readonly req: Request;
  readonly res: Response;
}

function addReading(app: Express, path: string, read: () => unknown): void {
  app
    .route(path)
    .get((_req, res) => void res.json(read()))
    .all(allowOnly('GET', 'HEAD'));
}

async function reload(options: ApiOptions, { req, res }: Exchange): Promise<void> {
  report(options, { req, res });
  const outcome = await options.admin.reload(whoOf({ req, res }));
  if (outcome.kind === 'loaded') {
    res.json({ generation: outcome.generation, warnings: outcome.warnings });
    return;
  }
  const { generation, problems } = outcome;
  const detail = `The configuration has errors; generation ${generation} goes on serving.`;
  res.status(422).type('application/problem+json');
  res.json({ type: 'about:blank', title: 'Unprocessable Content', status: 422, detail, generation, problems });
}

function command(options: ApiOptions, { req, res }: Exchange): void {
  const { service = '', instance = '', order = '' } = req.params as Record<string, string | undefined>;
  if (!isOrder(order)) throw notThere(`An instance can be told to ${ORDERS.join(', ')}; not to ${quoted(order)}.`);
  const before = stateOf(options, service, instance);
  const outcome = options.admin.command(service, instance, order);
  if (outcome === 'no-service') throw notThere(`There is no service ${quoted(service)}.`);
  if (outcome === 'no-instance') throw notThere(`The service ${service} has no instance ${quoted(instance)}.`);
  const view = viewOf(options, service, instance);
  const after = { state: view?.state ?? null };
  note(options, { req, res }, { what: `${order} ${service}/${instance}`, before, after });
  res.json({ service, order, instance: view ?? null });
}

function viewOf({ admin }: ApiOptions, service: string, instance: string) {
  const known = admin.services().find(candidate => candidate.service === service);
  return known?.instances.find(({ id }) => id === instance);
}

function stateOf(options: ApiOptions, service: string, instance: string) {
  return { state: viewOf(options, service, instance)?.state ?? null };
}

function purge(options: ApiOptions, { req, res }: Exchange): void {
  const [route, ...more] = new URL(req.originalUrl, 'http://admin').searchParams.getAll('route');
  if (route === undefined || more.length > 0) throw badRequest('One `route` is wanted: `/api/cache/purge?route=ID`.');
  const entries = options.admin.purge(route);
  if (entries === 'no-route') throw notThere(`There is no route ${quoted(route)}.`);
  if (entries === 'no-cache') throw notThere(`The route ${quoted(route)} has no \`cache\`.`);
  note(
    options,
    { req, res },
    { what: `purge ${route}`, before: { entries }, after: { entries: 0 }, about: { route, entries } },
  );
  res.json({ route, entries });
}

function recheck(options: ApiOptions, { req, res }: Exchange): void {
  const { service = '' } = req.params as Record<string, string | undefined>;
  const rechecked = options.admin.recheck(service);
  if (rechecked === 'no-service') throw notThere(`There is no service ${quoted(service)}.`);
  note(options, { req, res }, { what: `recheck ${service}`, before: null, after: null });
  res.json({ service, ...rechecked });
}

function setLevel(options: ApiOptions, { req, res }: Exchange): void {
  const level = memberOf(req.body, 'level');
  if (!isLogLevel(level)) throw badRequest(`\`level\` is one of ${LOG_LEVELS.join(', ')}.`);
  const before = { level: options.admin.level() };
  options.admin.setLevel(level);
  note(options, { req, res }, { what: 'log level', before, after: { level } });
  res.json({ level });
}

type About = Readonly<Record<string, string | number>>;

type Change = Pick<AuditedChange, 'what' | 'before' | 'after'>;

/** A change that was made, for the log and for the audit trail. */
function note(options: ApiOptions, exchange: Exchange, change: Change & { readonly about?: About }): void {
  const { about, ...rest } = change;
  report(options, exchange, about);
  options.admin.changed({ ...whoOf(exchange), ...rest, outcome: 'done' });
}

function whoOf({ req, res }: Exchange): Pick<AuditedChange, 'by' | 'from'> {
  return { by: String(res.locals['who']), from: req.socket.remoteAddress ?? null };
}

function report({ observe }: ApiOptions, { req, res }: Exchange, more: About = {}): void {
  const about = { by: String(res.locals['who']), method: req.method, path: req.path, ...more };
  observe({ kind: 'notice', level: 'info', text: 'told by hand', about });
}

/** Lines of the trail, one JSON object each. */
async function readAudit({ admin }: ApiOptions, { req, res }: Exchange): Promise<void> {
  const query = new URL(req.originalUrl, 'http://admin').searchParams;
  const [from, lines] = [wholeOf(query.get('from') ?? '1'), wholeOf(query.get('lines') ?? String(AUDIT_LINES_MAX))];
  if (from === undefined || lines === undefined || lines > AUDIT_LINES_MAX) {
    throw badRequest(`\`from\` is the number of a line, \`lines\` at most ${AUDIT_LINES_MAX}.`);
  }
  const read = await admin.auditLines(from, lines);
  if (read === undefined) throw notThere('This gateway has no audit trail: `audit` in gateway.yaml begins one.');
  res.type('application/x-ndjson').send(read.map(line => `${line}\n`).join(''));
}

const AUDIT_LINES_MAX = 10_000;

function wholeOf(text: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

function toExplainInput(body: unknown): ExplainInput {
  const { method = 'GET', url, headers = {}, body: content = '', address } = isObject(body) ? body : {};
  if (typeof url !== 'string') throw badRequest('`url` is missing: the path and query, or the whole URL.');
  if (typeof method !== 'string' || typeof content !== 'string') throw badRequest('`method` and `body` are texts.');
  return { method, url, fields: toFields(headers), body: content, ...(address !== undefined && addressIn(address)) };
}

function addressIn(address: unknown): Pick<ExplainInput, 'address'> {
  if (typeof address === 'string' && isIP(address) > 0) return { address };
  throw badRequest('`address` is an IP address: where the request comes from.');
}

function toFields(headers: unknown): string[] {
  const wrong = () => badRequest('`headers` is an object of names and values: a text, or a list of texts.');
  if (!isObject(headers)) throw wrong();
  return Object.entries(headers).flatMap(([name, value]) => {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    return values.flatMap(one => {
      if (typeof one !== 'string') throw wrong();
      return [name, one];
    });
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

function isOrder(text: string): text is Order {
  return ORDERS.some(order => order === text);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function notThere(detail: string): GatewayError {
  return new GatewayError('NO_ROUTE', 'unknown on the admin listener', { detail });
}

function badRequest(detail: string): GatewayError {
  return new GatewayError('BAD_REQUEST', 'unusable admin request', { detail });
}
