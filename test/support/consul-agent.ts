import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ensureServer } from './servers.mjs';
import { until } from './until.ts';

/** A real Consul agent in dev mode: its data are in memory, so that it comes back empty. */
export interface ConsulAgent {
  /** Its HTTP API, the same after every start. */
  readonly url: string;
  /** The body of a GET, or undefined where Consul does not know the thing (404). */
  get(path: string): Promise<unknown>;
  put(path: string, body?: unknown): Promise<void>;
  /** Ends it at once, by SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, at the same address and empty. */
  start(): Promise<void>;
}

/** Starts an agent on free ports, which ends with the test. */
export async function startConsulAgent(t: TestContext): Promise<ConsulAgent> {
  const program = await ensureServer('consul');
  let ports = await freePorts();
  let agent: ChildProcess | undefined;
  const urlOf = (path: string) => `http://127.0.0.1:${ports[0]}${path}`;

  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(urlOf(path), { headers: { connection: 'close' } });
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  };
  const put = async (path: string, body?: unknown) => {
    const init = { method: 'PUT', headers: { connection: 'close' } };
    const response = await fetch(urlOf(path), body === undefined ? init : { ...init, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${text}`);
  };
  const kill = async () => {
    if (agent?.exitCode !== null || agent.signalCode !== null) return;
    const exited = once(agent, 'exit');
    agent.kill('SIGKILL');
    await exited;
  };
  /** False: it has ended at once, since another process took one of its ports meanwhile. */
  const begin = async () => {
    const [http, serf, rpc] = ports;
    const own = ['-http-port', http, '-server-port', rpc, '-serf-lan-port', serf];
    const off = ['-dns-port', '-1', '-grpc-port', '-1', '-serf-wan-port', '-1'];
    const begun = spawn(program, ['agent', '-dev', '-bind', '127.0.0.1', ...own, ...off].map(String), {
      stdio: 'ignore',
    });
    agent = begun;
    const hasLeader = async () => (await get('/v1/status/leader').catch(() => '')) !== '';
    await until(async () => begun.exitCode !== null || (await hasLeader()), 'Consul has a leader');
    return begun.exitCode === null;
  };
  const start = () => until(begin, 'Consul has started');

  t.after(kill);
  while (!(await begin())) ports = await freePorts();
  return { url: urlOf(''), get, put, kill, start };
}

/** Three ports that were free a moment ago: Consul takes no 0 for "any". */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  await Promise.all(servers.map(server => once(server.close(), 'close')));
  return ports as [number, number, number];
}
