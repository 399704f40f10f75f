import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Clock } from '../../domain/clock.ts';
import { createLineSplitter } from '../r-process.ts';

/** An R script that answers calls, and what one run of it may take. */
export interface ScriptSpec {
  readonly service: string;
  /** Absolute. */
  readonly file: string;
  /** Whether the body comes as standard input, or as the script's one argument. */
  readonly input: 'stdin' | 'argument';
  readonly env: Readonly<Record<string, string>>;
  /** Of address space (RLIMIT_AS). */
  readonly memoryBytesMax: number;
  /** Of processor time (RLIMIT_CPU). */
  readonly cpuMsMax: number;
}

/** What an interpreter calls back, once for each run. */
export interface RunListener {
  /** Undefined once the output is read. */
  onOutput(chunk: Buffer): void;
  onEnd(end: RunEnd): void;
}

/** How a run ended: `status` is undefined where it was killed, or could not be started. */
export interface RunEnd {
  readonly status: number | undefined;
  /** The signal's name, or why it could not be started; empty else. */
  readonly reason: string;
  /** The last line of standard error that says what was wrong; empty where there is none. */
  readonly lastLine: string;
  readonly isStarted: boolean;
}

interface InterpreterParts {
  readonly clock: Clock;
  readonly argument: string | undefined;
  readonly onLine: (line: string) => void;
}

const LINE_CHARS_MAX = 2_000;
/** What a script writes beyond it is of no more use. */
const LINES_MAX = 100;
/** What R adds to every error at the end. */
const EPILOGUE = /^(?:Execution halted|Calls: .*)$/;

/** What has left the group of a script that has ended may hold its output open for so long. */
const LAST_OUTPUT_MS_MAX = 100;

/**
 * Sets the limits in the process itself, then becomes R: no argument is ever read by a shell. Of processor time the soft
 * limit is a second below the hard one, so that the signal says which limit it was. Where util-linux is, R ends with a
 * gateway that is killed, as nothing else would end it then.
 */
const BOUNDED = `ulimit -S -t "$1" && ulimit -H -t $(($1 + 1)) && ulimit -v "$2" && shift 2 || exit 1
setpriv --pdeathsig KILL true 2>/dev/null && exec setpriv --pdeathsig KILL "$@"
exec "$@"`;

/** One R that runs a script once, in a process group and an empty folder of its own. It may be started before its call. */
export class Interpreter {
  readonly #folder: string;
  readonly #child: ChildProcess;
  #listener: RunListener | undefined = undefined;
  #end: RunEnd | undefined = undefined;
  #lastLine = '';
  #lines = 0;

  /** Throws where the system has nothing left to start it with. */
  constructor(spec: ScriptSpec, { argument, onLine, clock }: InterpreterParts) {
    this.#folder = makeWorkFolder();
    const child = this.#begin(spec, argument);
    this.#child = child;
    child.stdin?.on('error', ignore); // a script need not read what it is given
    child.stdout?.on('data', (chunk: Buffer) => this.#listener?.onOutput(chunk)).on('error', ignore);
    this.#readLines(child.stderr, onLine);
    child.once('exit', () => this.#endOutput(clock));
    child.once('error', error => this.#over({ ...NOT_STARTED, reason: error.message }));
    child.once('close', (status, signal) => {
      this.#over({ status: status ?? undefined, reason: signal ?? '', lastLine: this.#lastLine, isStarted: true });
    });
  }
  /** It has ended, with or without a call. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Gives it its call: what it reads, and who takes what it writes. */
  run(input: Buffer | undefined, listener: RunListener): void {
    this.#listener = listener;
    if (this.#end !== undefined) setImmediate(() => this.#report());
    else this.#child.stdin?.end(input);
  }

  #begin(spec: ScriptSpec, argument: string | undefined): ChildProcess {
    try {
      const cwd = join(this.#folder, 'work'); // empty: R keeps its own temporary files beside it
      mkdirSync(cwd);
      const limits = [String(Math.ceil(spec.cpuMsMax / 1_000)), String(Math.ceil(spec.memoryBytesMax / 1_024))];
      const command = ['Rscript', '--vanilla', spec.file, ...(argument === undefined ? [] : [argument])];
      return spawn('/bin/sh', ['-c', BOUNDED, 'sh', ...limits, ...command], {
        ...{ cwd, env: { ...spec.env, TMPDIR: this.#folder }, detached: true },
        stdio: 'pipe',
      }); // its pipes are missing where there are no descriptors left
    } catch (error) {
      void removeWorkFolder(this.#folder);
      throw error;
    }
  }

  /** Ends it and all that it has started. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined || this.isOver) return; // the number may be another's by now
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // No process of the group is left.
    }
  }

  /** What it has left behind holds its output open: it is ended, or, where it has left the group, not listened to. */
  #endOutput(clock: Clock): void {
    this.kill();
    const { stdout, stderr } = this.#child;
    const cancel = clock.after(LAST_OUTPUT_MS_MAX, () => {
      setImmediate(() => {
        // The loop has looked at the pipes again since the time was over: what the script wrote is read.
        stdout?.destroy();
        stderr?.destroy();
      });
    });
    this.#child.once('close', cancel);
  }

  #readLines(stderr: Readable | null | undefined, onLine: (line: string) => void): void {
    const splitter = createLineSplitter(LINE_CHARS_MAX, line => {
      if (!EPILOGUE.test(line)) this.#lastLine = line;
      this.#lines += 1;
      if (this.#lines <= LINES_MAX) onLine(line);
    });
    stderr?.setEncoding('utf8');
    stderr?.on('data', (text: string) => splitter.push(text)).on('error', ignore);
    stderr?.once('end', () => splitter.end());
  }

  #over(end: RunEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    void removeWorkFolder(this.#folder);
    this.#report();
  }

  #report(): void {
    const [listener, end] = [this.#listener, this.#end];
    this.#listener = undefined;
    if (end !== undefined) listener?.onEnd(end);
  }
}

const NOT_STARTED = { status: undefined, lastLine: '', isStarted: false } as const;

function ignore(): void {
  // Its end tells.
}

const PREFIX = 'penstock-script-';

/** A new folder for one run of a script. Its name says whose it is, so that the next gateway knows what a killed one has left. */
function makeWorkFolder(): string {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${OWNER}-`));
}

/** Removes it, with all that the script has left in it. Never rejects: the system clears its temporary files. */
async function removeWorkFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}

/** Removes those of gateways that are no longer there. Links are not followed, and another user's folders left alone. */
export function removeAbandonedFolders(): void {
  const folder = tmpdir();
  for (const name of namesIn(folder)) {
    const [, owner = OWNER] = NAME.exec(name) ?? [];
    if (!hasEnded(owner)) continue;
    const path = join(folder, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true && found.uid === process.getuid?.()) void removeWorkFolder(path);
  }
}

const NAME = /^penstock-script-(\d+-\d+-\d+)-\w{6}$/;

/** A process: its number, among which of them it is one (pid_namespaces(7)), and when it began, since numbers are used again. */
const OWNER = ownerOf(process.pid) ?? 'unknown';

function ownerOf(pid: number): string | undefined {
  try {
    const among = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // proc_pid_stat(5)
    return `${among}-${pid}-${began}`;
  } catch {
    return undefined; // it has ended, or the system does not say
  }
}

/** Of one that has other numbers than this process that is not known. */
function hasEnded(owner: string): boolean {
  const [among, pid] = owner.split('-');
  return OWNER.startsWith(`${among}-`) && ownerOf(Number(pid)) !== owner;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no script runs then either
  }
}
