import { readFileSync, realpathSync, watch, type FSWatcher } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { getSystemErrorMessage } from 'node:util';

/** What a configuration file may refer to: the environment, and files beside it. */
interface FileSurroundings {
  readonly file: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly absolute: (path: string) => string;
  readonly readText: (path: string) => string | undefined;
  readonly whyUnread: (path: string) => string;
}

/** A file's surroundings: paths in it are relative to the folder it stands in. */
export function surroundingsOf(file: string, variables: FileSurroundings['variables']): FileSurroundings {
  const folder = dirname(resolve(file));
  return {
    file,
    variables,
    absolute: path => (isAbsolute(path) ? path : resolve(folder, path)),
    readText,
    whyUnread,
  };
}

/** The text of a file, without the mark that some editors put before it; undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch {
    return undefined; // missing, forbidden or a folder: the caller of this function says so, with the place that names it
  }
}

/** Why a file cannot be read, in the system's words: `permission denied (EACCES)`. */
export function whyUnread(path: string): string {
  const { code, errno } = failureOf(path) ?? {};
  return errno === undefined ? 'it could not be read a moment ago' : `${getSystemErrorMessage(errno)} (${code})`;
}

/** Says nothing of the file: this process, or the machine, has too much open. */
const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOMEM'];

function failureOf(path: string): NodeJS.ErrnoException | undefined {
  try {
    readFileSync(path);
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException; // of what else would `fs` complain?
  }
}

interface WatchOptions {
  /** Paths, and the texts that are in force. */
  readonly files: ReadonlyMap<string, string | undefined>;
  /** Those that are in force now, where others may come to be. */
  readonly more?: () => ReadonlyMap<string, string>;
  /** A file holds something else now; undefined when it is gone for longer than an editor takes. */
  readonly onChange: (file: string, text: string | undefined) => void;
  /** How long a file must be left alone before it is read: editors truncate first and write then. */
  readonly settleMs?: number;
  /** How often files are read even when no change was reported: network and container mounts may tell nothing. */
  readonly pollMs?: number;
}

/** So many times as long as a file must be left alone, and it is read all the same: the folder may hold a log. */
const SETTLES_MAX = 10;

const NO_FILES: ReadonlyMap<string, string> = new Map();

/** Watches files however they are saved: written in place, renamed over, or swapped by a symbolic link. */
export function watchFiles(options: WatchOptions): { close(): void } {
  const { files, more = () => NO_FILES, onChange, settleMs = 100, pollMs = 5_000 } = options;
  const known = new Map(files);
  const folders = new Map<string, FSWatcher>();
  let settling: NodeJS.Timeout | undefined;
  let changedMs: number | undefined; // since when nothing was read

  // A file itself is no good thing to watch: an editor that renames another over it leaves the watcher with the old one.
  function watchFolders(): void {
    const wanted = new Set([...known.keys()].flatMap(foldersOf));
    for (const [folder, watcher] of folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      folders.delete(folder);
    }
    for (const folder of wanted) if (!folders.has(folder)) watchFolder(folder);
  }

  function watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, settle);
      watcher.on('error', () => {
        watcher.close();
        folders.delete(folder); // gone with its folder; the next poll looks for it anew
      });
      folders.set(folder, watcher);
    } catch {
      return; // no such folder now, or no watchers left: polling still finds the change
    }
  }

  function settle(): void {
    changedMs ??= performance.now();
    if (performance.now() - changedMs > settleMs * SETTLES_MAX) return; // as it is set, the timer ends
    clearTimeout(settling);
    settling = setTimeout(compare, settleMs);
    settling.unref();
  }

  function compare(): void {
    changedMs = undefined;
    for (const [file, text] of more()) if (!known.has(file)) known.set(file, text);
    for (const [file, before] of known) {
      const now = readText(file);
      if (now === before || (now === undefined && isShortage(file))) continue; // the next poll reads it
      known.set(file, now);
      onChange(file, now);
    }
    watchFolders();
  }

  watchFolders();
  const polling = setInterval(compare, pollMs);
  polling.unref();
  return {
    close() {
      clearTimeout(settling);
      clearInterval(polling);
      for (const watcher of folders.values()) watcher.close();
      folders.clear();
    },
  };
}

function isShortage(file: string): boolean {
  return SHORTAGES.includes(failureOf(file)?.code ?? '');
}

/** The folder of a file, and of what it leads to where it is a symbolic link. */
function foldersOf(file: string): string[] {
  const folder = dirname(resolve(file));
  try {
    return [folder, dirname(realpathSync(file))];
  } catch {
    return [folder]; // the file is not there now
  }
}
