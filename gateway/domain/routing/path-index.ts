import { parsePathPattern, type PathPattern } from './path-pattern.ts';
import type { PathSegments } from './path-segments.ts';
import { isProblem } from './regex.ts';

/** Finds, for a path, which of many patterns can match it, at a cost that hardly grows with their number. */
export interface PathIndex {
  /** Lists of positions, each ascending; together they hold every position that can match, and few that cannot. */
  candidates(path: PathSegments): readonly (readonly number[])[];
}

/** One place in the tree of path parts. */
interface Node {
  readonly byText: Map<string, Node>;
  /** For a part that is anything but plain text. */
  any: Node | undefined;
  /** Positions of patterns that end here, and of those that take whatever follows. */
  readonly ending: number[];
  readonly open: number[];
}

/** An index that is still being filled. */
export interface GrowingPathIndex extends PathIndex {
  /** The patterns at the next position; a position without patterns takes any path. */
  add(patterns: readonly string[]): void;
}

/** An index of patterns by position, empty at first. */
export function createPathIndex(): GrowingPathIndex {
  const root = createNode();
  let position = 0;
  return {
    add(patterns) {
      if (patterns.length === 0) add(root.open, position);
      for (const pattern of patterns) place(root, structureOf(pattern), position);
      position += 1;
    },
    candidates(path) {
      const lists: (readonly number[])[] = [];
      collect(root, { path, depth: 0, lists });
      return lists;
    },
  };
}

/**
 * True when the index names a position with this pattern for the paths that match it, and for no others: then nobody
 * need look at the pattern any more.
 */
export function isDecidedByIndex(pattern: string): boolean {
  const parsed = parsePathPattern(pattern, () => ANYTHING);
  if (isProblem(parsed) || parsed.rest === 'first' || parsed.names.length > 0) return false;
  return parsed.segments.every(({ literal }) => literal !== undefined);
}

function createNode(): Node {
  return { byText: new Map(), any: undefined, ending: [], open: [] };
}

/** The pattern's parts. Regexes do not matter here: what holds one is looked at for any text. */
function structureOf(pattern: string): Pick<PathPattern, 'segments' | 'rest'> {
  const parsed = parsePathPattern(pattern, () => ANYTHING);
  return isProblem(parsed) ? { segments: [], rest: 'last' } : parsed;
}

const ANYTHING = {
  matches: () => true,
  groupsOf: () => undefined,
  replaceAll: (text: string) => text,
  groupCount: 0,
  groupNames: new Map<string, number>(),
};

function place(root: Node, { segments, rest }: Pick<PathPattern, 'segments' | 'rest'>, position: number): void {
  if (rest === 'first') {
    add(root.open, position);
    return;
  }
  let node = root;
  for (const { literal } of segments) node = literal === undefined ? anyOf(node) : byTextOf(node, literal);
  add(rest === 'last' ? node.open : node.ending, position);
}

/** A route whose patterns share a place stands there once. */
function add(list: number[], position: number): void {
  if (list.at(-1) !== position) list.push(position);
}

function anyOf(node: Node): Node {
  node.any ??= createNode();
  return node.any;
}

function byTextOf(node: Node, literal: string): Node {
  const known = node.byText.get(literal);
  if (known !== undefined) return known;
  const made = createNode();
  node.byText.set(literal, made);
  return made;
}

interface Walk {
  readonly path: PathSegments;
  readonly depth: number;
  readonly lists: (readonly number[])[];
}

function collect(node: Node, { path, depth, lists }: Walk): void {
  if (node.open.length > 0) lists.push(node.open);
  const text = path.text[depth];
  if (text === undefined) {
    if (node.ending.length > 0) lists.push(node.ending);
    return;
  }
  const exact = node.byText.get(text);
  if (exact !== undefined) collect(exact, { path, depth: depth + 1, lists });
  if (node.any !== undefined) collect(node.any, { path, depth: depth + 1, lists });
}
