import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../gateway/setup/ports.mjs';
import { ensureServer } from './servers.mjs';
import { until } from './until.ts';

/** One server of a Consul of several. */
export interface ConsulServer {
  /** Its HTTP API. */
  readonly url: string;
  /** The address of the one that leads, as this one knows it; empty: none does. */
  leader(): Promise<string>;
  isLeader(): Promise<boolean>;
  kill(): Promise<void>;
}

const ELECTION_MS_MAX = 60_000;

/** Starts a Consul of three servers, which have chosen their leader; they end with the test. */
export async function startConsulServers(t: TestContext): Promise<readonly ConsulServer[]> {
  const program = await ensureServer('consul');
  const folder = mkdtempSync(join(tmpdir(), 'penstock-consul-'));
  const ports = await Promise.all(Array.from({ length: 9 }, () => freePort()));
  const serfs = [ports[1], ports[4], ports[7]];
  const servers = [0, 1, 2].map(i => {
    const [http = 0, serf = 0, rpc = 0] = ports.slice(i * 3);
    const flags = [
      '-server',
      '-bootstrap-expect=3',
      '-bind=127.0.0.1',
      `-node=server-${i}`,
      '-dns-port=-1',
      '-grpc-port=-1',
    ];
    const own = [
      `-http-port=${http}`,
      `-serf-lan-port=${serf}`,
      `-server-port=${rpc}`,
      `-data-dir=${join(folder, String(i))}`,
    ];
    const join_ = serfs.map(port => `-retry-join=127.0.0.1:${port ?? 0}`);
    const quick = ['-serf-wan-port=-1', '-retry-interval=1s', '-hcl=performance { raft_multiplier = 1 }'];
    const child = spawn(program, ['agent', ...flags, ...own, ...join_, ...quick], { stdio: 'ignore' });
    return serverOf(child, `http://127.0.0.1:${http}`, `127.0.0.1:${rpc}`);
  });
  t.after(async () => {
    await Promise.all(servers.map(server => server.kill()));
    rmSync(folder, { recursive: true, force: true });
  });
  for (const server of servers) await until(async () => (await server.leader()) !== '', 'a leader', ELECTION_MS_MAX);
  return servers;
}

function serverOf(child: ChildProcess, url: string, address: string): ConsulServer {
  const leader = async () => {
    try {
      return JSON.parse(
        await (await fetch(`${url}/v1/status/leader`, { headers: { connection: 'close' } })).text(),
      ) as string;
    } catch {
      return ''; // it does not listen yet, or no more, or has no leader to ask
    }
  };
  return {
    ...{ url, leader },
    isLeader: async () => (await leader()) === address,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}
