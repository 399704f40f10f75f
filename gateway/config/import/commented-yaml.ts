import {
  Document,
  isMap as isMapNode,
  isScalar,
  isSeq,
  parseAllDocuments,
  stringify,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { isMap } from '../spring-keys.ts';
import type { KeyPath } from '../problem.ts';

/** Comments on data, by the map they belong to and one of its keys; the empty key is the map as a whole. */
export class Comments {
  readonly #lines = new Map<object, Map<string, string[]>>();

  /** One comment more, above the key; said once however often it is added. */
  add(map: object, key: string, text: string): void {
    const keys = this.#lines.get(map) ?? new Map<string, string[]>();
    this.#lines.set(map, keys);
    const lines = keys.get(key) ?? [];
    if (!lines.includes(text)) keys.set(key, [...lines, text]);
  }

  of(map: unknown, key: string): readonly string[] {
    return this.#lines.get(map as object)?.get(key) ?? [];
  }
}

/** The YAML that an operator wrote, as far as it lends its look to what is made of it. */
export interface Original {
  /** What stands at a place: its comments, quotes and brackets are kept where they still fit. */
  at(path: KeyPath): Node | undefined;
}

/** Reads the look of a text that is known to be sound; places of a file of several documents begin with their number. */
export function originalOf(text: string): Original {
  const documents = parseAllDocuments(text) as Document[];
  return {
    at(path) {
      const [first, ...rest] = path;
      const isNumbered = documents.length > 1 && typeof first === 'number';
      const found = documents[isNumbered ? first : 0]?.getIn(isNumbered ? rest : path, true);
      return isMapNode(found) || isSeq(found) || isScalar(found) ? found : undefined;
    },
  };
}

/** Data as YAML with comments. `originals` are the nodes that maps were made from. */
export function commentedYaml(
  data: Readonly<Record<string, unknown>>,
  { head, comments, originals }: { head: readonly string[]; comments: Comments; originals: ReadonlyMap<object, Node> },
): string {
  const document = new Document(data, { aliasDuplicateObjects: false });
  annotate(document.contents, data, { comments, originals });
  const text = document.toString({ lineWidth: 0, singleQuote: true });
  return `${commentText(head).replaceAll(/^/gm, '#')}\n\n${text.trimEnd()}\n`;
}

/** A value on one line. */
export function flowText(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, singleQuote: true }).trim();
}

interface Notes {
  readonly comments: Comments;
  readonly originals: ReadonlyMap<object, Node>;
}

function annotate(node: Node | null, value: unknown, notes: Notes): void {
  if (isSeq(node) && Array.isArray(value)) annotateItems(node, value, notes);
  else if (isMapNode(node) && isMap(value)) annotateKeys(node, value, notes);
}

function annotateItems(node: YAMLSeq, value: readonly unknown[], notes: Notes): void {
  const before = notes.originals.get(value)?.commentBefore; // what stands above the first item
  if (before != null) node.commentBefore = before;
  node.items.forEach((item, i) => annotate(item as Node, value[i], notes));
}

function annotateKeys(node: YAMLMap, value: Readonly<Record<string, unknown>>, notes: Notes): void {
  const original = notes.originals.get(value);
  if (original !== undefined) lendLook(original, node);
  addAbove(node, notes.comments.of(value, ''));
  for (const pair of node.items) {
    const key = keyOf(pair);
    annotate(pair.value as Node | null, value[key], notes);
    const lines = notes.comments.of(value, key);
    if (lines.length === 0 || !isScalar(pair.key)) continue;
    node.flow = false;
    addAbove(pair.key, lines);
  }
}

function addAbove(node: Node, lines: readonly string[]): void {
  if (lines.length === 0) return;
  node.commentBefore = [...(node.commentBefore == null ? [] : [node.commentBefore]), commentText(lines)].join('\n');
}

/** Lines of a comment, each no wider than the page. */
function commentText(lines: readonly string[]): string {
  return lines.flatMap(line => wrapped(line)).join('\n');
}

const WIDTH_MAX = 110;

function wrapped(line: string): string[] {
  const result: string[] = [];
  for (const word of line.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ').split(' ')) {
    const last = result.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH_MAX) result[result.length - 1] = `${last} ${word}`;
    else result.push(result.length === 0 ? ` ${word}` : `   ${word}`);
  }
  return result;
}

/** Comments, quotes and brackets of what was written, for what is still there. */
function lendLook(from: Node, to: Node): void {
  if (from.commentBefore != null) to.commentBefore = from.commentBefore;
  if (from.spaceBefore === true) to.spaceBefore = true;
  if (isScalar(from) && isScalar(to)) lendQuotes(from, to);
  if (isMapNode(from) && isMapNode(to)) {
    to.flow = from.flow === true;
    for (const pair of to.items)
      lendPair(
        from.items.find(each => keyOf(each) === keyOf(pair)),
        pair,
      );
  }
  if (isSeq(from) && isSeq(to)) lendItems(from, to);
}

function lendQuotes(from: Scalar, to: Scalar): void {
  if (from.value === to.value && from.type !== undefined) to.type = from.type;
  if (from.comment != null) to.comment = from.comment;
}

/** Only where none was taken out: otherwise what belongs to which is not known. */
function lendItems(from: YAMLSeq, to: YAMLSeq): void {
  to.flow = from.flow === true;
  if (from.items.length !== to.items.length) return;
  to.items.forEach((item, i) => {
    const same = from.items[i];
    if (isNode(same) && isNode(item)) lendLook(same, item);
  });
}

function lendPair(from: Pair | undefined, to: Pair): void {
  if (isScalar(from?.key) && isScalar(to.key)) lendLook(from.key, to.key);
  if (isNode(from?.value) && isNode(to.value)) lendLook(from.value, to.value);
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMapNode(value) || isSeq(value);
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}
