import { spawn, type ChildProcess } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../domain/clock.ts';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import { ConcurrencyLimit } from '../../domain/concurrency-limit.ts';
import { printable } from '../../domain/printable.ts';
import { createLineSplitter } from '../r-process.ts';
import type { ParquetTask, ParquetWord } from './task.ts';

const MAIN = fileURLToPath(new URL('./parquet-main.ts', import.meta.url));
/** The others wait. */
const AT_ONCE_MAX = 2;
/** Of V8, and of all that the process has, since what is unpacked lies outside of V8's heap. */
const HEAP_MIB = 512;
const DATA_KIB = 1024 * 1024;
/** A file is read and written in stretches; one that takes longer takes too long. */
const STRETCH_MS_MAX = 60_000;
/** Of processor time, and for each so many bytes that may come of it. */
const CPU_S_MAX = 60;
const BYTES_A_S = 8 * 1024 * 1024;
/** Behind all others on the machine. */
const NICENESS = 10;
const WORD_CHARS_MAX = 4_000;

/** No core, and no more memory or time than there is for it; then it becomes Node. */
const BOUNDED = 'ulimit -c 0; ulimit -d "$1"; ulimit -t "$2"; shift 2; exec "$@"';

/**
 * Reads and writes Parquet files in processes of their own, a file each: a file that a stranger wrote may take all the
 * memory or time that there is for it, and the library's process with it, but no more.
 */
export class ParquetProcesses {
  readonly #clock: Clock;
  readonly #concurrency = new ConcurrencyLimit(() => AT_ONCE_MAX);
  readonly #running = new Set<ChildProcess>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with the bytes of the target. Rejects with a GatewayError, or with the signal's reason. */
  async run(task: ParquetTask, signal: AbortSignal): Promise<number> {
    const isAcquired = await this.#concurrency.acquire(signal);
    try {
      const word = isAcquired && !this.#isClosed ? await this.#wordOf(task, signal) : undefined;
      signal.throwIfAborted();
      if (word === undefined && this.#isClosed) throw unavailable('the gateway ends');
      return bytesOf(word, task);
    } finally {
      if (isAcquired) this.#concurrency.release();
    }
  }

  /** What runs is ended. */
  close(): void {
    this.#isClosed = true;
    this.#concurrency.close();
    for (const child of this.#running) child.kill('SIGKILL');
  }

  /** The last word of a process for this task; undefined: it had none. */
  #wordOf(task: ParquetTask, signal: AbortSignal): Promise<ParquetWord | undefined> {
    const child = start(task); // throws where the system has nothing left to start it with
    this.#running.add(child);
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    return new Promise(resolve => {
      let last: ParquetWord | undefined = undefined;
      let cancel = this.#clock.after(STRETCH_MS_MAX, kill);
      const splitter = createLineSplitter(WORD_CHARS_MAX, line => {
        last = JSON.parse(line) as ParquetWord;
        cancel();
        cancel = this.#clock.after(STRETCH_MS_MAX, kill);
      });
      const over = (word: ParquetWord | undefined) => {
        cancel();
        this.#running.delete(child);
        signal.removeEventListener('abort', kill);
        resolve(word);
      };
      child.stdout?.setEncoding('utf8').on('data', (text: string) => splitter.push(text));
      child.once('error', ({ message }) => over({ kind: 'failed', problem: message }));
      child.once('close', () => over(last?.kind === 'on' ? undefined : last));
      child.stdin?.on('error', () => undefined).end(JSON.stringify(task)); // its end tells
    });
  }
}

function start({ bytesMax }: ParquetTask): ChildProcess {
  const compiled = getCompileCacheDir();
  const seconds = Number.isFinite(bytesMax) ? String(CPU_S_MAX + Math.ceil(bytesMax / BYTES_A_S)) : 'unlimited';
  const bounds = [String(DATA_KIB), seconds];
  const node = [process.execPath, `--max-old-space-size=${HEAP_MIB}`, MAIN];
  const child = spawn('/bin/sh', ['-c', BOUNDED, 'sh', ...bounds, ...node], {
    env: compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled },
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true, // a Ctrl-C is the gateway's to answer
  }) as ChildProcess; // its pipes are missing where there are no descriptors left
  try {
    if (child.pid !== undefined) setPriority(child.pid, NICENESS);
  } catch {
    // It has ended already.
  }
  return child;
}

function bytesOf(word: ParquetWord | undefined, { bytesMax }: ParquetTask): number {
  if (word?.kind === 'done') return word.bytes;
  if (word?.kind === 'too-large') throw bodyTooLarge(bytesMax);
  if (word?.kind === 'failed') throw unavailable(word.problem);
  const problem = word?.kind === 'unfit' ? word.problem : 'it takes more memory or time than there is for it';
  throw new GatewayError('BAD_REQUEST', 'no Parquet file that can be read', {
    detail: `The file cannot be read as Parquet: ${printable(problem, 300)}.`,
  });
}

function unavailable(problem: string): GatewayError {
  return new GatewayError('JOBS_UNAVAILABLE', `a Parquet file: ${problem}`, { retryAfterMs: 10_000 });
}
