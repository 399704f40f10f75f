import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Clock } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import {
  AuditChain,
  EMPTY_TRAIL,
  readAuditLine,
  type AuditEntry,
  type AuditHead,
  type HexDigest,
} from '../domain/operating/audit.ts';

/** Where an audit trail lies, and how it is kept. */
export interface AuditConfig {
  /** Absolute. */
  readonly file: string;
  /** A file of this size is put aside, and another begun. */
  readonly rotateBytes: number;
  /** Files put aside that are kept. */
  readonly keep: number;
  /** Calls of routes that are audited are refused while the trail takes nothing. */
  readonly required: boolean;
}

/** The trail of one process, which alone writes it. */
export interface AuditTrail {
  /** Takes an entry; it is written soon, in this order. Never waits, never throws. */
  append(entry: AuditEntry): void;
  /** False: the last write failed, and what came since is held or lost. */
  readonly isTaking: boolean;
  readonly head: AuditHead;
  readonly written: number;
  readonly lost: number;
  /** Writes what is held, and lets another process write. */
  close(): Promise<void>;
}

/** SHA-256 in hexadecimal. */
export const hexDigest: HexDigest = text => createHash('sha256').update(text).digest('hex');

/** Lines held while the file takes none; of more the newest are lost where the trail is not required. */
const HELD_MAX = 10_000;
const BATCH_CHARS_MAX = 256 * 1024;
const AGAIN_MS = 1_000;
/** The newest hash goes to the log so often, where there is a new one: what cuts the trail would have to cut the log. */
const REPORT_EVERY_MS = 60_000;
/** It says who called what. */
const MODE = 0o600;
/** Where the last line is looked for; a line is far shorter. */
const TAIL_BYTES = 256 * 1024;

interface TrailParts {
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Opens a trail, mends its end, and keeps others from writing it. Rejects, in words, where it cannot be written. */
export async function openAuditTrail(config: AuditConfig, parts: TrailParts): Promise<AuditTrail> {
  await mkdir(dirname(config.file), { recursive: true });
  const unlock = lock(config.file);
  try {
    const { head, cut } = await mendEnd(config.file);
    const trail = new FileTrail(config, { ...parts, head, unlock, handle: await open(config.file, 'a', MODE) });
    await trail.begin(cut);
    return trail;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The process that writes a trail has it locked. */
export class AuditLocked extends Error {
  override readonly name = 'AuditLocked';
}

function lock(file: string): () => void {
  const path = `${file}.lock`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const descriptor = openSync(path, 'wx', MODE);
      writeSync(descriptor, String(process.pid));
      closeSync(descriptor);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = Number(readFileSync(path, 'utf8'));
      if (isAlive(pid)) throw new AuditLocked(`the process ${pid} writes ${file}`);
      rmSync(path, { force: true }); // who had it was killed
    }
  }
  throw new AuditLocked(`another process begins to write ${file}`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

interface End {
  readonly head: AuditHead;
  /** Bytes of an unfinished line that were taken off. */
  readonly cut: number;
}

/** Takes off a line that a crash left unfinished, and finds the last whole one, in the file put aside last where need be. */
async function mendEnd(file: string): Promise<End> {
  const { tail, size } = await tailOf(file);
  const whole = tail.lastIndexOf('\n') + 1;
  const cut = Buffer.byteLength(tail.slice(whole));
  if (cut > 0) {
    const handle = await open(file, 'r+');
    await handle.truncate(size - cut);
    await handle.close();
  }
  const last = lastLineOf(tail.slice(0, whole)) ?? lastLineOf((await tailOf(putAside(file).at(-1) ?? '')).tail);
  if (last === undefined) return { head: EMPTY_TRAIL, cut };
  const line = readAuditLine(last);
  if (line === undefined) throw new Error(`the last line of ${file} is no line of an audit trail; put the file aside`);
  return { head: { seq: line.seq, hash: hexDigest(last) }, cut };
}

async function tailOf(file: string): Promise<{ tail: string; size: number }> {
  if (file === '' || !existsSync(file)) return { tail: '', size: 0 };
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, TAIL_BYTES);
    const buffer = Buffer.alloc(length);
    await handle.read(buffer, 0, length, size - length);
    return { tail: buffer.toString('utf8'), size };
  } finally {
    await handle.close();
  }
}

function lastLineOf(text: string): string | undefined {
  return text.split('\n').findLast(line => line !== '');
}

/** The files that were put aside, the oldest first: `audit.000000000001.jsonl` begins with the line 1. */
function putAside(file: string): string[] {
  const folder = dirname(file);
  const [stem, ending] = partsOf(file);
  const isAside = (name: string) =>
    name.startsWith(`${stem}.`) &&
    name.endsWith(ending) &&
    /^\d{12}$/.test(name.slice(stem.length + 1, name.length - ending.length));
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(isAside)
    .sort()
    .map(name => join(folder, name));
}

function partsOf(file: string): [string, string] {
  const name = basename(file);
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
}

/** All lines of a trail, the oldest first, those of files put aside included. */
export async function* linesOfTrail(file: string): AsyncGenerator<string> {
  for (const path of [...putAside(file), ...(existsSync(file) ? [file] : [])]) {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) yield line;
  }
}

interface FileParts extends TrailParts {
  readonly head: AuditHead;
  readonly handle: FileHandle;
  readonly unlock: () => void;
}

