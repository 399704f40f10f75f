import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureServer } from '../../test/support/servers.mjs';
import type { Front } from '../contestants/contestant.ts';

/** One turn of one contestant. */
export interface Turn {
  readonly front: Front;
  /** The path at the instances. */
  readonly path: string;
  /** Each call is made on a connection of its own. */
  readonly isClosedByCallers: boolean;
  readonly connections: number;
  readonly seconds: number;
  /** So many in all and then none, of loads that can count; undefined: as many as there is time for. */
  readonly calls?: number;
  /** A token of this subject; every contestant is sent one, and Penstock asks for it. */
  readonly tokenOf: (subject: string) => string;
  /** Differs from turn to turn, so that no two ask the same. */
  readonly seed: number;
  /** The one processor that callers may use; undefined: any. */
  readonly core: number | undefined;
  /** The instances themselves, for what only they can tell. */
  readonly instances: readonly string[];
}

/** What callers saw in one turn. */
export interface Figures {
  readonly requests: number;
  readonly durationMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  /** Requests without an answer. */
  readonly broken: number;
  /** The middle of the calls that are slow on purpose; the other times are those of the fast ones then. */
  readonly slowP50Ms?: number;
  /** So many calls got as far as R. */
  readonly reached?: number;
}

/** Calls one contestant for one turn. */
export type Load = (turn: Turn) => Promise<Figures>;

/** The value below which the share lies; of numbers in ascending order. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

const SCRIPTS = fileURLToPath(new URL('.', import.meta.url));

/** wrk, with a script of this folder that makes the requests. */
export function wrk(script: string): Load {
  return async turn => {
    const [program, ...args] = await commandOf(turn, script);
    const env = {
      ...process.env,
      BENCH_ADDRESSES: turn.front.addresses.join(','),
      BENCH_CALLS: String(turn.calls ?? 0),
      BENCH_CLOSE: turn.isClosedByCallers ? 'yes' : 'no',
      BENCH_CONNECTIONS: String(turn.connections),
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
