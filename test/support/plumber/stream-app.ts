import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Starts the httpuv application of stream-app.R and gives its origin; it ends with the test. */
export async function startStreamApp(t: TestContext): Promise<string> {
  const script = fileURLToPath(new URL('stream-app.R', import.meta.url));
  const child = spawn('Rscript', ['--vanilla', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return `http://127.0.0.1:${line.trim()}`;
}
