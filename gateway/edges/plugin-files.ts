import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { collectPlugins, type LoadedFile, type LoadedPlugins, type PluginFlaw } from '../domain/plugin/plugin-set.ts';
import { NO_WATCH } from '../domain/plugin/guard.ts';
import { systemClock } from './clock.ts';
import { readText } from './config-file.ts';

/** What `import … from 'penstock'` means in a plug-in, wherever its file lies. */
const DEFINE = new URL('../domain/plugin/define.ts', import.meta.url).href;

const requireFile = createRequire(import.meta.url);

type IsTaken = (name: string) => boolean;

/** Loads plug-in files for the first time in this process, or this thread. */
export function loadPlugins(paths: readonly string[], isTaken: IsTaken): LoadedPlugins {
  const imports = new Imports(paths);
  const ports = { clock: systemClock, watch: NO_WATCH };
  const flaws: PluginFlaw[] = [];
  const files: LoadedFile[] = [];
  for (const [at, file] of paths.entries()) {
    try {
      files.push({ origin: { file, version: 1 }, exports: requireFile(file) as LoadedFile['exports'] });
    } catch (error) {
      flaws.push({ at, file, message: `cannot be loaded: ${whyNot(error)}` });
    }
  }
  return { ...collected(files, { paths, isTaken, flaws }), version: 1, texts: imports.close(), ports };
}

/** True where a file, or one beside it that it imports, is another than the one that was loaded. */
export function haveChanged({ texts }: LoadedPlugins): boolean {
  return [...texts].some(([file, text]) => readText(file) !== text);
}

/**
 * The same as they are now. What was loaded before stays in memory: Node unloads no module. Throws where a file cannot be
 * loaded.
 */
export async function reloadPlugins(loaded: LoadedPlugins, isTaken: IsTaken): Promise<LoadedPlugins> {
  const { paths, ports } = loaded;
  const version = loaded.version + 1;
  const imports = new Imports(paths);
  try {
    const files: LoadedFile[] = [];
    for (const file of paths) {
      const url = `${pathToFileURL(file).href}?${VERSION}=${version}`;
      files.push({ origin: { file, version }, exports: (await import(url)) as LoadedFile['exports'] });
    }
    return { ...collected(files, { paths, isTaken, flaws: [] }), version, texts: imports.close(), ports };
  } finally {
    imports.close();
  }
}

interface About {
  readonly paths: readonly string[];
  readonly isTaken: IsTaken;
  readonly flaws: readonly PluginFlaw[];
}

function collected(files: readonly LoadedFile[], { paths, isTaken, flaws }: About) {
  const plugins = collectPlugins(files, isTaken);
  const placed = plugins.flaws.map(flaw => ({ ...flaw, at: paths.indexOf(flaw.file) }));
  return { ...plugins, paths, flaws: [...flaws, ...placed] };
}

/** Marks what belongs to one loading: Node takes a module with another query for another module. */
const VERSION = 'penstock';

/** Watches what plug-in files import, until it is closed: from beside them, in their version; and `penstock`. */
class Imports {
  readonly #texts = new Map<string, string>();
  readonly #urls: Set<string>;
  readonly #hooks: { deregister(): void };

  constructor(paths: readonly string[]) {
    this.#urls = new Set(paths.map(path => pathToFileURL(path).href));
    for (const path of paths) this.#note(path);
    this.#hooks = registerHooks({
      resolve: (specifier, context, next) => {
        if (specifier === 'penstock') return { ...next(DEFINE, context), shortCircuit: true };
        const resolved = next(specifier, context);
        return this.#isBeside(specifier, resolved.url, context.parentURL)
          ? { ...resolved, url: this.#noted(resolved.url, context.parentURL) }
          : resolved;
      },
    });
  }

  #isBeside(specifier: string, url: string, parentUrl = ''): boolean {
    if (!specifier.startsWith('.') || url === DEFINE || url.includes('/node_modules/')) return false;
    return this.#urls.has(withoutMark(parentUrl));
  }

  /** The address of what was imported, in the version of what imports it. */
  #noted(url: string, parentUrl = ''): string {
    this.#urls.add(url);
    this.#note(fileURLToPath(url));
    return url + parentUrl.slice(withoutMark(parentUrl).length);
  }

  close(): ReadonlyMap<string, string> {
    this.#hooks.deregister();
    return this.#texts;
  }

  #note(path: string): void {
    const text = readText(path);
    if (text !== undefined) this.#texts.set(path, text);
  }
}

function withoutMark(url: string): string {
  const at = url.indexOf(`?${VERSION}=`);
  return at === -1 ? url : url.slice(0, at);
}

/** In one line: what is wrong, and where in the file, as far as Node says it. */
function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return `it throws ${typeof error === 'string' ? error : typeof error}`;
  if ('code' in error && error.code === 'ERR_REQUIRE_ASYNC_MODULE') return 'it has an `await` outside of any function';
  const [first = ''] = error.message.split('\n');
  return `${first.slice(0, 300)}${placeIn(error.stack ?? '')}`;
}

/** Of a mistake in its words the stack begins with the place; of one that it threw, with where it was thrown. */
const PLACES = [/^(?:file:\/\/)?(\/[^\n:]+:\d+)\n/, /\((?:file:\/\/)?(\/[^\n)]+:\d+):\d+\)/];

function placeIn(stack: string): string {
  const place = PLACES.map(pattern => pattern.exec(stack)?.[1]).find(found => found !== undefined);
  return place === undefined ? '' : ` (${place})`;
}
