import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { spawnBound } from '../gateway/setup/lifetimes.mjs';
import { freePort } from '../gateway/setup/ports.mjs';

/** How long a server may take to answer first; R loads its packages meanwhile. */
const READY_MS_MAX = 60_000;
const POLL_MS = 50;

/** How long a server may take to end by itself. */
const END_MS_MAX = 10_000;

/** Of a log, shown where its server failed. */
const LOG_CHARS_SHOWN_MAX = 4_000;

/** A server under way. */
export interface Started {
  readonly pid: number;
  /** What it has written so far. */
  log(): string;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The one processor it may use; without it, any. */
  readonly core?: number | undefined;
}

/** Where a benchmark's servers run: a folder of their own and a list of what to end. */
export interface Place {
  /** Writes a file into the folder and gives its path. */
  write(name: string, text: string): string;
  path(name: string): string;
  port(): Promise<number>;
  /** Starts a server; what it writes goes to a file, so that reading it costs the benchmark nothing. */
  start(name: string, command: Command): Started;
  /** Resolves when `isReady` holds; fails with the server's log when it ended or took too long. */
  until(started: Started, isReady: () => Promise<boolean> | boolean): Promise<void>;
  /** Ends what was started, the last first, and removes the folder. */
  close(): Promise<void>;
}

/** An empty place. */
export function createPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-bench-'));
  const children = new Map<number, ChildProcess>();
  const path = (name: string) => join(folder, name);
  // Apart from the logs: Penstock watches the folder of its settings, and would be woken by each line of any log.
  const settings = path('settings');
  mkdirSync(settings);
  // Where the benchmark itself is ended, nothing it started may stay.
  const endAtOnce = () => {
    children.forEach(killGroup);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', endAtOnce);

  return {
    path,
    write(name, text) {
      const file = join(settings, name);
      writeFileSync(file, text);
      return file;
    },
    port: () => freePort(),
    start(name, command) {
      const log = path(`${name}.log`);
      const child = startInto(log, command);
      if (child.pid === undefined) throw new Error(`${command.program} does not start`);
      children.set(child.pid, child);
      return { pid: child.pid, log: () => readFileSync(log, 'utf8') };
    },
    async until(started, isReady) {
      const untilMs = Date.now() + READY_MS_MAX;
      while (!(await isReady())) {
        const child = children.get(started.pid);
        const hasEnded = child?.exitCode !== null || child.signalCode !== null;
        if (hasEnded || Date.now() > untilMs)
          throw new Error(`not ready:\n${started.log().slice(-LOG_CHARS_SHOWN_MAX)}`);
        await wait(POLL_MS);
      }
    },
    async close() {
      for (const child of [...children.values()].reverse()) await end(child);
      process.off('exit', endAtOnce);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function startInto(log: string, { program, args, env = {}, core }: Command): ChildProcess {
  const command = core === undefined ? program : 'taskset';
  const rest = core === undefined ? args : ['--cpu-list', String(core), program, ...args];
  const output = openSync(log, 'a');
  // Ended even by `kill -9`, the benchmark takes its servers with it.
  const child = spawnBound(command, rest, { stdio: ['pipe', output, output], env: { ...process.env, ...env } });
  closeSync(output);
  child.on('error', () => undefined); // it has no pid then, and its starter is told so
  child.stdin?.on('error', () => undefined); // it may end before us
  return child;
}

/** A server and whatever it started: nginx's worker outlives an nginx that is killed. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => killGroup(child), END_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/** A processor for what is measured and one for everything else, where there are two; else none is set aside. */
export const CORES = availableParallelism() >= 2 ? { measured: 1, rest: 0 } : { measured: undefined, rest: undefined };

/** Whether anything answers there; or, where it must be well, with a status below 400. */
export async function answers(url: string, isWell = false): Promise<boolean> {
  try {
    const response = await fetch(url, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    return response.ok || !isWell;
  } catch {
    return false; // Not up yet.
  }
}
