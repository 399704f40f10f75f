import { constants, createReadStream, existsSync } from 'node:fs';
import { open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobFiles, JobOutput } from '../../domain/jobs/job.ts';
import type { ParquetProcesses } from '../parquet/parquet-process.ts';

/** They hold what callers sent. */
const MODE = 0o600;
const BLOCK_BYTES = 64 * 1024;
const NEVER = new AbortController().signal;
/** Made where it is not there, and never cut: parts are written as they come. */
const ANYWHERE = constants.O_RDWR | constants.O_CREAT;

/** The files of jobs in their folder: `ID.in`, `ID.out`, `ID.parquet` for a result in that form, and what is half made. */
export interface FolderFiles extends JobFiles {
  /** A new input, to be written. */
  create(id: string): Promise<FileHandle>;
  /** Removes what belongs to no job, or is half made: what a gateway that was killed had not finished. */
  sweep(ids: ReadonlySet<string>): Promise<void>;
}

/** The files of jobs in this folder. */
export function createJobFiles(folder: string, parquet: Pick<ParquetProcesses, 'run'>): FolderFiles {
  const input = (id: string) => join(folder, `${id}.in`);
  const output = (id: string) => join(folder, `${id}.out`);
  const drop = (path: string) => rm(path, { force: true });
  const inParquet = parquetFiles(folder, parquet);

  return {
    create: id => open(input(id), 'wx', MODE),
    read: (id, from) => createReadStream(input(id), { start: from, highWaterMark: BLOCK_BYTES }),
    output: id => new OutputFile(output(id)),
    async answers(id, at, bytes) {
      const handle = await open(output(id), 'r');
      try {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
        if (bytesRead < bytes) throw new Error(`${output(id)} ends too soon`);
        return buffer;
      } finally {
        await handle.close();
      }
    },
    toLines: inParquet.toLines,
    toParquet: inParquet.toParquet,
    dropInput: id => drop(input(id)),
    async remove(id) {
      for (const path of [input(id), output(id), inParquet.result(id)]) await drop(path);
    },
    async sweep(ids) {
      for (const name of await readdir(folder)) {
        const [, id, of] = /^([0-9a-f-]{36})\.(in|out|parquet|lines|part)$/.exec(name) ?? [];
        const isHalf = of === 'lines' || of === 'part';
        if (id !== undefined && (isHalf || !ids.has(id))) await drop(join(folder, name));
      }
    },
  };
}

/** Open from its first answers on, as long as a job is worked off: to open and close it for each costs more than to write. */
class OutputFile implements JobOutput {
  readonly #path: string;
  #opened: Promise<FileHandle> | undefined = undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async write(at: number, content: Buffer): Promise<void> {
    this.#opened ??= open(this.#path, ANYWHERE, MODE);
    try {
      const handle = await this.#opened;
      for (let written = 0; written < content.length;) {
        const { bytesWritten } = await handle.write(content, written, content.length - written, at + written);
        written += bytesWritten;
      }
    } catch (error) {
      await this.close(); // it may be another disk by then
      throw error;
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    const handle = await opened?.catch(() => undefined); // it was told by the write
    await handle?.close().catch(() => undefined);
  }
}

/** Of a job's rows and answers in Parquet. A file is whole once it has its name. */
function parquetFiles(folder: string, parquet: Pick<ParquetProcesses, 'run'>) {
  const named = (ending: string) => (id: string) => join(folder, `${id}.${ending}`);
  const [input, lines, half, result] = [named('in'), named('lines'), named('part'), named('parquet')];
  const making = new Map<string, Promise<void>>();

  const toLines: JobFiles['toLines'] = async (id, { bytesMax, signal }) => {
    try {
      const bytes = await parquet.run({ kind: 'to-lines', source: input(id), target: half(id), bytesMax }, signal);
      await rename(half(id), input(id));
      return bytes;
    } finally {
      await rm(half(id), { force: true });
    }
  };
  async function makeResult(id: string, content: AsyncIterable<string>): Promise<void> {
    try {
      await writeFile(lines(id), content, { mode: MODE });
      await writeFile(half(id), '', { mode: MODE });
      const task = { kind: 'from-lines', source: lines(id), target: half(id), bytesMax: Infinity } as const;
      await parquet.run(task, NEVER);
      await rename(half(id), result(id));
    } finally {
      for (const path of [lines(id), half(id)]) await rm(path, { force: true });
    }
  }
  const toParquet: JobFiles['toParquet'] = async (id, content) => {
    if (!existsSync(result(id))) {
      const made = making.get(id) ?? makeResult(id, content).finally(() => making.delete(id));
      making.set(id, made);
      await made;
    }
    return createReadStream(result(id));
  };
  return { toLines, toParquet, result };
}
