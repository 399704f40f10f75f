import type { Complain } from './problem.ts';

/** What a configuration file may refer to, as the edge that reads files offers it. */
export interface Surroundings {
  /** The file's name, as problems show it. */
  readonly file: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** A path in the file as an absolute one. */
  readonly absolute: (path: string) => string;
  /** The text of a file (given absolutely); undefined when it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  /** Why it cannot. */
  readonly whyUnread: (path: string) => string;
}

const REFERENCE = /\$\{(env|file):([^}]*)\}/g;

/** True for text that refers to something outside the file. */
function hasReference(text: string): boolean {
  return text.search(REFERENCE) !== -1;
}

/** Text without references, and what each of them held. */
interface ResolvedText {
  readonly text: string;
  readonly held: readonly string[];
}

/** What Spring Cloud Gateway would put a property in for. */
const PLACEHOLDER = /\$\{(?!env:|file:)([A-Za-z][\w.-]*)(?::([^{}]*))?\}/;

/** What to write for a placeholder of Spring's, default included; undefined where there is none. */
export function placeholderHint(text: string): string | undefined {
  const [, name, otherwise] = PLACEHOLDER.exec(text) ?? [];
  if (name === undefined) return undefined;
  const variable = name.replaceAll('-', '').replaceAll('.', '_').toUpperCase(); // as Spring itself reads variables
  return `write \${env:${variable}${otherwise === undefined ? '' : `:-${otherwise}`}}`;
}

/**
 * Text with `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` replaced; undefined, after a complaint, when one of
 * them leads nowhere. The complaint names the reference and never what it holds.
 */
export function resolveText(
  text: string,
  surroundings: Surroundings,
  complain: (message: string, hint?: string) => void,
): ResolvedText | undefined {
  const unresolved: Unresolved[] = [];
  const held: string[] = [];
  const resolved = text.replace(REFERENCE, (_whole, kind: string, body: string) => {
    const value = kind === 'env' ? fromEnvironment(body, surroundings) : fromFile(body, surroundings);
    if (typeof value === 'string') {
      held.push(value);
      return value;
    }
    unresolved.push(value);
    return '';
  });
  for (const { problem, hint } of unresolved) complain(problem, hint);
  return unresolved.length === 0 ? { text: resolved, held } : undefined;
}

interface Unresolved {
  readonly problem: string;
  readonly hint?: string;
}

function fromEnvironment(body: string, { variables }: Surroundings): string | Unresolved {
  const at = body.indexOf(':-');
  const name = at === -1 ? body : body.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    return { problem: 'not the name of an environment variable', hint: 'write ${env:NAME} or ${env:NAME:-default}' };
  }
  const value = variables[name];
  const isUnset = value === undefined || value === '';
  if (!isUnset) return value;
  if (at !== -1) return body.slice(at + 2);
  return {
    problem: `the environment variable ${name} is not set`,
    hint: `set it, or write \${env:${name}:-default}`,
  };
}

function fromFile(path: string, { absolute, readText, whyUnread }: Surroundings): string | Unresolved {
  if (path.trim() === '') return { problem: 'names no file', hint: 'write ${file:PATH}' };
  const text = readText(absolute(path));
  if (text === undefined) return { problem: `the file ${path} cannot be read: ${whyUnread(absolute(path))}` };
  return text.replace(/\r?\n$/, ''); // A secret in a file ends with the line end that the editor, or `echo`, put there.
}

/** Data with its references replaced, and where they stood. */
export interface Resolved {
  readonly value: unknown;
  /** Paths, as `JSON.stringify` writes them, of values that came from a reference. */
  readonly referred: ReadonlySet<string>;
  /** Paths of values whose reference leads nowhere: said already. */
  readonly failed: ReadonlySet<string>;
  /** What the references held: never to be shown. */
  readonly secrets: readonly string[];
}

/** The root of a file without its `x-…` keys: they hold what anchors name, and are read where an alias stands. */
export function withoutExtensions(root: unknown): unknown {
  if (typeof root !== 'object' || root === null || Array.isArray(root)) return root;
  return Object.fromEntries(Object.entries(root).filter(([key]) => !key.startsWith('x-')));
}

/** Replaces the references in data, but for what lies under the keys in `except`. */
export function resolveData(
  value: unknown,
  surroundings: Surroundings,
  { complain, except = new Set() }: { complain: Complain; except?: ReadonlySet<string> },
): Resolved {
  const [referred, failed] = [new Set<string>(), new Set<string>()];
  const secrets: string[] = [];

  const path: (string | number)[] = [];

  function resolve(part: unknown): unknown {
    if (typeof part === 'string') return part.includes('${') && hasReference(part) ? resolveScalar(part) : part;
    if (typeof part !== 'object' || part === null) return part;
    if (Array.isArray(part)) return part.map((item, i) => within(i, item));
    const entries = Object.entries(part).map(([key, item]) => [
      key,
      except.has(key) ? (item as unknown) : within(key, item),
    ]);
    return Object.fromEntries(entries) as unknown;
  }

  function within(key: string | number, part: unknown): unknown {
    path.push(key);
    const resolved = resolve(part);
    path.pop();
    return resolved;
  }

  function resolveScalar(text: string): unknown {
    const resolved = resolveText(text, surroundings, (message, hint) => complain({ path: [...path], message, hint }));
    (resolved === undefined ? failed : referred).add(JSON.stringify(path));
    secrets.push(...(resolved?.held ?? []));
    return resolved?.text ?? text; // judged as it stands: what is wrong with it was said already
  }

  return { value: resolve(value), referred, failed, secrets };
}
