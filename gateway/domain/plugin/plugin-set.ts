import { PLUGIN_TIMEOUT_MS, type PluginPorts } from './guard.ts';
import type { ArgSpec, Definition, FilterDefinition, MiddlewareDefinition, PredicateDefinition } from './define.ts';

/** Where a plug-in's part came from: another version of a file is another plug-in. */
export interface PluginOrigin {
  readonly file: string;
  /** Counts the times its files were loaded. */
  readonly version: number;
}

/** A definition, and where it came from. */
export interface Defined<D> {
  readonly definition: D;
  readonly origin: PluginOrigin;
}

/** What all plug-in files bring. */
export interface PluginSet {
  readonly predicates: ReadonlyMap<string, Defined<PredicateDefinition>>;
  readonly filters: ReadonlyMap<string, Defined<FilterDefinition>>;
  /** In the order in which they are written. */
  readonly middleware: readonly Defined<MiddlewareDefinition>[];
}

/** What the files bring, as they are loaded in a thread. */
export interface LoadedPlugins extends PluginSet {
  /** Counts the times they were loaded. */
  readonly version: number;
  /** As `plugins` lists them, absolute. */
  readonly paths: readonly string[];
  /** The texts of the files, and of those beside them that they import. */
  readonly texts: ReadonlyMap<string, string>;
  readonly flaws: readonly PluginFlaw[];
  readonly ports: PluginPorts;
}

/** What is wrong with the file at this place in the list. */
export interface PluginFlaw {
  readonly at: number;
  readonly file: string;
  readonly message: string;
}

/** A plug-in file's exports. */
export interface LoadedFile {
  readonly origin: PluginOrigin;
  readonly exports: Readonly<Record<string, unknown>>;
}

const NAME = /^[A-Z][A-Za-z0-9]{0,63}$/;

/** What the files bring, in their order, and what is wrong with it. `isTaken`: names that the gateway has itself. */
export function collectPlugins(
  files: readonly LoadedFile[],
  isTaken: (name: string) => boolean,
): PluginSet & { readonly flaws: readonly PluginFlaw[] } {
  const predicates = new Map<string, Defined<PredicateDefinition>>();
  const filters = new Map<string, Defined<FilterDefinition>>();
  const middleware: Defined<MiddlewareDefinition>[] = [];
  const flaws: PluginFlaw[] = [];
  const names = new Set<string>();
  for (const [at, { origin, exports }] of files.entries()) {
    const flaw = (message: string) => flaws.push({ at, file: origin.file, message });
    const found = Object.values(exports).filter(isDefinition);
    if (found.length === 0) flaw('exports nothing that definePredicate, defineFilter or defineMiddleware made');
    for (const { kind, definition } of found) {
      const problem = flawOf(kind, definition) ?? clashOf(definition.name, names, isTaken);
      if (problem !== undefined) flaw(problem);
      names.add(definition.name);
      if (kind === 'predicate') predicates.set(definition.name, { definition, origin });
      else if (kind === 'filter') filters.set(definition.name, { definition, origin });
      else middleware.push({ definition, origin });
    }
  }
  return { predicates, filters, middleware, flaws };
}

function isDefinition(value: unknown): value is Definition {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('definition' in value)) return false;
  const { kind, definition } = value;
  return ['predicate', 'filter', 'middleware'].includes(String(kind)) && typeof definition === 'object';
}

function clashOf(name: string, names: ReadonlySet<string>, isTaken: (name: string) => boolean): string | undefined {
  if (isTaken(name)) return `${name} is a name of the gateway’s own`;
  return names.has(name) ? `another plug-in is called ${name} already` : undefined;
}

/** JavaScript has no types, and TypeScript's are taken off unread. */
function flawOf(kind: Definition['kind'], definition: Definition['definition']): string | undefined {
  const { name } = definition;
  if (typeof name !== 'string' || !NAME.test(name)) {
    return `a name is a capital letter, then letters and digits: ${JSON.stringify(name)} is none`;
  }
  const parts = definition as unknown as Readonly<Record<string, unknown>>;
  const problem = timeoutFlaw(definition) ?? functionsFlaw(WANTED[kind], parts) ?? argsFlaw(parts['args'] ?? {});
  return problem && `${name}${problem}`;
}

function timeoutFlaw({ timeoutMs = PLUGIN_TIMEOUT_MS.usual }: Definition['definition']): string | undefined {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= PLUGIN_TIMEOUT_MS.max) return undefined;
  return `: \`timeoutMs\` is a whole number from 1 to ${PLUGIN_TIMEOUT_MS.max}`;
}

function functionsFlaw(wanted: readonly string[], parts: Readonly<Record<string, unknown>>): string | undefined {
  if (!wanted.some(key => typeof parts[key] === 'function')) return ` has no function ${wanted.join(' or ')}`;
  if (isExpressApp(parts['handler'])) return ': an Express app makes other objects of requests; hand over its Router';
  const odd = FUNCTIONS.find(key => parts[key] !== undefined && typeof parts[key] !== 'function');
  return odd === undefined ? undefined : `: \`${odd}\` is no function`;
}

/** It has a router, as a Router has not. */
function isExpressApp(handler: unknown): boolean {
  return typeof handler === 'function' && 'handle' in handler && 'engine' in handler;
}

const WANTED = {
  predicate: ['holds'],
  filter: ['onRequest', 'onReply', 'answer'],
  middleware: ['handler'],
} as const satisfies Record<Definition['kind'], readonly string[]>;

const FUNCTIONS = ['prepare', 'onRequest', 'onReply', 'answer'];

const TYPES = ['text', 'integer', 'number', 'boolean', 'duration', 'size', 'list'];

function argsFlaw(args: object): string | undefined {
  const specs = Object.entries(args) as [string, ArgSpec | undefined][];
  for (const [i, [arg, spec]] of specs.entries()) {
    if (spec === undefined || !TYPES.includes(spec.type)) {
      return `: the type of the argument ${arg} is none of ${TYPES.join(', ')}`;
    }
    if (spec.type === 'list' && i < specs.length - 1) return `: the list ${arg} must be the last argument`;
    const [, before] = specs[i - 1] ?? [];
    if (before?.optional === true && spec.optional !== true) {
      return `: the argument ${arg} must be optional as the one before it is`;
    }
  }
  return undefined;
}
