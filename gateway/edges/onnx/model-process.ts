import { spawn, type ChildProcess } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createLineSplitter } from '../r-process.ts';
import { KIND, readFrames, writeFrame, type Loaded, type Refusal, type Wanted } from './frames.ts';

/** How a call to a model ended: with JSON, with a refusal, or with the model's own failure. */
export type Said =
  | { readonly kind: 'answer'; readonly body: Buffer }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'failed'; readonly message: string };

interface ProcessParts {
  readonly wanted: Wanted;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  readonly onReady: (loaded: Loaded) => void;
  /** The file cannot be used. The process ends. */
  readonly onUnfit: (why: string) => void;
  /** Once, last; how, in words. */
  readonly onEnd: (how: string) => void;
}

const MAIN = fileURLToPath(new URL('./model-main.ts', import.meta.url));
const LINE_CHARS_MAX = 2_000;
/** What a process writes beyond it is of no more use. */
const LINES_MAX = 100;

/**
 * A model in a process of its own, one call at a time. It is no thread of the gateway's: onnxruntime cannot be
 * interrupted, a thread that is ended during a run takes the whole process with it, and so does a fault in its code.
 */
export class ModelProcess {
  readonly #child: ChildProcess;
  readonly #pipe: Socket | undefined;
  #onSaid: ((said: Said) => void) | undefined = undefined;
  #isOver = false;

  /** Throws where the system has nothing left to start it with. */
  constructor({ wanted, env, ...parts }: ProcessParts) {
    const compiled = getCompileCacheDir();
    this.#child = spawn(process.execPath, [MAIN], {
      env: { ...env, ...(compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }) },
      detached: true, // a Ctrl-C is the gateway's to answer
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    const pipe = (this.#child.stdio as readonly unknown[] | undefined)?.[3]; // missing where there are no descriptors left
    this.#pipe = pipe instanceof Socket ? pipe : undefined;
    this.#pipe?.on('error', () => undefined); // its end tells
    if (this.#pipe !== undefined) this.#listen(this.#pipe, parts);
    this.#readLines(parts.onLine);
    this.#child.once('error', error => this.#over(error.message, parts));
    this.#child.once('exit', (status, signal) => this.#over(signal ?? `exit status ${status ?? 'unknown'}`, parts));
    this.#write(KIND.open, Buffer.from(JSON.stringify(wanted)));
  }

  get isBusy(): boolean {
    return this.#onSaid !== undefined;
  }

  /** Asks the model, which must be idle; where the process ends instead, `onEnd` tells. */
  send(body: Buffer, bytesMax: number, onSaid: (said: Said) => void): void {
    this.#onSaid = onSaid;
    const bound = Buffer.alloc(4);
    bound.writeUInt32LE(Math.min(bytesMax, 0xffffffff));
    this.#write(KIND.call, bound, body);
  }

  kill(): void {
    if (!this.#isOver) this.#child.kill('SIGKILL');
  }

  #write(kind: number, ...parts: readonly Uint8Array[]): void {
    if (this.#pipe?.writable === true) writeFrame(this.#pipe, kind, ...parts);
  }

  #listen(pipe: Socket, { onReady, onUnfit }: Pick<ProcessParts, 'onReady' | 'onUnfit'>): void {
    readFrames(pipe, (kind, payload) => {
      if (kind === KIND.ready) onReady(JSON.parse(payload.toString('utf8')) as Loaded);
      else if (kind === KIND.unfit) onUnfit(payload.toString('utf8'));
      else this.#said(saidIn(kind, payload));
    });
  }

  #said(said: Said): void {
    const onSaid = this.#onSaid;
    this.#onSaid = undefined;
    onSaid?.(said);
  }

  #readLines(onLine: (line: string) => void): void {
    let lines = 0;
    const splitter = createLineSplitter(LINE_CHARS_MAX, line => {
      lines += 1;
      if (lines <= LINES_MAX) onLine(line);
    });
    this.#child.stderr?.setEncoding('utf8');
    this.#child.stderr?.on('data', (text: string) => splitter.push(text)).on('error', () => undefined);
  }

  #over(how: string, { onEnd }: Pick<ProcessParts, 'onEnd'>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pipe?.destroy();
    onEnd(how);
  }
}

function saidIn(kind: number, payload: Buffer): Said {
  if (kind === KIND.answer) return { kind: 'answer', body: payload };
  const text = payload.toString('utf8');
  return kind === KIND.refused
    ? { kind: 'refused', refusal: JSON.parse(text) as Refusal }
    : { kind: 'failed', message: text };
}
