import Consul from 'consul';
import { EventEmitter } from 'node:events';
import { Agent as HttpAgent, type AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect as connectTcp, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { printable } from '../domain/printable.ts';
import type { StatusReport } from '../domain/discovery/status-text.ts';
import { recordOf, textOf } from '../domain/unknown-value.ts';
import type { Observe } from '../domain/events.ts';
import type { Clock } from '../domain/clock.ts';

/** Where Consul's agent is, and as whom to ask it. */
export interface ConsulAddress {
  readonly address: string;
  readonly token: string | undefined;
  readonly datacenter: string | undefined;
}

/** One blocking query. */
export interface HealthQuery {
  readonly service: string;
  readonly tag: string | undefined;
  /** 0 answers at once; another waits until Consul's index has passed it. */
  readonly index: bigint;
  readonly waitMs: number;
}

/** What a blocking query brought. */
export interface HealthAnswer {
  readonly index: bigint;
  readonly list: readonly unknown[];
}

/** What the gateway tells Consul of itself. */
export interface OwnService {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly status: StatusReport['status'];
  readonly ttlMs: number;
  readonly forgetAfterMs: number;
}

/** Consul's HTTP interface, as far as the gateway uses it. Every call rejects with a ConsulError, or the signal's reason. */
export interface ConsulClient {
  queryHealth(query: HealthQuery, signal: AbortSignal): Promise<HealthAnswer>;
  register(service: OwnService, signal: AbortSignal): Promise<void>;
  /** Renews the check of a service that `register` made known. */
  report(id: string, report: StatusReport, signal: AbortSignal): Promise<void>;
  deregister(id: string, signal: AbortSignal): Promise<void>;
  /** The agent's version, such as 1.20.1; empty where it says none. */
  queryVersion(signal: AbortSignal): Promise<string>;
  /** Breaks off what is under way. */
  close(): void;
}

/** Consul did not do what it was asked. Its message is fit for a log. */
export class ConsulError extends Error {
  override readonly name = 'ConsulError';
  /** Consul answered, and said no: asking again will not help by itself. */
  readonly isAnswer: boolean;

  constructor(message: string, { isAnswer, cause }: { isAnswer: boolean; cause?: unknown }) {
    super(message, { cause });
    this.isAnswer = isAnswer;
  }
}

/** A client of one agent. */
export function createConsulClient({ address, token, datacenter }: ConsulAddress): ConsulClient {
  const { consul, call, close } = createCalls(address);
  const common = token === undefined || token === '' ? {} : { token };

  return {
    async queryHealth({ service, tag, index, waitMs }, signal) {
      const query = {
        ...{ ...common, service },
        ...(datacenter === undefined ? {} : { dc: datacenter }),
        ...(tag === undefined ? {} : { tag }),
        ...(index > 0n ? { index: String(index), wait: `${Math.ceil(waitMs)}ms` } : {}),
      };
      return readAnswer(await call(ctx => consul.health.service({ ...query, ...ctx }), signal));
    },
    async register({ id, host, port, status, ttlMs, forgetAfterMs }, signal) {
      const check = {
        name: 'What this gateway sees',
        timeout: '0s', // The package's types ask for it; a check by TTL has none.
        ttl: `${ttlMs}ms`,
        status,
        deregistercriticalserviceafter: `${forgetAfterMs}ms`,
      };
      const service = { ...common, name: 'penstock', id, address: host, port, check };
      await call(ctx => consul.agent.service.register({ ...service, ...ctx }), signal);
    },
    async report(id, { status, output }, signal) {
      const verb = ({ passing: 'pass', warning: 'warn', critical: 'fail' } as const)[status];
      const update = { ...common, id: `service:${id}`, note: output };
      await call(ctx => consul.agent.check[verb]({ ...update, ...ctx }), signal);
    },
    async deregister(id, signal) {
      await call(ctx => consul.agent.service.deregister({ ...common, id, ...ctx }), signal);
    },
    async queryVersion(signal) {
      const [, self] = (await call(ctx => consul.agent.self({ ...common, ...ctx }), signal)) as unknown[];
      return printable(textOf(recordOf(recordOf(self)['Config'])['Version']), 32);
    },
    close,
  };
}

/** How the `consul` package is told to break off, and to give the head of the answer along with the body. */
type Handle = EventEmitter & { includeResponse: boolean };

/** The package, and how its calls are made to end. Each has its own connection: a kept one may be dead when used again. */
function createCalls(address: string) {
  const underWay = new Set<Handle>();
  let querying: Handle | undefined;
  const agent = createAgent(address, socket => {
    const handle = querying;
    // An answer cut off in its middle settles nothing in the package. Whatever was complete is settled by then.
    socket.once('close', () => setImmediate(() => handle?.emit('cancel')));
  });
  const options = { baseUrl: `${address.replace(/\/+$/, '')}/v1`, agent }; // baseUrl is missing in the package's types

  async function call(send: (options: { ctx: Handle }) => Promise<unknown>, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const ctx: Handle = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = () => ctx.emit('cancel');
    signal.addEventListener('abort', cancel, { once: true });
    underWay.add(ctx);
    try {
      querying = ctx; // The package connects while it is called, not later.
      const sent = send({ ctx });
      querying = undefined;
      return await sent;
    } catch (error) {
      signal.throwIfAborted();
      throw toConsulError(error);
    } finally {
      underWay.delete(ctx);
      signal.removeEventListener('abort', cancel);
    }
  }

  function close(): void {
    for (const ctx of underWay) ctx.emit('cancel');
    agent.destroy();
  }

  return { consul: new Consul(options), call, close };
}

/** An agent that reports each new connection, and takes IPv6 addresses as URLs write them. */
function createAgent(address: string, onConnect: (socket: Socket) => void): HttpAgent {
  const isSecure = address.startsWith('https:');
  const agent = isSecure ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
  return Object.assign(agent, {
    createConnection(given: AgentOptions & TcpNetConnectOpts): Socket {
      const options = { ...given, host: given.host?.replace(/^\[(.*)\]$/, '$1') ?? 'localhost' };
      const socket = isSecure ? connectTls(options) : connectTcp(options);
      onConnect(socket);
      return socket;
    },
  });
}

function readAnswer(answer: unknown): HealthAnswer {
  const [response, list] = Array.isArray(answer) ? (answer as unknown[]) : [];
  const headers = recordOf(recordOf(response)['headers']);
  const index = parseIndex(headers['x-consul-index']);
  if (index === undefined) throw new ConsulError('its answer has no X-Consul-Index', { isAnswer: true });
  if (!Array.isArray(list)) throw new ConsulError('its answer is no list', { isAnswer: true });
  const isFiltered = textOf(headers['x-consul-results-filtered-by-acls']) === 'true';
  // An empty list of what one may not see says nothing of what there is.
  if (isFiltered && list.length === 0) {
    throw new ConsulError('the token may not read this service or its nodes', { isAnswer: true });
  }
  return { index, list };
}

function toConsulError(error: unknown): ConsulError {
  const response = recordOf(recordOf(error)['response']);
  const status = response['statusCode'];
  if (typeof status === 'number' && recordOf(error)['isResponse'] === true) {
    const said = printable(bodyText(response['body']).trim(), 200);
    return new ConsulError(`it answered ${status}${said === '' ? '' : `: ${said}`}`, { isAnswer: true, cause: error });
  }
  if (recordOf(error)['isAbort'] === true) {
    return new ConsulError('the connection broke off within its answer', { isAnswer: false, cause: error });
  }
  const code = textOf(recordOf(error)['code']);
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown';
  return new ConsulError(code === '' || message.includes(code) ? message : `${message} (${code})`, {
    isAnswer: false,
    cause: error,
  });
}

function bodyText(body: unknown): string {
  if (typeof body === 'string') return body;
  return Buffer.isBuffer(body) ? body.toString('utf8') : '';
}

/** What the next blocking query asks with, and whether Consul's memory went back in time. */
export interface IndexStep {
  readonly next: bigint;
  /** Consul was wiped, or restored from a backup: what it tells now may be less than it knew. */
  readonly hasGoneBack: boolean;
}

/**
 * The step from the index last told to the one told now, by the rules of Consul's blocking queries: an index that goes
 * back is reset to 0, and none is ever asked with below 1, which would not block.
 */
export function stepIndex(last: bigint | undefined, current: bigint): IndexStep {
  const hasGoneBack = last !== undefined && current < last;
  if (hasGoneBack) return { next: 0n, hasGoneBack };
  return { next: current < 1n ? 1n : current, hasGoneBack };
}

/** The value of `X-Consul-Index`, or undefined where it is none. */
export function parseIndex(text: unknown): bigint | undefined {
  return typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}

/** The oldest Consul that the gateway is tested with; docs/operating.md names the newest. */
const OLDEST = '1.8';

const QUERY_MS_MAX = 5_000;

interface ConsulVersionOptions {
  readonly config: Pick<ConsulAddress, 'address' | 'token'>;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Asks the agent once which version it is, and warns of one that is too old. Who may not read that is not warned. */
export function checkConsulVersion({ config, clock, observe }: ConsulVersionOptions): { close(): void } {
  const client = createConsulClient({ ...config, datacenter: undefined });
  const giveUp = new AbortController();
  const cancel = clock.after(QUERY_MS_MAX, () => giveUp.abort(new Error('no answer')));
  client
    .queryVersion(giveUp.signal)
    .then(version => {
      if (!isOlder(version, OLDEST)) return;
      const text = 'this Consul is older than those the gateway is tested with';
      observe({ kind: 'notice', level: 'warn', text, about: { version, oldest: OLDEST } });
    })
    .catch(() => undefined) // Away, or not for this token: `source-lost` tells what matters.
    .finally(() => {
      cancel();
      client.close();
    });
  return { close: () => giveUp.abort(new Error('the gateway ends')) };
}

/** False also for what is no version. */
function isOlder(version: string, than: string): boolean {
  const [major, minor] = numbersOf(version);
  const [thanMajor, thanMinor] = numbersOf(than);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

function numbersOf(version: string): [major: number, minor: number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major), Number(minor)];
}
