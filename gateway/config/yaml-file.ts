import {
  Composer,
  isAlias,
  isMap,
  isSeq,
  LineCounter,
  Parser,
  type Document,
  type Node,
  isScalar,
  type Pair,
  type YAMLMap,
} from 'yaml';
import type { NonEmpty } from '../domain/non-empty.ts';
import { type Complaint, type KeyPath, type Problem, pathText } from './problem.ts';
import { isSecretName } from './secret.ts';

/** A YAML text as data, and where each part of it stands. */
export interface YamlFile {
  readonly name: string;
  readonly text: string;
  /** Null for an empty file; undefined where the syntax is broken. */
  readonly value: unknown;
  /** What is wrong with the syntax itself. */
  readonly problems: readonly Problem[];
  /** A complaint with its place in the file. */
  locate(complaint: Complaint): Problem;
}

/** A file that may be several documents. Where it is, a path begins with the number of its document, from 0. */
export interface YamlDocuments extends Pick<YamlFile, 'problems' | 'locate'> {
  /** What each of them holds, as in a file of its own. */
  readonly values: readonly unknown[];
  /** What to say of all after the first where a file must be one document. */
  readonly second: Problem | undefined;
}

/**
 * Reads YAML 1.2: one document of maps, lists and plain values. Whatever else stands in the file is a problem with its
 * place; nothing is an exception. No problem quotes the file: what is at fault may be a secret.
 */
export function readYaml(text: string, name: string): YamlFile {
  const [first, second] = documentsOf(text, name);
  const problems = second === undefined ? first.problems : [...first.problems, second.begins];
  return { name, text, value: first.value, problems, locate: complaint => first.locate(complaint) };
}

/** Reads every document of a file; what is wrong with one hides nothing of another. */
export function readDocuments(text: string, name: string): YamlDocuments {
  const documents = documentsOf(text, name);
  const [first, second] = documents;
  return {
    values: documents.map(({ value }) => value),
    problems: documents.flatMap(({ problems }) => problems),
    second: second?.begins,
    locate(complaint) {
      const [key, ...path] = complaint.path;
      const document = second === undefined || typeof key !== 'number' ? undefined : documents[key];
      return document === undefined ? first.locate(complaint) : document.locate({ ...complaint, path });
    },
  };
}

interface ReadDocument extends Pick<YamlFile, 'value' | 'problems' | 'locate'> {
  /** The complaint that it is there at all. */
  readonly begins: Problem;
}

function documentsOf(text: string, name: string): NonEmpty<ReadDocument> {
  const lines = new LineCounter();
  const problemAt = (offset: number, complaint: Complaint): Problem => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    const { path, message, hint, severity = 'error' } = complaint;
    return {
      file: name,
      line: Math.max(1, line),
      column: Math.max(1, col),
      severity,
      path: pathText(path),
      message,
      hint,
    };
  };
  const unread = (offset: number, words: Words): NonEmpty<ReadDocument> => {
    const problem = problemAt(offset, { path: [], ...words });
    return [
      { value: undefined, problems: [problem], locate: complaint => problemAt(offset, complaint), begins: problem },
    ];
  };
  const noText = text.indexOf('\uFFFD');
  if (noText >= 0) {
    for (const { index } of text.slice(0, noText).matchAll(/^/gm)) lines.addNewLine(index);
    return unread(noText, NOT_UTF8);
  }
  const [first, ...others] = parsedOf(text, lines).map(document => readDocument(document, text, problemAt));
  return first === undefined ? unread(0, TOO_DEEP) : [first, ...others];
}

const TOO_DEEP = { message: 'is nested too deeply to be read' };

/** What stands in the place of bytes that are none. */
const NOT_UTF8 = { message: 'what stands here is not UTF-8', hint: 'save the file as UTF-8' };

type ProblemAt = (offset: number, complaint: Complaint) => Problem;

function readDocument(document: Document.Parsed, text: string, problemAt: ProblemAt): ReadDocument {
  const problems = syntaxFlaws(document).map(({ offset, ...complaint }) => problemAt(offset, complaint));
  const { value, flaws, named } = problems.length > 0 ? NO_DATA : dataOf(document);
  problems.push(...flaws.map(({ offset, ...complaint }) => problemAt(offset, complaint)));
  return {
    value,
    problems,
    locate: complaint => problemAt(offsetOf({ document, named, text }, complaint), complaint),
    begins: problemAt(document.range[0], { path: [], ...SECOND_DOCUMENT }),
  };
}

