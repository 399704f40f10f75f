import { unwatchFile, watchFile, type Stats } from 'node:fs';
import { halfJitterDelayMs } from '../../domain/back-off.ts';
import type { Clock, Random } from '../../domain/clock.ts';
import type { Observe } from '../../domain/events.ts';
import { printable } from '../../domain/printable.ts';
import type { RosterEntry } from '../../domain/roster.ts';
import type { Loaded } from './frames.ts';
import { ModelProcess } from './model-process.ts';
import { findRuntime, noRuntime } from './runtime.ts';

/** A model as `discovery.local` has it. */
export interface LocalModel {
  readonly service: string;
  /** Absolute. */
  readonly file: string;
  /** How many processes, each of which answers one call at a time. */
  readonly instances: number;
  readonly env: Readonly<Record<string, string>>;
}

/** What the processes of a model are run with. */
export interface HostParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
}

/** A call that waits for a free process. */
export interface WaitsForModel {
  /** It has the process until `giveBack`. */
  take(process: ModelProcess): void;
  /** There is none, and none will come. */
  refuse(why: string): void;
  /** The process that it had has ended. */
  lose(how: string): void;
}

/** What begins the origin of a model. */
export const SCHEME = 'onnx:';
/** How often the file is looked at. */
const LOOK_EVERY_MS = 2_000;
const BACK_OFF = { baseMs: 500, maxMs: 30_000 };
/** It runs for so long: what ends it afterwards is not why it ended before. */
const WELL_AFTER_MS = 60_000;
/** So many ends in a row, and the model counts as one that cannot be used. */
const FAILURES_MAX = 3;
const LINE_CHARS_MAX = 500;

interface Kept {
  readonly process: ModelProcess;
  /** Which reading of the file it has. */
  readonly generation: number;
  readyMs: number | undefined;
  /** Another version took its place: it ends with its call. */
  isRetired: boolean;
  user: WaitsForModel | undefined;
}

/**
 * The processes of one model. One that ends is replaced, ever later while that happens again and again. When the file
 * changes, one process loads it; once that is ready it and others like it take the place of those that are there, which
 * finish their calls. A file that cannot be used changes nothing.
 */
