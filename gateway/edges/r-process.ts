import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Clock } from '../domain/clock.ts';

/** How to start one R process. */
interface RProcessOptions {
  /** `plumber-services/serve.sh`, or what keeps its promises. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** A started R process, in a process group of its own. */
export interface RProcess {
  readonly pid: number | undefined;
  /** How it ended, in words. Never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to end, and kills its whole group when it has not within `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const LINE_CHARS_MAX = 8 * 1024;
/** Its last lines may come after its end, and what it has left behind may keep its output open for ever. */
const LAST_LINES_MS_MAX = 1_000;

/**
 * Starts R through its script. The script's standard input is a pipe that only this process holds: when this process
 * dies, however it dies, the pipe ends, and so does R. Throws where the system has nothing left to start it with.
 */
export function startRProcess({ command, args, env, clock, onLine }: RProcessOptions): RProcess {
  const child = spawn(command, [...args, '--watch-stdin'], {
    ...{ env, detached: true },
    stdio: 'pipe',
  }) as ChildProcess; // its pipes are missing where there are no descriptors left
  child.stdin?.on('error', () => undefined); // It may end before us; `ended` tells.
  readLines(child.stdout, line => onLine(line, 'stdout'));
  readLines(child.stderr, line => onLine(line, 'stderr'));
  const ended = endOf(child, clock);

  return {
    pid: child.pid,
    ended,
    async stop(graceMs) {
      child.kill('SIGTERM'); // The script alone: it lets R finish.
      const cancel = clock.after(graceMs, () => killGroup(child.pid));
      await ended;
      cancel();
    },
  };
}

async function endOf(child: ChildProcess, clock: Clock): Promise<string> {
  const closed = new Promise<void>(resolve => child.once('close', resolve));
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    killGroup(child.pid); // Whatever the script may have left behind.
    await within(LAST_LINES_MS_MAX, { clock, awaited: closed });
    return signal ?? `exit status ${code ?? 'unknown'}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error); // It could not be started.
  }
}

async function within(ms: number, { clock, awaited }: { clock: Clock; awaited: Promise<void> }): Promise<void> {
  let cancel: () => void = () => undefined;
  await Promise.race([awaited, new Promise<void>(resolve => (cancel = clock.after(ms, resolve)))]);
  cancel();
}

function readLines(stream: Readable | null | undefined, onLine: (line: string) => void): void {
  const splitter = createLineSplitter(LINE_CHARS_MAX, onLine);
  stream?.setEncoding('utf8');
  stream?.on('data', (text: string) => splitter.push(text));
  stream?.once('end', () => splitter.end());
  stream?.on('error', () => undefined); // There is nothing more to read then.
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // No process of the group is left.
  }
}

/** Cuts text that comes in pieces into lines. Of a line longer than the bound the rest is dropped. */
export function createLineSplitter(charsMax: number, onLine: (line: string) => void) {
  let begun = '';
  let isDropping = false;

  function emit(): void {
    const line = begun.endsWith('\r') ? begun.slice(0, -1) : begun;
    begun = '';
    isDropping = false;
    if (line !== '') onLine(line);
  }

  return {
    push(text: string): void {
      for (const [index, piece] of text.split('\n').entries()) {
        if (index > 0) emit();
        if (isDropping) continue;
        begun += piece.slice(0, charsMax - begun.length);
        isDropping = begun.length === charsMax;
      }
    },
    /** No more will come: a line without its end is one as well. */
    end: emit,
  };
}