const SECOND_DOCUMENT = {
  message: 'a second document begins: a file is one document',
  hint: 'take the line `---` out, or move what follows it to a file of its own',
};

/** As `parseDocument` does it, which drops further documents without a word. Empty where the nesting is too deep for it. */
function parsedOf(text: string, lines: LineCounter): Document.Parsed[] {
  // Keys that stand twice are found while the data is read, with their path.
  const composer = new Composer({ version: '1.2', uniqueKeys: false, prettyErrors: false });
  try {
    return [...composer.compose(new Parser(lines.addNewLine).parse(text), true, text.length)];
  } catch (error) {
    if (error instanceof RangeError) return []; // the library reads by recursion
    throw error;
  }
}

interface SyntaxFlaw extends Complaint {
  readonly offset: number;
}

function syntaxFlaws(document: Document.Parsed): SyntaxFlaw[] {
  const found = [...document.errors, ...document.warnings].map(({ pos, code, message }) => ({
    offset: pos[0],
    path: pathAt(document.contents, pos[0]),
    ...wordsFor(code, message),
  }));
  const { version } = document.directives.yaml;
  if (version !== '1.2') {
    const hint = 'leave out the line that begins with %YAML';
    found.push({ offset: 0, path: [], message: 'is read as YAML 1.2, and no other', hint });
  }
  return found;
}

type Words = Pick<Complaint, 'message' | 'hint'>;

/** The library's words may quote the text; ours do not. */
const WORDS: ReadonlyMap<string, Words> = new Map<string, Words>([
  ['ALIAS_PROPS', { message: 'an alias has no anchor and no tag of its own' }],
  ['BAD_ALIAS', { message: 'is no name of an anchor', hint: 'a text that begins with & or * is written in quotes' }],
  ['BAD_COLLECTION_TYPE', { message: 'tags are not understood here', hint: 'leave out what begins with !' }],
  ['BAD_DIRECTIVE', { message: 'directives are not understood here', hint: 'leave out the line that begins with %' }],
  ['BAD_DQ_ESCAPE', { message: 'within "…" a backslash begins an escape', hint: "write '…', or \\\\ for a backslash" }],
  ['BAD_INDENT', { message: 'is not indented as its neighbours are, or a bracket is not closed' }],
  ['BAD_PROP_ORDER', { message: 'an anchor or tag stands before its value, after the `-`, `?` or `:`' }],
  ['BAD_SCALAR_START', { message: 'no text begins so without quotes', hint: "write '…'" }],
  ['BLOCK_AS_IMPLICIT_KEY', { message: 'a value that holds `: ` is written in quotes', hint: "write '…'" }],
  ['BLOCK_IN_FLOW', { message: 'within […] and {…} everything is written in one line’s form' }],
  ['KEY_OVER_1024_CHARS', { message: 'a key is no longer than 1024 characters' }],
  ['MISSING_CHAR', { message: 'something is missing before this: a quote, a comma, a `: ` or a space' }],
  ['MULTILINE_IMPLICIT_KEY', { message: 'a key stands on one line, and `: ` follows it' }],
  ['MULTIPLE_ANCHORS', { message: 'a value has one anchor at most' }],
  ['MULTIPLE_TAGS', { message: 'tags are not understood here', hint: 'leave out what begins with !' }],
  ['RESOURCE_EXHAUSTION', { message: 'is nested too deeply to be read' }],
  ['TAB_AS_INDENT', { message: 'YAML is indented with spaces, not tabs' }],
  ['TAG_RESOLVE_FAILED', { message: 'tags are not understood here', hint: 'leave out what begins with !' }],
]);

const UNREADABLE: Words = {
  message: 'cannot be read as YAML',
  hint: "a text that holds one of : # & * ! | > ' % @ is written in quotes",
};

function wordsFor(code: string, message: string): Words {
  const isMark = code === 'UNEXPECTED_TOKEN' && message.startsWith('Block scalar header');
  if (isMark)
    return { message: 'after | or > the text begins on the next line', hint: "a text that begins so is written '…'" };
  return WORDS.get(code) ?? UNREADABLE;
}

