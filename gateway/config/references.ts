import { PROPERTY_NAME, propertyOf, variableOf, type Properties } from './placeholders.ts';
import type { Complain, KeyPath } from './problem.ts';
import { secretsIn } from './secret.ts';

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

const REFERENCE = /\$\{(?:env|file):[^}]*\}/g;

/** Text without references, and what those that lead out of the file held. */
interface ResolvedText {
  readonly text: string;
  readonly held: readonly string[];
}

/** How references within a text are taken. */
export interface Resolving {
  readonly surroundings: Surroundings;
  readonly complain: (message: string, hint?: string) => void;
  /** Where Spring's placeholders are filled from; undefined: they are no references. */
  readonly placeholders?: Properties | undefined;
  /** Names that stand for something else within the text: groups of a filter's own expression. */
  readonly kept?: ReadonlySet<string> | undefined;
  /** Nothing else in the text may begin as a reference does: where a secret stands, `${NAME}` would be the secret. */
  readonly isStrict?: boolean;
}

/**
 * Text with `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}` and, where they are wanted, Spring's `${name:default}`
 * replaced; undefined, after a complaint, when one of them leads nowhere. The complaint names the reference and never
 * what it holds. What a variable or a file holds is text: references in it are none.
 */
export function resolveText(text: string, resolving: Resolving): ResolvedText | undefined {
  const work: Work = { ...resolving, held: [], unresolved: [], length: 0 };
  const resolved = replaced(text, work, []);
  for (const { problem, hint } of work.unresolved) resolving.complain(problem, hint);
  return work.unresolved.length === 0 ? { text: resolved, held: work.held } : undefined;
}

/** How the placeholders of one file become those of another. */
export interface Portable {
  readonly placeholders: Properties;
  readonly kept: ReadonlySet<string>;
  /** Called for each placeholder that has no default and leads nowhere. */
  readonly unknown: (name: string) => void;
}

/**
 * The same text for a file of its own: what a placeholder finds among the properties of this file becomes its default,
 * so that the environment goes on winning.
 */
export function withPropertiesAsDefaults(text: string, portable: Portable): string {
  return withDefaults(text, { ...portable, length: 0 }, []);
}

/** `length`: how much was looked at so far. */
interface PortableWork extends Portable {
  length: number;
}

function withDefaults(text: string, portable: PortableWork, within: readonly string[]): string {
  const { placeholders } = portable;
  let [result, at] = ['', 0];
  for (
    let found = nextOf(text, at, { placeholders });
    found !== undefined;
    found = nextOf(text, at, { placeholders })
  ) {
    result += text.slice(at, found.start) + portableOf(text.slice(found.start + 2, found.end), portable, within);
    at = found.end + 1;
  }
  return result + text.slice(at);
}

function portableOf(body: string, portable: PortableWork, within: readonly string[]): string {
  portable.length += body.length;
  const { before, otherwise } = cutAtColon(body);
  const name = before.trim();
  const isOther = ['env', 'file'].includes(name) || !PROPERTY_NAME.test(name) || portable.kept.has(name);
  if (isOther || within.includes(name) || within.length > 31) return `\${${body}}`;
  const text = portable.length > RESOLVED_LENGTH_MAX ? undefined : ownTextOf(name, otherwise, portable);
  if (text !== undefined) return `\${${name}:${withDefaults(text, portable, [...within, name])}}`;
  if (propertyOf(name, portable.placeholders) === undefined || portable.length > RESOLVED_LENGTH_MAX) {
    portable.unknown(name);
  }
  return `\${${body}}`;
}

/** What the file itself says of a name. */
function ownTextOf(name: string, otherwise: string | undefined, { placeholders }: Portable): string | undefined {
  return propertyOf(name, { ...placeholders, variables: {} })?.text ?? otherwise;
}

interface Work extends Resolving {
  readonly held: string[];
  readonly unresolved: Unresolved[];
  /** How much was made so far, of this text and all within it. */
  length: number;
}

/** A property may name others, and those others: a small file must not mean gigabytes. */
const RESOLVED_LENGTH_MAX = 65_536;

/** `within` are the properties that are being resolved: one that needs itself would never end. */
function replaced(text: string, work: Work, within: readonly string[]): string {
  let result = '';
  let at = 0;
  for (let found = nextOf(text, at, work); found !== undefined; found = nextOf(text, at, work)) {
    const before = asWritten(text.slice(at, found.start), work);
    result += before + valueOf(text.slice(found.start + 2, found.end), work, within);
    at = found.end + 1;
  }
  return result + asWritten(text.slice(at), work);
}

/** What is no reference: nothing of it is quoted, since it may be a secret. */
function asWritten(text: string, work: Work): string {
  return work.isStrict === true && text.includes('${') ? unresolved(NO_REFERENCE, work) : text;
}

const NO_REFERENCE: Unresolved = {
  problem: 'what begins with ${ is no reference, or is not closed',
  hint: "write '${env:NAME}' or '${file:PATH}'",
};

interface Found {
  readonly start: number;
  readonly end: number;
}

function nextOf(text: string, from: number, { placeholders }: Pick<Work, 'placeholders'>): Found | undefined {
  if (placeholders === undefined) {
    REFERENCE.lastIndex = from;
    const found = REFERENCE.exec(text);
    return found === null ? undefined : { start: found.index, end: found.index + found[0].length - 1 };
  }
  const start = text.indexOf('${', from);
  const end = start === -1 ? -1 : closeOf(text, start);
  return end === -1 ? undefined : { start, end };
}

