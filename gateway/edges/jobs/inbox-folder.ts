import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { bodyTooLarge, GatewayError } from '../../domain/errors.ts';
import { notSoCoded } from '../../domain/http/content-coding.ts';
import { namedFile, type InboxFile, type InboxFolder } from '../../domain/jobs/inbox.ts';

interface FolderOptions {
  readonly folder: string;
  /** Where results go. */
  readonly out: string;
  readonly create: (id: string) => Promise<FileHandle>;
}

/** Of many files so many are looked at, twice, and then those behind them. */
const FILES_MAX = 500;
/** No link, and without waiting for who writes into a pipe that has taken the file's place. */
const AS_IT_IS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A folder that is shared with others: links in it are not followed. */
export function createInboxFolder({ folder, out, create }: FolderOptions): InboxFolder {
  const [waiting, done] = [new RoundRobin(), new RoundRobin()]; // what is done with stays, and must not hold up what comes
  return {
    async list() {
      const names = await readdir(folder);
      const written = new Set<string | undefined>(out === folder ? names : await readdir(out).catch(() => []));
      const isDone = (name: string) => [namedFile(name)?.result, namedFile(name)?.error].some(its => written.has(its));
      const ours = names.filter(name => namedFile(name) !== undefined).sort();
      const looked = [...waiting.of(ours.filter(name => !isDone(name))), ...done.of(ours.filter(isDone))];
      const found = await Promise.all(looked.map(name => fileAt(join(folder, name), name)));
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

/** All of many, some at a time. */
class RoundRobin {
  #from = 0;
  #isSecond = true;

  of(names: readonly string[]): readonly string[] {
    if (names.length <= FILES_MAX) return names;
    this.#isSecond = !this.#isSecond; // what has not changed between two looks has settled
    if (!this.#isSecond) this.#from = this.#from + FILES_MAX < names.length ? this.#from + FILES_MAX : 0;
    return names.slice(this.#from, this.#from + FILES_MAX);
  }
}

async function fileAt(path: string, name: string): Promise<InboxFile | undefined> {
  const found = await lstat(path).catch(() => undefined); // it is gone already
  if (found?.isFile() !== true) return undefined;
  return { name, bytes: found.size, changedMs: found.mtimeMs };
}
