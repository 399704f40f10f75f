import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureServer } from '../gateway/setup/servers.mjs';
import type { Contestant, Front } from './contestants/contestant.ts';
import { cpuMsOf } from './cpu-time.ts';
import type { Workload } from './workloads/workload.ts';

const LOAD = fileURLToPath(new URL('load', import.meta.url));

/** What wrk's load script tells at its end. */
interface Figures {
  readonly requests: number;
  readonly durationMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  /** Requests without an answer. */
  readonly broken: number;
}

/** One turn of one contestant. */
export interface Measurement extends Figures {
  readonly perSecond: number;
  /** Processor time of the contestant itself; undefined where it has none or cannot be seen. */
  readonly cpuUsPerRequest: number | undefined;
}

export interface Turn {
  readonly workload: Workload;
  readonly contestant: Contestant;
  readonly front: Front;
  readonly connections: number;
  readonly seconds: number;
  readonly token: string;
  /** Differs from turn to turn, so that no two ask the same. */
  readonly seed: number;
  /** The one processor wrk may use; undefined: any. */
  readonly core: number | undefined;
}

/** Lets wrk call one contestant for a while. */
export async function measure(turn: Turn): Promise<Measurement> {
  const { front, contestant, token, seed } = turn;
  const [program, ...args] = await commandOf(turn);
  const env = {
    ...process.env,
    BENCH_ADDRESSES: front.addresses.join(','),
    BENCH_CLOSE: contestant.isClosedByCallers === true ? 'yes' : 'no',
    BENCH_LOAD: LOAD,
    BENCH_SEED: String(seed),
    BENCH_TOKEN: token,
  };
  const before = cpuOf(front);
  const { stdout, stderr } = await promisify(execFile)(program, args, { env });
  const after = cpuOf(front);
  const line = /^FIGURES (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk gave no figures:\n${stdout}${stderr}`);
  const figures = JSON.parse(line) as Figures;
  const cpuMs = before === undefined || after === undefined ? undefined : after - before;
  return {
    ...figures,
    perSecond: (figures.requests / figures.durationMs) * 1000,
    cpuUsPerRequest: cpuMs === undefined ? undefined : (cpuMs * 1000) / figures.requests,
  };
}

/** wrk's command line: a thread for each address, since a thread keeps to one. */
async function commandOf({ workload, front, connections, seconds, core }: Turn): Promise<[string, ...string[]]> {
  const [address = ''] = front.addresses;
  const threads = Math.min(connections, front.addresses.length);
  const wrk = [
    await ensureServer('wrk'),
    ...[`-t${threads}`, `-c${connections}`, `-d${seconds}s`, '--timeout', '30s'],
    ...['-s', `${LOAD}/${workload.script}`, `http://${address}${front.prefix}${workload.path}`],
  ] as const;
  return core === undefined ? [...wrk] : ['taskset', '--cpu-list', String(core), ...wrk];
}

function cpuOf({ pid }: Front): number | undefined {
  return pid === undefined ? undefined : cpuMsOf(pid);
}