class FileTrail implements AuditTrail {
  isTaking = true;
  written = 0;
  lost = 0;
  readonly #config: AuditConfig;
  readonly #parts: TrailParts;
  readonly #chain: AuditChain;
  readonly #unlock: () => void;
  #handle: FileHandle;
  #size = 0;
  /** The number of the file's first line. */
  #firstSeq: number;
  #held: string[] = [];
  /** Entries that were lost since one could be held. */
  #gap = 0;
  #writing: Promise<void> | undefined = undefined;
  #reportedHead = '';
  /** What follows `#size` is a write that failed. */
  #isDirty = false;
  #cancelReport: () => void;
  #cancelAgain: (() => void) | undefined = undefined;
  #isClosing = false;

  constructor(config: AuditConfig, { head, handle, unlock, ...parts }: FileParts) {
    this.#config = config;
    this.#parts = parts;
    this.#chain = new AuditChain(head, hexDigest);
    this.#handle = handle;
    this.#unlock = unlock;
    this.#firstSeq = head.seq + 1;
    this.#cancelReport = parts.clock.after(REPORT_EVERY_MS, () => this.#report());
  }

  /** `cut`: bytes that were taken off the end. */
  async begin(cut: number): Promise<void> {
    const { size } = await this.#handle.stat();
    this.#size = size;
    if (size > 0) this.#firstSeq = await firstSeqOf(this.#config.file);
    if (cut > 0) this.append({ kind: 'trail', note: 'mended', count: cut });
    this.append({ kind: 'trail', note: 'opened', count: 0 });
    await this.#writing;
  }

  get head(): AuditHead {
    return this.#chain.head;
  }

  append(entry: AuditEntry): void {
    if (this.#held.length >= HELD_MAX && !this.#config.required) {
      this.lost += 1;
      this.#gap += 1;
      return;
    }
    if (this.#gap > 0) {
      const count = this.#gap;
      this.#gap = 0;
      this.#hold({ kind: 'trail', note: 'lost', count });
    }
    this.#hold(entry);
    this.#write();
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.append({ kind: 'trail', note: 'closed', count: 0 });
    this.#isClosing = true;
    this.#cancelReport();
    this.#cancelAgain?.();
    await this.#writing;
    this.#report();
    this.#cancelReport();
    await this.#handle.close();
    this.#unlock();
  }

  #hold(entry: AuditEntry): void {
    this.#held.push(this.#chain.append(entry, new Date(this.#parts.clock.wallMs()).toISOString()));
  }

  #write(): void {
    if (this.#cancelAgain !== undefined) return; // it failed a moment ago
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#held.length > 0) {
      const { text, count } = batchOf(this.#held);
      try {
        if (this.#isDirty) await this.#handle.truncate(this.#size);
        this.#isDirty = false;
        await this.#rotate(text.length);
        await this.#handle.appendFile(text);
      } catch (error) {
        this.#failed(error);
        return;
      }
      this.#size += Buffer.byteLength(text);
      this.#held.splice(0, count);
      this.written += count;
      this.#recovered();
    }
  }

  async #rotate(more: number): Promise<void> {
    const { file, rotateBytes, keep } = this.#config;
    if (this.#size === 0 || this.#size + more <= rotateBytes) return;
    const [stem, ending] = partsOf(file);
    await rename(file, join(dirname(file), `${stem}.${String(this.#firstSeq).padStart(12, '0')}${ending}`));
    const before = this.#handle;
    this.#handle = await open(file, 'a', MODE);
    await before.close();
    this.#size = 0;
    this.#firstSeq = this.#chain.head.seq - this.#held.length + 1;
    const aside = putAside(file);
    await Promise.all(aside.slice(0, Math.max(0, aside.length - keep)).map(path => unlink(path)));
    this.#report();
  }

  /** A write may have gone out in part: that is taken off before the next, so that no line is broken. */
  #failed(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (this.isTaking) {
      const text = 'the audit trail takes nothing';
      this.#parts.observe({ kind: 'notice', level: 'error', text, about: { file: this.#config.file, problem } });
    }
    this.isTaking = false;
    this.#isDirty = true;
    if (this.#isClosing) return;
    this.#cancelAgain = this.#parts.clock.after(AGAIN_MS, () => {
      this.#cancelAgain = undefined;
      this.#write();
    });
  }

  #recovered(): void {
    if (this.isTaking) return;
    this.isTaking = true;
    const about = { file: this.#config.file, lost: this.lost };
    this.#parts.observe({ kind: 'notice', level: 'info', text: 'the audit trail is written again', about });
  }

  /** Where the file stands: lines that are held still are no part of it. */
  #written(): AuditHead {
    const { head } = this.#chain;
    const next = readAuditLine(this.#held[0] ?? '');
    return next === undefined ? head : { seq: next.seq - 1, hash: next.prev };
  }

  #report(): void {
    this.#cancelReport();
    this.#cancelReport = this.#parts.clock.after(REPORT_EVERY_MS, () => this.#report());
    const { seq, hash: head } = this.#written();
    if (seq === 0 || head === this.#reportedHead) return;
    this.#reportedHead = head;
    const text = 'the audit trail stands here: `penstock audit verify --head` takes this hash';
    this.#parts.observe({ kind: 'notice', level: 'info', text, about: { seq, head } });
  }
}

function batchOf(lines: readonly string[]): { text: string; count: number } {
  let [text, count] = ['', 0];
  for (const line of lines) {
    if (count > 0 && text.length + line.length > BATCH_CHARS_MAX) break;
    text += `${line}\n`;
    count += 1;
  }
  return { text, count };
}

async function firstSeqOf(file: string): Promise<number> {
  const lines = createInterface({ input: createReadStream(file) });
  for await (const line of lines) {
    lines.close();
    return readAuditLine(line)?.seq ?? 1;
  }
  return 1;
}
