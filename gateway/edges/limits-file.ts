import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { appendFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Clock } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';
import { CounterTable, newSeed, type KeptCounter, type KeptCounters } from './express-rate-limit.ts';

/** Counters that outlive the process. */
export interface LastingCounters {
  readonly table: CounterTable;
  /** Writes what is not yet written. */
  close(): Promise<void>;
}

interface LastingOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** 6 MiB once all are in use. */
const KEYS_MAX = 2 ** 18;
/** A process that is killed loses what it counted for so long. */
const SAVED_AFTER_MS = 1_000;
/** A file that is longer, and four times as long as what it says, is written anew. */
const BYTES_MIN = 2 ** 20;

const HEADER = 'penstock limits 1 ';
const HEADER_BYTES = HEADER.length + 33;
const RECORD_BYTES = 24;

/**
 * Counters in a file: after its header one record for each change, the last of a counter's being true. Whose counter it is
 * does not stand in it, only a hash. A record that was cut off or is damaged is passed over.
 *
 * Windows are told by the wall clock, since that goes on while no process runs. Where the file cannot be written, counting
 * goes on in memory, and the log says so once.
 */
export function openLastingCounters({ path, clock, observe }: LastingOptions): LastingCounters {
  const warn = (what: string, error: unknown) => {
    const text = `${what}: what long limits have counted will not survive a restart`;
    observe({ kind: 'notice', level: 'warn', text, about: { file: path, problem: (error as Error).message } });
  };
  const kept = readOrBegin(path, warn);
  const table = new CounterTable({ clock: { nowMs: () => clock.wallMs() }, keysMax: KEYS_MAX, kept });
  let bytes = Infinity; // written whole at first: what has ended is left out
  let bytesMax = BYTES_MIN;
  let isFailing = false;
  let saving = Promise.resolve();
  let cancel = clock.after(SAVED_AFTER_MS, tick);

  function tick(): void {
    saving = saving.then(save);
    cancel = clock.after(SAVED_AFTER_MS, tick);
  }

  async function save(): Promise<void> {
    const changed = table.counters('changed');
    if (changed.length === 0) return;
    try {
      const records = toRecords(changed);
      if (bytes + records.length > bytesMax) await saveWhole();
      else {
        await appendFile(path, records);
        bytes += records.length;
      }
      isFailing = false;
    } catch (error) {
      if (!isFailing) warn('the file of the limits cannot be written', error);
      isFailing = true;
      bytes = Infinity; // what was not written comes with the rest
    }
  }

  async function saveWhole(): Promise<void> {
    const records = toRecords(table.counters('all'));
    const draft = `${path}.${randomUUID().slice(0, 8)}.tmp`; // two gateways that share a path must not share the draft
    try {
      await writeFile(draft, Buffer.concat([headerOf(kept.seed), records]), { mode: 0o600 });
      await rename(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
    bytes = records.length;
    bytesMax = Math.max(BYTES_MIN, 4 * bytes);
  }

  return {
    table,
    async close() {
      cancel();
      await saving;
      await save();
    },
  };
}

type Warn = (what: string, error: unknown) => void;

function readOrBegin(path: string, warn: Warn): KeptCounters {
  try {
    const content = readFileSync(path);
    const kept = parseCounters(content);
    if (kept !== undefined) return kept;
    warn('the file of the limits is none, and is begun anew', new Error('its first line is not what it should be'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warn('the file of the limits cannot be read', error);
  }
  const begun = { seed: newSeed(), counters: [] };
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, headerOf(begun.seed), { mode: 0o600 });
  } catch (error) {
    warn('the file of the limits cannot be written', error);
  }
  return begun;
}

function headerOf(seed: string): Buffer {
  return Buffer.from(`${HEADER}${Buffer.from(seed, 'latin1').toString('hex')}\n`, 'latin1');
}

function parseCounters(content: Buffer): KeptCounters | undefined {
  const header = new RegExp(`^${HEADER}([0-9a-f]{32})\\n`).exec(content.toString('latin1', 0, HEADER_BYTES));
  if (header?.[1] === undefined) return undefined;
  const counters: KeptCounter[] = [];
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= content.length; at += RECORD_BYTES) {
    if (content.readUInt32BE(at + 20) !== crc32(content.subarray(at, at + 20))) continue;
    counters.push({
      low: content.readUInt32BE(at),
      high: content.readUInt32BE(at + 4),
      hits: content.readUInt32BE(at + 8),
      resetMs: content.readDoubleBE(at + 12),
    });
  }
  return { seed: Buffer.from(header[1], 'hex').toString('latin1'), counters };
}

function toRecords(counters: readonly KeptCounter[]): Buffer {
  const records = Buffer.alloc(counters.length * RECORD_BYTES);
  for (const [i, { low, high, hits, resetMs }] of counters.entries()) {
    const at = i * RECORD_BYTES;
    records.writeUInt32BE(low, at);
    records.writeUInt32BE(high, at + 4);
    records.writeUInt32BE(hits, at + 8);
    records.writeDoubleBE(resetMs, at + 12);
    records.writeUInt32BE(crc32(records.subarray(at, at + 20)), at + 20);
  }
  return records;
}