export class ModelHost {
  readonly model: LocalModel;
  readonly #parts: HostParts;
  readonly #onChange: () => void;
  readonly #runtime: string | undefined;
  readonly #kept = new Set<Kept>();
  readonly #waiting = new Set<WaitsForModel>();
  readonly #look = (now: Stats, before: Stats) => {
    if (now.mtimeMs !== before.mtimeMs || now.size !== before.size || now.ino !== before.ino)
      this.#changed(now.ino !== 0);
  };
  #loaded: Loaded | undefined = undefined;
  /** Why the file as it is now cannot be used. */
  #flaw: string | undefined = undefined;
  #generation = 0;
  #failures = 0;
  #cancel: (() => void) | undefined = undefined;
  #isClosed = false;

  constructor(model: LocalModel, parts: HostParts, onChange: () => void) {
    this.model = model;
    this.#parts = parts;
    this.#onChange = onChange;
    this.#runtime = findRuntime(model.file);
    watchFile(model.file, { interval: LOOK_EVERY_MS, persistent: false }, this.#look);
    if (this.#runtime === undefined) this.#unfit(noRuntime(model.file));
    else this.#fill();
  }

  /** What the model has published of itself; undefined until it is loaded. */
  get loaded(): Loaded | undefined {
    return this.#loaded;
  }

  hasBeenTried(): boolean {
    return this.#loaded !== undefined || this.#flaw !== undefined || this.#failures >= FAILURES_MAX;
  }

  /** Null until it is known whether the file can be used. Its concurrency is how many processes are ready. */
  entry(): RosterEntry | null {
    if (!this.hasBeenTried()) return null;
    const { service } = this.model;
    const whyNot = this.#whyNot();
    const concurrency = Math.max(1, this.#standing().filter(({ readyMs }) => readyMs !== undefined).length);
    return {
      ...{ id: `${service}-onnx`, origin: `${SCHEME}${service}`, source: 'local', weight: 1 },
      ...{ health: whyNot === null ? 'passing' : 'critical', healthNote: whyNot },
      ...{ version: this.#loaded?.version ?? null, model: this.#loaded?.model ?? null, concurrency },
    };
  }

  /** Gives it a process as soon as one is free. */
  wait(user: WaitsForModel): void {
    const free = [...this.#kept].find(kept => isFree(kept));
    if (free !== undefined) this.#give(free, user);
    else if (this.#whyNot() === null) this.#waiting.add(user);
    else user.refuse(this.#whyNot() ?? '');
  }

  /** It waits no longer. */
  leave(user: WaitsForModel): void {
    this.#waiting.delete(user);
  }

  /** The call is over, and the process free. */
  giveBack(process: ModelProcess): void {
    const kept = [...this.#kept].find(each => each.process === process);
    if (kept === undefined) return;
    kept.user = undefined;
    if (kept.isRetired || this.#isClosed) process.kill();
    else this.#serve(kept);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    unwatchFile(this.model.file, this.#look);
    for (const { process } of this.#kept) process.kill();
  }

  #whyNot(): string | null {
    const isServing = [...this.#kept].some(({ readyMs, isRetired }) => readyMs !== undefined && !isRetired);
    if (isServing) return null;
    if (this.#flaw !== undefined) return this.#flaw;
    if (this.#failures >= FAILURES_MAX) return 'the process of the model ends again and again';
    return this.#loaded === undefined ? 'the model is being loaded' : null;
  }

  #give(kept: Kept, user: WaitsForModel): void {
    kept.user = user;
    user.take(kept.process);
  }

  #serve(kept: Kept): void {
    const [user] = this.#waiting;
    if (user === undefined) return;
    this.#waiting.delete(user);
    this.#give(kept, user);
  }

  #fill(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#isClosed || this.#flaw !== undefined) return;
    const ofFile = this.#standing().filter(({ generation }) => generation === this.#generation);
    // Of a file that was never loaded, or has changed, one is tried first.
    const isTried = ofFile.some(({ readyMs }) => readyMs !== undefined);
    const missing = isTried ? this.model.instances - this.#standing().length : 1 - ofFile.length;
    for (let i = 0; i < missing && this.#start(); i += 1);
  }

  #standing(): Kept[] {
    return [...this.#kept].filter(({ isRetired }) => !isRetired);
  }

  /** False: the system has nothing left to start it with, and it is tried again later. */
  #start(): boolean {
    try {
      this.#kept.add(this.#create());
      return true;
    } catch (error) {
      this.#failed(`it could not be started: ${error instanceof Error ? error.message : String(error)}`, false);
      return false;
    }
  }

  #create(): Kept {
    const { file, env, service } = this.model;
    const { clock, observe } = this.#parts;
    const generation = this.#generation;
    const process = new ModelProcess({
      ...{ wanted: { file, runtime: this.#runtime ?? '' }, env },
      onLine: line =>
        observe({ kind: 'notice', level: 'warn', text: printable(line, LINE_CHARS_MAX), about: { service } }),
      onReady: loaded => {
        kept.readyMs = clock.nowMs();
        this.#ready(kept, loaded);
      },
      onUnfit: why => {
        if (generation === this.#generation) this.#unfit(why);
        kept.isRetired = true;
        process.kill();
      },
      onEnd: how => this.#ended(kept, how),
    });
    const kept: Kept = { process, generation, readyMs: undefined, isRetired: false, user: undefined };
    return kept;
  }

  #ready(kept: Kept, loaded: Loaded): void {
    if (kept.generation < this.#generation || this.#isClosed) {
      kept.isRetired = true;
      kept.process.kill();
      return;
    }
    const isNew = loaded.version !== this.#loaded?.version;
    if (isNew) {
      this.#loaded = loaded;
      const { version, model } = loaded;
      const about = { service: this.model.service, version, ...(model === null ? {} : { model }) };
      this.#parts.observe({ kind: 'notice', level: 'info', text: 'the model is loaded', about });
    }
    for (const other of this.#standing()) if (other.generation < kept.generation) retire(other);
    this.#serve(kept);
    this.#fill();
    this.#onChange();
  }

  #unfit(why: string): void {
    this.#flaw = why;
    const isServing = this.#whyNot() === null;
    const text = isServing
      ? `the changed model cannot be used, and the one before goes on: ${why}`
      : `the model cannot be used: ${why}`;
    const about = { service: this.model.service };
    this.#parts.observe({ kind: 'notice', level: 'error', text: printable(text, 4 * LINE_CHARS_MAX), about });
    if (!isServing) this.#refuseAll(why);
    this.#onChange();
  }

  #refuseAll(why: string): void {
    for (const user of this.#waiting) user.refuse(why);
    this.#waiting.clear();
  }

  #ended(kept: Kept, how: string): void {
    this.#kept.delete(kept);
    kept.user?.lose(how);
    if (this.#isClosed || kept.isRetired) return;
    const { clock } = this.#parts;
    this.#failed(how, kept.readyMs !== undefined && clock.nowMs() - kept.readyMs >= WELL_AFTER_MS);
  }

  #failed(how: string, wasWell: boolean): void {
    const { clock, random, observe } = this.#parts;
    this.#failures = wasWell ? 1 : this.#failures + 1;
    const againInMs = this.#failures === 1 ? 0 : halfJitterDelayMs(this.#failures - 1, BACK_OFF, random);
    const text = `the process of the model ended: ${how}`;
    observe({ kind: 'notice', level: 'warn', text, about: { service: this.model.service, againInMs } });
    this.#cancel?.();
    this.#cancel = clock.after(againInMs, () => this.#fill());
    const whyNot = this.#whyNot();
    if (whyNot !== null) this.#refuseAll(whyNot);
    this.#onChange();
  }

  /** The file is read by the process that loads it: a large one would hold up this thread. */
  #changed(isThere: boolean): void {
    if (this.#runtime === undefined) return;
    this.#generation += 1;
    this.#flaw = undefined;
    this.#failures = 0;
    if (isThere) this.#fill();
    else this.#unfit(`${this.model.file} cannot be read`);
  }
}

function isFree({ readyMs, isRetired, user }: Kept): boolean {
  return readyMs !== undefined && !isRetired && user === undefined;
}

function retire(kept: Kept): void {
  kept.isRetired = true;
  if (kept.user === undefined) kept.process.kill();
}
