import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ensureServer } from './servers.mjs';

/** A real Redis, whose data are gone when it ends. */
export interface RedisServer {
  readonly url: string;
  /** As the operating system's killer does it. */
  kill(): Promise<void>;
  /** On the same port, empty. */
  start(): Promise<void>;
  /** It is connected, and answers nothing any more. */
  hang(): void;
}

/** Starts it on a free port, open or with a password; it ends with the test. */
export async function startRedis(t: TestContext, password = ''): Promise<RedisServer> {
  const program = await ensureServer('redis-server');
  const holder = createServer();
  await once(holder.listen(0, '127.0.0.1'), 'listening');
  const { port } = holder.address() as AddressInfo;
  await once(holder.close(), 'close');
  let server: ChildProcess | undefined;

  async function start(): Promise<void> {
    const options = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--requirepass',
      password,
    ];
    const started = spawn(program, options, { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
    server = started;
    let said = '';
    for await (const chunk of started.stdout) {
      said += String(chunk);
      if (said.includes('Ready to accept connections')) break;
    }
    started.stdout.destroy();
  }

  async function kill(): Promise<void> {
    if (server?.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  await start();
  t.after(kill);
  return { url: `redis://127.0.0.1:${port}`, kill, start, hang: () => void server?.kill('SIGSTOP') };
}