/** Where what opens at `start` closes; -1 when it does not. Only Spring's may hold others. */
function closeOf(text: string, start: number): number {
  if (/^\$\{(?:env|file):/.test(text.slice(start, start + 8))) return text.indexOf('}', start);
  let depth = 0;
  for (let at = start + 1; at < text.length; at++) {
    if (text.charAt(at) === '{') depth += 1;
    else if (text.charAt(at) === '}' && --depth === 0) return at;
  }
  return -1;
}

function valueOf(body: string, work: Work, within: readonly string[]): string {
  if (body.startsWith('env:')) return outside(fromEnvironment(body.slice(4), work.surroundings), work);
  if (body.startsWith('file:')) return outside(fromFile(body.slice(5), work.surroundings), work);
  return placeholderValue(body, work, within);
}

/** What a variable or a file holds, or nothing after it is known to lead nowhere. */
function outside(value: string | Unresolved, work: Work): string {
  if (typeof value !== 'string') return unresolved(value, work);
  work.held.push(value);
  return value;
}

function placeholderValue(body: string, work: Work, within: readonly string[]): string {
  const { before, otherwise } = cutAtColon(body);
  const name = replaced(before, work, within).trim();
  const { placeholders, kept } = work;
  if (placeholders === undefined || !PROPERTY_NAME.test(name) || kept?.has(name) === true)
    return asWritten(`\${${body}}`, work);
  const found = propertyOf(name, placeholders);
  if (found?.isOutside === true) return outside(found.text, work);
  const text = found?.text ?? otherwise;
  return text === undefined ? unresolved(unknownOf(name), work) : innerValue({ name, text }, work, within);
}

/** What a property or a default holds may hold placeholders itself. */
function innerValue({ name, text }: { name: string; text: string }, work: Work, within: readonly string[]): string {
  work.length += text.length;
  const hint = 'write out what is meant';
  if (within.includes(name)) return unresolved({ problem: `\${${name}} stands for itself`, hint }, work);
  if (work.length <= RESOLVED_LENGTH_MAX && within.length < 32) return replaced(text, work, [...within, name]);
  return unresolved({ problem: `\${${name}} stands for too much`, hint }, work);
}

function unresolved(value: Unresolved, work: Work): '' {
  work.unresolved.push(value);
  return '';
}

/** A name and what follows the first colon that stands in no placeholder within. */
function cutAtColon(body: string): { readonly before: string; readonly otherwise: string | undefined } {
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    const char = body.charAt(at);
    if (char === '{') depth += 1;
    else if (char === '}') depth -= 1;
    else if (char === ':' && depth === 0) return { before: body.slice(0, at), otherwise: body.slice(at + 1) };
  }
  return { before: body, otherwise: undefined };
}

function unknownOf(name: string): Unresolved {
  const variable = variableOf(name);
  return {
    problem: `\${${name}} leads nowhere: the environment has no ${variable}, and this file no such key`,
    hint: `set ${variable}, or write a default: \${${name}:…}`,
  };
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

/** What of data is resolved, and how. */
export interface ResolvingData {
  readonly complain: Complain;
  /** Keys under which nothing is. */
  readonly except?: ReadonlySet<string>;
  /** Where the data stands in its file. */
  readonly at?: KeyPath;
  readonly placeholders?: Properties;
}

/** Replaces the references in data, but for what lies under the keys in `except`. */
export function resolveData(
  value: unknown,
  surroundings: Surroundings,
  { complain, except = new Set(), at = [], placeholders }: ResolvingData,
): Resolved {
  const [referred, failed] = [new Set<string>(), new Set<string>()];
  const secrets: string[] = [];

  const path = [...at];

  function resolve(part: unknown): unknown {
    if (typeof part === 'string') return part.includes('${') ? resolveScalar(part) : part;
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
    const resolved = resolveText(text, {
      ...{ surroundings, placeholders, isStrict: true },
      complain: (message, hint) => complain({ path: [...path], message, hint }),
    });
    (resolved === undefined ? failed : referred).add(JSON.stringify(path));
    secrets.push(...(resolved?.held ?? []));
    return resolved?.text ?? text; // judged as it stands: what is wrong with it was said already
  }

  return { value: resolve(value), referred, failed, secrets };
}

/** What a reference that leads nowhere has broken was said already. */
export function unsaid({ failed }: Pick<Resolved, 'failed'>, complain: Complain): Complain {
  return complaint => {
    if (!failed.has(JSON.stringify(complaint.path))) complain(complaint);
  };
}

/** A secret in the file itself ends up in version control; better it came from elsewhere. */
export function warnOfLiteralSecrets(
  { value, referred, failed }: Omit<Resolved, 'secrets'>,
  complain: Complain,
  at: KeyPath = [],
): void {
  for (const { path: inner } of secretsIn(value)) {
    const path = [...at, ...inner];
    const key = JSON.stringify(path);
    if (referred.has(key) || failed.has(key)) continue;
    const hint = "write '${env:NAME}' or '${file:PATH}'"; // in quotes: within {…} its brackets would end the value
    complain({ path, severity: 'warning', message: 'a secret stands in the file', hint });
  }
}
