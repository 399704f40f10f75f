import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onWholeLine } from '../whole-lines.ts';

/** One JSON object that serve.sh has written. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** A running `serve.sh` with its R. */
export interface PlumberService {
  readonly child: ChildProcess;
  readonly port: number;
  readonly url: string;
  /** The process id of R itself. */
  readonly rPid: number;
  /** Where it keeps its files while it runs. */
  readonly directory: string;
  /** All that it has written so far, each line a JSON object. */
  readonly lines: readonly LogLine[];
  /** The first line of that event, written already or to come. */
  event(name: string): Promise<LogLine>;
  /** The code it ended with, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The folder of the service that misbehaves when asked: its plumber.R says how. */
export const misbehave = `${root}test/support/plumber/misbehave`;

/** Calls to `misbehave` that R answers when the test says so, and not when some time is over. */
export interface Held {
  /** Path and query of such a call. */
  readonly path: string;
  /** R answers them all, those to come as well. */
  release(): void;
}

/** Calls that R keeps in hand for as long as the test likes. */
export function heldCalls(t: TestContext): Held {
  const folder = mkdtempSync(join(tmpdir(), 'plumber-held-'));
  const file = join(folder, 'released');
  const release = () => writeFileSync(file, '');
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { path: `/wait?file=${encodeURIComponent(file)}`, release };
}

/** Starts a service by the real serve.sh, and waits until R listens. It ends with the test. */
export async function startPlumberService(
  t: TestContext,
  service: string,
  { args = [], env = {} }: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): Promise<PlumberService> {
  const directory = mkdtempSync(join(tmpdir(), 'plumber-service-'));
  const child = spawn(`${root}plumber-services/serve.sh`, [service, ...args], {
    env: { ...withoutConsul(process.env), TMPDIR: directory, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // a process group of its own, so that nothing of it outlives the test
  });
  child.stdin.on('error', () => undefined); // it may end before us
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  t.after(async () => {
    killGroup(child.pid);
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });

  const { lines, event } = readLines(child);
  const failed = ended.then(code => {
    throw new Error(`serve.sh ${service} ended (${code}) before it listened: ${JSON.stringify(lines)}`);
  });
  const listening = await Promise.race([event('listening'), failed]);
  failed.catch(() => undefined); // once it listens, `ended` tells
  const port = listening['port'] as number;
  const rPid = listening['pid'] as number;
  return { child, port, url: `http://127.0.0.1:${port}`, rPid, directory, lines, event, ended };
}

/** Whether the process runs: a dead one that was not waited for does not. */
export function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false; // gone between the two lines
  }
}

function readLines(child: ChildProcess): Pick<PlumberService, 'lines' | 'event'> {
  const lines: LogLine[] = [];
  const waiting = new Set<{ name: string; resolve: (line: LogLine) => void }>();
  if (child.stdout === null) throw new Error('no standard output');
  onWholeLine(child.stdout, text => {
    const line = JSON.parse(text) as LogLine;
    lines.push(line);
    for (const waiter of waiting) {
      if (waiter.name === line.event && waiting.delete(waiter)) waiter.resolve(line);
    }
  });
  const event = (name: string) =>
    new Promise<LogLine>(resolve => {
      const written = lines.find(line => line.event === name);
      if (written === undefined) waiting.add({ name, resolve });
      else resolve(written);
    });
  return { lines, event };
}

/** Ends all processes of a group at once, if there are any left. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

function withoutConsul(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(CONSUL|PENSTOCK)_/.test(name)));
}
