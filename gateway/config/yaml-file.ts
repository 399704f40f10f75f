import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import type { Complaint, Problem } from './problem.ts';
import { pathText } from './problem.ts';

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

/** Aliases may be used, but not to blow a small file up to gigabytes. */
const ALIASES_MAX = 100;

/** Reads YAML 1.2. Duplicate keys are errors; broken syntax yields problems, never an exception. */
export function readYaml(text: string, name: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    uniqueKeys: true,
    prettyErrors: false, // the pretty ones quote the file, and with it its secrets
    logLevel: 'silent',
  });
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
  const problems = [...document.errors, ...document.warnings].map(({ pos, code, message, name: kind }) =>
    problemAt(pos[0], {
      path: [],
      message: wordsFor(code, message),
      severity: kind === 'YAMLWarning' ? 'warning' : 'error',
    }),
  );
  // A key that stands twice is wrong, but what it says can still be judged, and all be reported at once.
  const isBroken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
  const data = isBroken ? { value: undefined } : dataOf(document);
  if ('problem' in data) problems.push(problemAt(0, { path: [], message: data.problem }));
  return {
    name,
    text,
    value: 'value' in data ? data.value : undefined,
    problems,
    locate: complaint => problemAt(offsetOf(document, complaint, text), complaint),
  };
}

function dataOf(document: Document): { value: unknown } | { problem: string } {
  try {
    return { value: document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown };
  } catch {
    return { problem: 'its aliases refer to too much, or to nothing' }; // what toJS throws tells no more
  }
}

function wordsFor(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key is there already';
  if (code === 'MULTIPLE_DOCS') return 'one document a file: split it at `---`';
  if (code === 'TAB_AS_INDENT') return 'YAML is indented with spaces, not tabs';
  return message;
}

/** Where the value at the path starts, or its nearest parent when the value is missing. */
function offsetOf(document: Document, { path, isAboutKey = false, piece }: Complaint, text: string): number {
  let node: Node | null = document.contents;
  let offset = startOf(node);
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

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function startOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

/** Where a piece stands in its scalar's source; undefined where escapes or folding hide it. */
function offsetWithin(text: string, node: Node | null, piece: string): number | undefined {
  if (!node?.range || piece === '') return undefined;
  const [start, end] = node.range;
  const found = text.slice(start, end).indexOf(piece);
  return found === -1 ? undefined : start + found;
}
