import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Observe } from '../domain/events.ts';
import type { Clock } from '../domain/clock.ts';
import {
  formatSnapshot,
  parseSnapshot,
  type Snapshot,
  type SnapshotOrigin,
} from '../domain/discovery/snapshot-text.ts';

/** The last good roster, on disk: what a restart serves from while its source is away. */
export interface RosterSnapshot {
  /** What was written before, or null; a broken file is reported and ignored. */
  read(): Snapshot | null;
  /** Takes note of the roster. A change is written soon, an unchanged one from time to time, so that its age is true. */
  save(snapshot: Snapshot): void;
  /** Writes what is not yet written. */
  close(): Promise<void>;
}

interface RosterSnapshotOptions {
  readonly path: string;
  readonly from: SnapshotOrigin;
  readonly clock: Clock;
  readonly observe: Observe;
}

const SIZE_BYTES_MAX = 64 * 1024 * 1024;
const CHANGED_AFTER_MS = 1_000;
const UNCHANGED_AFTER_MS = 60_000;

/** A snapshot in a file of the owner's alone, replaced whole: a reader never sees half of one. */
export function createRosterSnapshot({ path, from, clock, observe }: RosterSnapshotOptions): RosterSnapshot {
  const draft = `${path}.${randomUUID().slice(0, 8)}.tmp`; // Two gateways that share a path must not share the draft.
  let pending: Snapshot | undefined;
  let writtenServices = '';
  let alarm: { dueMs: number; cancel: () => void } | undefined;
  let writing = Promise.resolve();
  let isFailing = false;

  function save(snapshot: Snapshot): void {
    pending = snapshot;
    const isChanged = servicesOf(snapshot) !== writtenServices;
    const dueMs = clock.nowMs() + (isChanged ? CHANGED_AFTER_MS : UNCHANGED_AFTER_MS);
    if (alarm !== undefined && alarm.dueMs <= dueMs) return;
    alarm?.cancel();
    alarm = { dueMs, cancel: clock.after(dueMs - clock.nowMs(), () => void flush()) };
  }

  function flush(): Promise<void> {
    alarm?.cancel();
    alarm = undefined;
    writing = writing.then(writePending);
    return writing;
  }

  async function writePending(): Promise<void> {
    if (pending === undefined) return;
    const snapshot = pending;
    pending = undefined;
    try {
      await replaceFile(path, draft, formatSnapshot(snapshot, from));
      writtenServices = servicesOf(snapshot);
      isFailing = false;
    } catch (error) {
      if (!isFailing) notice(`the roster snapshot cannot be written: ${messageOf(error)}`);
      isFailing = true; // Said once; the next change tries again.
    }
  }

  function read(): Snapshot | null {
    try {
      if (statSync(path).size > SIZE_BYTES_MAX) return ignore(`it is larger than ${SIZE_BYTES_MAX} bytes`);
      const parsed = parseSnapshot(readFileSync(path, 'utf8'), from);
      return 'problem' in parsed ? ignore(parsed.problem) : parsed;
    } catch (error) {
      return isMissing(error) ? null : ignore(messageOf(error));
    }
  }

  function ignore(problem: string): null {
    notice(`the roster snapshot is ignored: ${problem}`);
    return null;
  }

  function notice(text: string): void {
    observe({ kind: 'notice', level: 'warn', text, about: { path } });
  }

  return { read, save, close: flush };
}

async function replaceFile(path: string, draft: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync(); // Renamed before its content is safe, it could be empty after a power cut.
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function servicesOf({ services }: Snapshot): string {
  return JSON.stringify([...services]);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
