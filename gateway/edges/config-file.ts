import { readFileSync, realpathSync, statSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
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
  /** Those that are in force now, where others may come to be: another map where they are others. */
  readonly more?: () => ReadonlyMap<string, string>;
  /** A file holds something else now; undefined when it is gone for longer than an editor takes. */
  readonly onChange: (file: string, text: string | undefined) => void;
  /** How long a file must be left alone before it is read: editors truncate first and write then. */
  readonly settleMs?: number;
  /** How often files are read even when no change was reported: network and container mounts may tell nothing. */
  readonly pollMs?: number;
}

/** So many times as long as a file must be left alone, and it is read all the same, whatever comes and goes beside it. */
const SETTLES_MAX = 10;
/** The same while the file itself is written: over a slow line it comes in pieces, and the first of them may be sound. */
const OWN_SETTLES_MAX = 100;

const NO_FILES: ReadonlyMap<string, string> = new Map();

/** Watches files however they are saved: written in place, renamed over, or swapped by a symbolic link. */
export function watchFiles(options: WatchOptions): { close(): void } {
  const { files, more = () => NO_FILES, onChange, settleMs = 100, pollMs = 5_000 } = options;
  const known = new Map(files);
  const folders = new Folders(onEvent);
  let settling: NodeJS.Timeout | undefined;
  let changedMs = 0; // since when nothing was read
  let eventMs = 0;
  let ownEventMs = 0;
  let moreKnown = NO_FILES;

  function onEvent(event: FolderEvent): void {
    if (event === 'other-changed' && more() === moreKnown) return;
    eventMs = performance.now();
    if (event === 'own') ownEventMs = eventMs;
    if (settling !== undefined) return;
    changedMs = eventMs;
    settle(settleMs);
  }

  function settle(waitMs: number): void {
    settling = setTimeout(compareWhenSettled, waitMs);
    settling.unref();
  }

  function compareWhenSettled(): void {
    const untilMs = Math.max(
      Math.min(eventMs + settleMs, changedMs + settleMs * SETTLES_MAX),
      Math.min(ownEventMs + settleMs, changedMs + settleMs * OWN_SETTLES_MAX),
    );
    const waitMs = untilMs - performance.now();
    if (waitMs > 0) settle(waitMs);
    else compare();
  }

  function compare(): void {
    settling = undefined;
    moreKnown = more();
    for (const [file, text] of moreKnown) if (!known.has(file)) known.set(file, text);
    for (const [file, before] of known) {
      const now = readText(file);
      if (now === before || (now === undefined && isShortage(file))) continue; // the next poll reads it
      known.set(file, now);
      onChange(file, now);
    }
    folders.watch(known.keys());
  }

  folders.watch(known.keys());
  const polling = setInterval(() => {
    if (settling === undefined) compare(); // a save may be under way, and half of it is not to be read
  }, pollMs);
  polling.unref();
  return {
    close() {
      clearTimeout(settling);
      clearInterval(polling);
      folders.close();
    },
  };
}

/**
 * What is told of a folder: one of the files came, went, or holds something else; another came or went, so that a link
 * may lead elsewhere; another holds something else, a log perhaps.
 */
type FolderEvent = 'own' | 'other' | 'other-changed';

/**
 * Watches the folders of files. A file itself is no good thing to watch: an editor that renames another over it leaves
 * the watcher with the old one.
 */
class Folders {
  readonly #watched = new Map<string, { readonly watcher: FSWatcher; readonly identity: string }>();
  readonly #onEvent: (event: FolderEvent) => void;
  /** Whose contents matter. */
  #names: ReadonlySet<string> = new Set();

  constructor(onEvent: (event: FolderEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Those of these files, and no others. */
  watch(files: Iterable<string>): void {
    const paths = [...files].flatMap(pathsOf);
    const wanted = new Set(paths.map(path => dirname(path)));
    this.#names = new Set([...paths, ...wanted].map(path => basename(path)));
    for (const [folder, { watcher, identity }] of this.#watched) {
      // A folder that was put in the place of another is another, and what watches the old one is not told.
      if (wanted.has(folder) && identity === identityOf(folder)) continue;
      watcher.close();
      this.#watched.delete(folder);
    }
    for (const folder of wanted) if (!this.#watched.has(folder)) this.#watchOne(folder);
  }

  close(): void {
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  #watchOne(folder: string): void {
    const identity = identityOf(folder);
    if (identity === undefined) return; // no such folder now: polling still finds the change
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        if (name === null) this.#onEvent('other');
        else if (this.#names.has(name)) this.#onEvent('own');
        else this.#onEvent(event === 'change' ? 'other-changed' : 'other');
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watched.delete(folder); // the next poll looks for it anew
      });
      this.#watched.set(folder, { watcher, identity });
    } catch {
      return; // gone this moment, or no watchers left
    }
  }
}

function isShortage(file: string): boolean {
  return SHORTAGES.includes(failureOf(file)?.code ?? '');
}

/** Of a folder; undefined where it cannot be looked at. An inode alone is soon given to another. */
function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino, birthtimeNs } = statSync(folder, { bigint: true });
    return [dev, ino, birthtimeNs].join();
  } catch {
    return undefined; // missing, or forbidden
  }
}

/** A file, and what it leads to where it is a symbolic link. */
function pathsOf(file: string): string[] {
  const path = resolve(file);
  try {
    return [path, realpathSync(file)];
  } catch {
    return [path]; // the file is not there now
  }
}
