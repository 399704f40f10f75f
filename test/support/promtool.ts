import { spawnSync } from 'node:child_process';
import { ensureServer } from './servers.mjs';

/** Runs Prometheus' own judge of metrics and rules; what it says, and nothing where it approves. */
export async function promtool(args: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = spawnSync(await ensureServer('promtool'), args, { input, encoding: 'utf8' });
  return status === 0 ? stderr : `${stdout}${stderr}exit ${status}`;
}
