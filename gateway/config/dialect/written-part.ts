import type { Complain, KeyPath } from '../problem.ts';
import { unknownKeyWords } from '../validate.ts';

/** A predicate or filter as it stands in the file, shortcut or `name` and `args`. */
export interface WrittenPart {
  readonly name: string;
  /** As the operator wrote it, references unresolved. */
  readonly text: string;
  readonly path: KeyPath;
  /** By position, or by name. A shortcut has only positions. */
  readonly values: readonly WrittenValue[];
}

/** One value; `key` is its name in `args`, undefined in a shortcut. */
export interface WrittenValue {
  readonly key: string | undefined;
  readonly text: string;
  /** Where it stands, if by itself. */
  readonly path?: KeyPath;
}

/** What it is part of, for the words of complaints. */
export type PartKind = 'predicate' | 'filter';

/** Reads one part; undefined, after a complaint, when it has no shape. */
export function readPart(
  raw: unknown,
  kind: PartKind,
  where: { path: KeyPath; complain: Complain },
): WrittenPart | undefined {
  if (typeof raw === 'string') return fromShortcut(raw, kind, where);
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return fromArgs(raw as Raw, where);
  where.complain({ path: where.path, message: `must be text such as ${EXAMPLES[kind]}, or \`name\` and \`args\`` });
  return undefined;
}

type Raw = Readonly<Record<string, unknown>>;

const EXAMPLES: Record<PartKind, string> = { predicate: 'Path=/api/**', filter: 'StripPrefix=1' };

function fromShortcut(
  raw: string,
  kind: PartKind,
  { path, complain }: { path: KeyPath; complain: Complain },
): WrittenPart | undefined {
  if (kind === 'predicate' && raw.indexOf('=') < 1) {
    complain({ path, message: 'a predicate is written name=value', hint: `for example ${EXAMPLES.predicate}` });
    return undefined;
  }
  const shortcut = parseShortcut(raw);
  if ('problem' in shortcut) {
    complain({ path, message: shortcut.problem, hint: shortcut.hint, piece: shortcut.piece });
    return undefined;
  }
  const values = shortcut.pieces.map(text => ({ key: undefined, text }));
  return { name: shortcut.name, text: raw.trim(), path, values };
}

function fromArgs(raw: Raw, { path, complain }: { path: KeyPath; complain: Complain }): WrittenPart | undefined {
  for (const key of Object.keys(raw).filter(each => each !== 'name' && each !== 'args')) {
    complain({ path: [...path, key], ...unknownKeyWords(key, ['name', 'args']) });
  }
  const name = raw['name'];
  const args = raw['args'] ?? {};
  if (typeof name !== 'string' || name === '') {
    complain({ path: [...path, 'name'], message: '`name` is missing' });
    return undefined;
  }
  if (typeof args !== 'object' || Array.isArray(args)) {
    complain({ path: [...path, 'args'], message: 'must be a map of names and values' });
    return undefined;
  }
  const values = valuesOf(args as Raw, { path: [...path, 'args'], complain });
  return { name, text: [name, values.map(({ text }) => text).join(', ')].filter(Boolean).join('='), path, values };
}

/** Lists count as several values of one name; so do `patterns.0` and `patterns[0]`. A map within is dots in the name. */
function valuesOf(args: Raw, { path, complain }: { path: KeyPath; complain: Complain }, prefix = ''): WrittenValue[] {
  return Object.entries(args).flatMap(([key, value]) => {
    const name = prefix + camel(key.replace(/(?:\.\d+|\[\d+\])$/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && prefix.length < 64) {
      return valuesOf(value as Raw, { path: [...path, key], complain }, `${name}.`);
    }
    return (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap((item, i) => {
      if (item === null || item === undefined) return [];
      const at = Array.isArray(value) ? [...path, key, i] : [...path, key];
      if (isScalar(item)) return [{ key: name, text: String(item), path: at }];
      complain({ path: [...path, key], message: 'must be a value, or a list of values' });
      return [];
    });
  });
}

function isScalar(item: unknown): item is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof item);
}

/** `include-request-params` and `includeRequestParams` are one name. */
function camel(key: string): string {
  return key.replaceAll(/(?<=[a-z0-9])-([a-z])/g, (_dash, letter: string) => letter.toUpperCase());
}

/** A predicate or filter as its shortcut says it. */
interface Shortcut {
  readonly name: string;
  /** Trimmed, empty ones dropped, as Spring does. */
  readonly pieces: readonly string[];
}

/** What is wrong with a shortcut, and by which part of it. */
interface ShortcutProblem {
  readonly problem: string;
  readonly hint: string | undefined;
  readonly piece: string | undefined;
}

/**
 * Reads `Name=value, value`. The name ends at the first `=`; values are split at commas, but not within balanced
 * brackets: a regular expression may then hold a comma, `\d{1,3}`, which Spring would cut in two.
 */
export function parseShortcut(text: string): Shortcut | ShortcutProblem {
  const at = text.indexOf('=');
  if (at === -1) return { name: text.trim(), pieces: [] };
  const name = text.slice(0, at).trim();
  const pieces = split(text.slice(at + 1));
  if ('unbalanced' in pieces) {
    return {
      problem: 'brackets are not balanced, so that it is unclear which commas separate values',
      hint: `write \`name: ${name}\` and \`args:\` instead`,
      piece: pieces.unbalanced,
    };
  }
  return { name, pieces: pieces.map(piece => piece.trim()).filter(piece => piece !== '') };
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']' };

function split(text: string): string[] | { readonly unbalanced: string } {
  const pieces: string[] = [];
  const open: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length;) {
    const { length, isComma, isUnbalanced } = stepAt(text, at, open);
    if (isUnbalanced) return { unbalanced: text.slice(at) };
    if (isComma) {
      pieces.push(text.slice(start, at));
      start = at + 1;
    }
    at += length;
  }
  return open.length === 0 ? [...pieces, text.slice(start)] : { unbalanced: text.trim() };
}

interface StepTaken {
  readonly length: number;
  readonly isComma: boolean;
  readonly isUnbalanced: boolean;
}

/** Takes one character, or one escape; `open` holds the brackets that are still to be closed. */
function stepAt(text: string, at: number, open: string[]): StepTaken {
  const char = text.charAt(at);
  const plain = { length: 1, isComma: false, isUnbalanced: false };
  if (text.startsWith('$\\{', at)) {
    open.push('}'); // Spring's way to write ${ where it would put a property in
    return { ...plain, length: 3 };
  }
  if (char === '\\') return { ...plain, length: 2 };
  if (open.at(-1) === ']') {
    if (char === ']') open.pop(); // within a class of characters other brackets are just that
    return plain;
  }
  const closing = CLOSING[char];
  if (closing !== undefined) open.push(closing);
  else if (')}]'.includes(char) && open.pop() !== char) return { ...plain, isUnbalanced: true };
  return { ...plain, isComma: char === ',' && open.length === 0 };
}
