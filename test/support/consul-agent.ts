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
  const [http, serf, rpc] = await freePorts();
  const url = `http://127.0.0.1:${http}`;
  let agent: ChildProcess | undefined;

  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(url + path, { headers: { connection: 'close' } });
    const text = await response.text();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  };
  const put = async (path: string, body?: unknown) => {
    const init = { method: 'PUT', headers: { connection: 'close' } };
    const response = await fetch(url + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${text}`);
  };
  const kill = async () => {
    if (agent?.exitCode !== null || agent.signalCode !== null) return;
    const exited = once(agent, 'exit');
    agent.kill('SIGKILL');
    await exited;
  };
  const start = async () => {
    const ports = ['-http-port', http, '-server-port', rpc, '-serf-lan-port', serf];
    const off = ['-dns-port', '-1', '-grpc-port', '-1', '-serf-wan-port', '-1'];
    agent = spawn(program, ['agent', '-dev', '-bind', '127.0.0.1', ...ports, ...off].map(String), { stdio: 'ignore' });
    await until(async () => (await get('/v1/status/leader').catch(() => '')) !== '', 'Consul has a leader');
  };

  t.after(kill);
  await start();
  return { url, get, put, kill, start };
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
