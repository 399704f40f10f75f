import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import { notSoCoded } from '../../domain/http/content-coding.ts';
import type { InboxFile, InboxFolder } from '../../domain/jobs/inbox.ts';

interface FolderOptions {
  readonly folder: string;
  /** Where results go. */
  readonly out: string;
  readonly create: (id: string) => Promise<FileHandle>;
}

/** More files are looked at once these are worked off. */
const FILES_MAX = 1_000;
/** No link, and without waiting for who writes into a pipe that has taken the file's place. */
const AS_IT_IS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A folder that is shared with others: links in it are not followed. */
export function createInboxFolder({ folder, out, create }: FolderOptions): InboxFolder {
  return {
    async list() {
      const names = (await readdir(folder)).sort().slice(0, FILES_MAX);
      const found = await Promise.all(names.map(name => fileAt(join(folder, name), name)));
      return found.filter(file => file !== undefined);
    },
    async writtenMs(names) {
      const found = await Promise.all(names.map(name => fileAt(join(out, name), name)));
      const times = found.flatMap(file => (file === undefined ? [] : [file.changedMs]));
      return times.length === 0 ? undefined : Math.max(...times);
    },
    async take(name, id, { isPacked, bytesMax }) {
      const source = await open(join(folder, name), AS_IT_IS);
      const target = await create(id).catch(async (error: unknown) => {
        await source.close();
        throw error;
      });
      let bytes = 0;
      const bounded = async function* (pieces: AsyncIterable<Buffer>) {
        for await (const piece of pieces) {
          bytes += piece.length;
          if (bytes > bytesMax) throw bodyTooLarge(bytesMax);
          yield piece;
        }
      };
      const [from, to] = [source.createReadStream(), target.createWriteStream()];
      try {
        await (isPacked ? pipeline(from, createGunzip(), bounded, to) : pipeline(from, bounded, to));
        return bytes;
      } catch (error) {
        if (error instanceof GatewayError) throw error;
        if ((error as NodeJS.ErrnoException).code?.startsWith('Z_') === true) throw notSoCoded('gzip');
        throw new GatewayError('JOBS_UNAVAILABLE', 'a file of the inbox cannot be taken', { cause: error });
      }
    },
    async write(name, pieces) {
      const half = join(out, `.${name}.part`); // where a gateway was killed with it, the next one writes it anew
      try {
        await rm(half, { force: true });
        await writeFile(half, pieces, { flag: 'wx' });
        await rename(half, join(out, name));
      } catch (error) {
        await rm(half, { force: true });
        throw error;
      }
    },
  };
}

async function fileAt(path: string, name: string): Promise<InboxFile | undefined> {
  const found = await lstat(path).catch(() => undefined); // it is gone already
  if (found?.isFile() !== true) return undefined;
  return { name, bytes: found.size, changedMs: found.mtimeMs };
}