/** Which key the offset belongs to, as far as the document could be read; of a secret no more than its key. */
function pathAt(root: Node | null, offset: number): KeyPath {
  const path: (string | number)[] = [];
  let node = root;
  for (;;) {
    const found = partAt(node, offset);
    if (found === undefined || isSecretName(path.at(-1))) return path;
    path.push(found.key);
    node = found.value;
  }
}

function partAt(node: Node | null, offset: number): { key: string | number; value: Node | null } | undefined {
  if (isSeq(node)) {
    const at = node.items.findLastIndex(item => isBefore(item as Node | null, offset));
    return at === -1 ? undefined : { key: at, value: node.items[at] as Node | null };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.findLast(({ key }) => isBefore(key as Node | null, offset));
  const key = keyText(pair?.key);
  return pair === undefined || key === undefined ? undefined : { key, value: pair.value as Node | null };
}

function isBefore(node: Node | null, offset: number): boolean {
  return node?.range !== undefined && node.range !== null && node.range[0] < offset;
}

/** What an offset is looked up in. */
interface ParsedText {
  readonly document: Document;
  /** What aliases stand for. */
  readonly named: ReadonlyMap<Node, Node>;
  readonly text: string;
}

/** Where the value at the path starts, or its nearest parent when the value is missing. */
function offsetOf({ document, named, text }: ParsedText, { path, isAboutKey = false, piece }: Complaint): number {
  let node: Node | null = document.contents;
  let offset = startOf(document.contents ?? document);
  for (const [depth, key] of path.entries()) {
    const next = childOf(named, node, key);
    if (next === undefined) return offset;
    node = next.value;
    const isLast = depth === path.length - 1;
    offset = node === null || (isLast && isAboutKey) ? next.keyOffset : startOf(node);
  }
  return piece === undefined ? offset : (offsetWithin(text, node, piece) ?? offset);
}

function childOf(named: ParsedText['named'], parent: Node | null, key: string | number): Child | undefined {
  const node = isAlias(parent) ? (named.get(parent) ?? null) : parent; // the library looks through all of the document
  if (isMap(node)) {
    const pair = node.items.findLast(item => keyText(item.key) === String(key));
    if (pair === undefined) return undefined;
    return { keyOffset: startOf(pair.key as Node | null), value: pair.value as Node | null };
  }
  if (isSeq(node) && typeof key === 'number') {
    const item = node.items[key] as Node | null | undefined;
    return item === undefined ? undefined : { keyOffset: startOf(item), value: item };
  }
  return undefined;
}

interface Child {
  readonly keyOffset: number;
  readonly value: Node | null;
}

/** Where a piece stands in its scalar's source; undefined where escapes or folding hide it. */
function offsetWithin(text: string, node: Node | null, piece: string): number | undefined {
  if (!node?.range || piece === '') return undefined;
  const [start, end] = node.range;
  const found = text.slice(start, end).indexOf(piece);
  return found === -1 ? undefined : start + found;
}

/** What is wrong with a document beyond its syntax, and the offset at which it stands. */
interface Flaw {
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
  /** What aliases stand for. */
  readonly named: Map<Node, Node>;
  readonly path: (string | number)[];
  parts: number;
  aliasedParts: number;
}

interface Data extends Pick<ParsedText, 'named'> {
  readonly value: unknown;
  readonly flaws: readonly Flaw[];
}

const NO_DATA: Data = { value: undefined, flaws: [], named: new Map() };

/**
 * A document as data: maps, lists, texts, numbers, switches, null. Whatever else it holds is a flaw, with its place.
 * Undefined where its aliases stand for too much to be looked at.
 */
function dataOf(document: Document): Data {
  const anchors = new Map<string, Anchored>();
  const reading: Reading = { flaws: [], anchors, anchored: [], named: new Map(), path: [], parts: 0, aliasedParts: 0 };
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
  return { value: isTooMuch ? undefined : value, flaws: reading.flaws, named: reading.named };
}

/** Where a part of the file begins. */
function startOf(node: Node | Document | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

/** A key as text: as it is written where YAML takes it for a number or a switch; undefined where it is neither. */
function keyText(key: unknown): string | undefined {
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
  reading.named.set(node, named.node);
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
