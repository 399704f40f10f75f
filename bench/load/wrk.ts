import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureServer } from '../../gateway/setup/servers.mjs';
import type { Figures, Load, Turn } from './load.ts';

const SCRIPTS = fileURLToPath(new URL('.', import.meta.url));

/** wrk, with a script of this folder that makes the requests. */
export function wrk(script: string): Load {
  return async turn => {
    const [program, ...args] = await commandOf(turn, script);
    const env = {
      ...process.env,
      BENCH_ADDRESSES: turn.front.addresses.join(','),
      BENCH_CLOSE: turn.isClosedByCallers ? 'yes' : 'no',
      BENCH_LOAD: SCRIPTS,
      BENCH_SEED: String(turn.seed),
      BENCH_TOKEN: turn.tokenOf('bench'),
    };
    const { stdout, stderr } = await promisify(execFile)(program, args, { env });
    const line = /^FIGURES (.*)$/m.exec(stdout)?.[1];
    if (line === undefined) throw new Error(`wrk gave no figures:\n${stdout}${stderr}`);
    return JSON.parse(line) as Figures;
  };
}

/** wrk's command line: a thread for each address, since a thread keeps to one. */
async function commandOf(turn: Turn, script: string): Promise<[string, ...string[]]> {
  const { front, path, connections, seconds, core } = turn;
  const [address = ''] = front.addresses;
  const threads = Math.min(connections, front.addresses.length);
  const command = [
    await ensureServer('wrk'),
    ...[`-t${threads}`, `-c${connections}`, `-d${seconds}s`, '--timeout', '30s'],
    ...['-s', `${SCRIPTS}${script}`, `http://${address}${front.prefix}${path}`],
  ] as const;
  return core === undefined ? [...command] : ['taskset', '--cpu-list', String(core), ...command];
}
