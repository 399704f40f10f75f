import { Composer, isAlias, isMap, isSeq, LineCounter, Parser, type Document, type Node } from 'yaml';
import type { NonEmpty } from '../domain/non-empty.ts';
import type { Complaint, KeyPath, Problem } from './problem.ts';
import { pathText } from './problem.ts';
import { isSecretName } from './secret.ts';
import { dataOf, keyText, startOf } from './yaml-data.ts';

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
  const [first, ...others] = parsedOf(text, lines).map(document => readDocument(document, text, problemAt));
  if (first !== undefined) return [first, ...others];
  const problem = problemAt(0, { path: [], message: 'is nested too deeply to be read' });
  const locate = (complaint: Complaint) => problemAt(0, complaint);
  return [{ value: undefined, problems: [problem], locate, begins: problem }];
}

type ProblemAt = (offset: number, complaint: Complaint) => Problem;

function readDocument(document: Document.Parsed, text: string, problemAt: ProblemAt): ReadDocument {
  const problems = syntaxFlaws(document).map(({ offset, ...complaint }) => problemAt(offset, complaint));
  const { value, flaws } = problems.length > 0 ? { value: undefined, flaws: [] } : dataOf(document);
  problems.push(...flaws.map(({ offset, ...complaint }) => problemAt(offset, complaint)));
  return {
    value,
    problems,
    locate: complaint => problemAt(offsetOf(document, complaint, text), complaint),
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

/** Where the value at the path starts, or its nearest parent when the value is missing. */
function offsetOf(document: Document, { path, isAboutKey = false, piece }: Complaint, text: string): number {
  let node: Node | null = document.contents;
  let offset = startOf(document.contents ?? document);
  for (const [depth, key] of path.entries()) {
    const next = childOf(document, node, key);
    if (next === undefined) return offset;
    node = next.value;
    const isLast = depth === path.length - 1;
    offset = node === null || (isLast && isAboutKey) ? next.keyOffset : startOf(node);
  }
  return piece === undefined ? offset : (offsetWithin(text, node, piece) ?? offset);
}

function childOf(document: Document, parent: Node | null, key: string | number): Child | undefined {
  const node = isAlias(parent) ? (parent.resolve(document) ?? null) : parent;
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
