import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type Pair, type YAMLMap } from 'yaml';
import type { KeyPath } from './problem.ts';

/** What is wrong with a document beyond its syntax, and the offset at which it stands. */
export interface Flaw {
  readonly offset: number;
  readonly path: KeyPath;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly severity?: 'warning';
}

/** So many parts may come from aliases, each counted as often as it is named: a small file must not mean gigabytes. */
const ALIASED_PARTS_MAX = 100_000;

const TAG_PREFIX = 'tag:yaml.org,2002:';

/** Tags that say no more than what every reader of YAML 1.2 understands by itself. */
const PLAIN_TAGS: ReadonlySet<string> = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map(name => `${TAG_PREFIX}${name}`),
);

interface Anchored {
  readonly node: Node;
  /** How many parts it has; undefined while it is still being read. */
  parts: number | undefined;
  value: unknown;
  isUsed: boolean;
}

interface Reading {
  readonly flaws: Flaw[];
  readonly anchors: Map<string, Anchored>;
  readonly anchored: Anchored[];
  readonly path: (string | number)[];
  parts: number;
  aliasedParts: number;
}

/**
 * A document as data: maps, lists, texts, numbers, switches, null. Whatever else it holds is a flaw, with its place.
 * Undefined where its aliases stand for too much to be looked at.
 */
export function dataOf(document: Document): { readonly value: unknown; readonly flaws: readonly Flaw[] } {
  const anchors = new Map<string, Anchored>();
  const reading: Reading = { flaws: [], anchors, anchored: [], path: [], parts: 0, aliasedParts: 0 };
  const value = read(document.contents, reading);
  const isTooMuch = reading.aliasedParts > ALIASED_PARTS_MAX;
  if (isTooMuch) {
    const message = `its aliases stand for more than ${ALIASED_PARTS_MAX} parts`;
    reading.flaws.push({ offset: 0, path: [], message, hint: 'write out what is meant, without aliases of aliases' });
  }
  for (const { node, isUsed } of reading.anchored) {
    if (isUsed) continue;
    const message = 'no alias names this anchor';
    const hint = 'a text that begins with & is written in quotes';
    reading.flaws.push({ offset: startOf(node), path: [], message, hint, severity: 'warning' });
  }
  return { value: isTooMuch ? undefined : value, flaws: reading.flaws };
}

/** Where a part of the file begins. */
export function startOf(node: Node | Document | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

/** A key as text: as it is written where YAML takes it for a number or a switch; undefined where it is neither. */
export function keyText(key: unknown): string | undefined {
  if (!isScalar(key) || key.value === null) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? '');
}

function read(node: Node | null, reading: Reading): unknown {
  reading.parts += 1;
  if (node === null) return null;
  if (isAlias(node)) return readAlias(node.source, node, reading);
  complainOfTag(node, reading);
  const anchored = anchoredOf(node, reading);
  const before = reading.parts;
  const value = valueOf(node, reading);
  if (anchored !== undefined) Object.assign(anchored, { value, parts: reading.parts - before + 1 });
  return value;
}

function complain(node: Node | null, { flaws, path }: Reading, words: Pick<Flaw, 'message' | 'hint'>): void {
  flaws.push({ offset: startOf(node), path: [...path], ...words });
}

function anchoredOf(node: Node, { anchors, anchored, path }: Reading): Anchored | undefined {
  const name = 'anchor' in node ? node.anchor : undefined;
  if (name === undefined) return undefined;
  // Below a key `x-…` stands what may be named one day.
  const isUsed = typeof path[0] === 'string' && path[0].startsWith('x-');
  const made = { node, parts: undefined, value: undefined, isUsed };
  anchors.set(name, made);
  anchored.push(made);
  return made;
}

function readAlias(name: string, node: Node, reading: Reading): unknown {
  const named = reading.anchors.get(name);
  if (named === undefined) {
    const hint = 'a text that begins with * is written in quotes';
    complain(node, reading, { message: 'no anchor before it has the name of this alias', hint });
    return null;
  }
  named.isUsed = true;
  if (named.parts === undefined) {
    complain(node, reading, { message: 'the alias stands within what it stands for', hint: 'write out what is meant' });
    return null;
  }
  reading.parts += named.parts;
  reading.aliasedParts += named.parts;
  return named.value;
}

function complainOfTag(node: Node, reading: Reading): void {
  const tag = 'tag' in node ? node.tag : undefined;
  if (tag === undefined || PLAIN_TAGS.has(tag)) return;
  complain(node, reading, { message: 'tags are not understood here', hint: 'leave out what begins with !' });
}

function valueOf(node: Node, reading: Reading): unknown {
  if (isScalar(node)) return node.value;
  if (isMap(node)) return readMap(node, reading);
  return isSeq(node) ? node.items.map((item, i) => within(i, item as Node | null, reading)) : null;
}

function within(key: string | number, node: Node | null, reading: Reading): unknown {
  reading.path.push(key);
  const value = read(node, reading);
  reading.path.pop();
  return value;
}

function readMap(map: YAMLMap, reading: Reading): unknown {
  const entries = new Map<string, unknown>();
  for (const { key, value } of map.items as Pair<Node | null, Node | null>[]) {
    const text = isAlias(key) ? readKeyAlias(key.source, key, reading) : keyText(key);
    if (text === undefined) {
      complain(key ?? value, reading, { message: 'a key must be text' });
      continue;
    }
    if (key !== null && !isAlias(key)) {
      complainOfTag(key, reading);
      const anchored = anchoredOf(key, reading);
      if (anchored !== undefined) Object.assign(anchored, { value: text, parts: 1 });
    }
    complainOfKey(text, { key, isThere: entries.has(text) }, reading);
    const item = within(text, value, reading);
    if (text !== '<<') entries.set(text, item);
  }
  return Object.fromEntries(entries);
}

function readKeyAlias(name: string, key: Node, reading: Reading): string | undefined {
  const value = readAlias(name, key, reading);
  return typeof value === 'string' ? value : undefined;
}

function complainOfKey(
  text: string,
  { key, isThere }: { readonly key: Node | null; readonly isThere: boolean },
  reading: Reading,
): void {
  reading.path.push(text);
  if (isThere) complain(key, reading, { message: 'this key is there already' });
  if (text === '<<') {
    const hint = 'write the keys out, or name a whole value: `limits: *limits`';
    complain(key, reading, { message: 'merge keys are not part of YAML 1.2', hint });
  }
  reading.path.pop();
}
