import { constants, createReadStream } from 'node:fs';
import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobFiles } from '../../domain/jobs/job.ts';

/** They hold what callers sent. */
const MODE = 0o600;
const BLOCK_BYTES = 64 * 1024;
/** Made where it is not there, and never cut: parts are written as they come. */
const ANYWHERE = constants.O_RDWR | constants.O_CREAT;

/** The files of jobs in their folder: `ID.in` and `ID.out`. */
export interface FolderFiles extends JobFiles {
  /** A new input, to be written. */
  create(id: string): Promise<FileHandle>;
  /** Removes what belongs to no job: what a gateway that was killed had not finished to take in. */
  sweep(ids: ReadonlySet<string>): Promise<void>;
}

/** The files of jobs in this folder. */
export function createJobFiles(folder: string): FolderFiles {
  const input = (id: string) => join(folder, `${id}.in`);
  const output = (id: string) => join(folder, `${id}.out`);
  const drop = (path: string) => rm(path, { force: true });

  return {
    create: id => open(input(id), 'wx', MODE),
    read: (id, from) => createReadStream(input(id), { start: from, highWaterMark: BLOCK_BYTES }),
    async write(id, at, content) {
      const handle = await open(output(id), ANYWHERE, MODE);
      try {
        let written = 0;
        while (written < content.length) {
          const { bytesWritten } = await handle.write(content, written, content.length - written, at + written);
          written += bytesWritten;
        }
      } finally {
        await handle.close();
      }
    },
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
    dropInput: id => drop(input(id)),
    async remove(id) {
      await drop(input(id));
      await drop(output(id));
    },
    async sweep(ids) {
      for (const name of await readdir(folder)) {
        const id = /^([0-9a-f-]{36})\.(?:in|out)$/.exec(name)?.[1];
        if (id !== undefined && !ids.has(id)) await drop(join(folder, name));
      }
    },
  };
}
