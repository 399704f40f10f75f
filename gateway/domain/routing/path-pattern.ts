import { isProblem, type CompileRegex, type RegexProblem } from './regex.ts';
import { closingBrace, NO_CAPTURES, parseSegment, type Captures, type SegmentPattern } from './segment-pattern.ts';

/** A pattern of paths, with the syntax and meaning of Spring's PathPattern. */
export interface PathPattern {
  readonly text: string;
  /** The parts that must be there, one each. */
  readonly segments: readonly SegmentPattern[];
  /** Where any number of further parts may stand: `/**` or `/{*name}`. */
  readonly rest: 'none' | 'first' | 'last';
  readonly names: readonly string[];
  /** What it captures of a path; undefined when it does not match. */
  match(path: string): Captures | undefined;
}

interface Parts {
  readonly segments: readonly SegmentPattern[];
  readonly rest: 'none' | 'first' | 'last';
  readonly restName: string | undefined;
}

type PathStructure = Parts & Pick<PathPattern, 'names'>;

/** Reads `{name}`, `{name:regex}`, `*`, `?`, and `**` or `{*name}` at either end. */
export function parsePathPattern(text: string, compileRegex: CompileRegex): PathPattern | RegexProblem {
  const structure = structureOf(text, compileRegex);
  if (isProblem(structure)) return structure;
  const { segments, rest, names } = structure;
  return { text, segments, rest, names, match: matcherOf(structure) };
}

function structureOf(text: string, compileRegex: CompileRegex): PathStructure | RegexProblem {
  const written = split(text.startsWith('/') ? text.slice(1) : text);
  const rest = restOf(written);
  if ('problem' in rest) return rest;
  const segments: SegmentPattern[] = [];
  for (const part of rest.parts) {
    const segment = parseSegment(decodeLiteral(part), compileRegex);
    if (isProblem(segment)) return segment;
    segments.push(segment);
  }
  const names = [...segments.flatMap(segment => segment.names), ...(rest.name === undefined ? [] : [rest.name])];
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) return { problem: `captures ${twice} twice`, piece: `{${twice}` };
  return { segments, rest: rest.where, restName: rest.name, names };
}

/** Splits at slashes, but not within braces. */
function split(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '{') at = Math.max(at, closingBrace(text, at));
    if (char !== '/') continue;
    parts.push(text.slice(start, at));
    start = at + 1;
  }
  return [...parts, text.slice(start)];
}

interface Rest {
  readonly parts: readonly string[];
  readonly where: 'none' | 'first' | 'last';
  readonly name: string | undefined;
}

function restOf(written: readonly string[]): Rest | RegexProblem {
  const open = written.flatMap((part, at) => (isRest(part) ? [at] : []));
  const [at] = open;
  if (at === undefined) return { parts: written, where: 'none', name: undefined };
  const piece = written[at] ?? '';
  const isLast = at === written.length - 1;
  if (open.length > 1 || !(isLast || at === 0)) {
    return { problem: `${piece} may only stand once, at the end or the start`, piece };
  }
  const name = /^\{\*([A-Za-z_$][\w$-]*)\}$/.exec(piece)?.[1];
  if (piece !== '**' && name === undefined) return { problem: `${piece} is no name`, piece };
  return { parts: written.filter((_, i) => i !== at), where: isLast ? 'last' : 'first', name };
}

function isRest(part: string): boolean {
  return part === '**' || part.startsWith('{*');
}

/** A pattern may be written encoded; it is compared decoded. */
function decodeLiteral(part: string): string {
  return /[{}*?]/.test(part) ? part : decode(part);
}

function matcherOf(parts: Parts): PathPattern['match'] {
  const literals = parts.segments.map(segment => segment.literal);
  const bySegments = (path: string) => matchSegments(parts, segmentsOf(path));
  if (parts.rest === 'first' || parts.restName !== undefined || literals.includes(undefined)) return bySegments;
  const plain = literals.map(literal => `/${literal ?? ''}`).join('');
  const isLiteral = parts.rest === 'none' ? (path: string) => path === plain : (path: string) => isBeneath(path, plain);
  // Most patterns are text, and most paths need no decoding: two comparisons of text then say it all.
  return path => (path.includes('%') ? bySegments(path) : isLiteral(path) ? NO_CAPTURES : undefined);
}

function isBeneath(path: string, parent: string): boolean {
  return path.startsWith(parent) && (path.length === parent.length || path.charAt(parent.length) === '/');
}

function matchSegments({ segments, rest, restName }: Parts, path: PathSegments): Captures | undefined {
  const surplus = path.raw.length - segments.length;
  if (rest === 'none' ? surplus !== 0 : surplus < 0) return undefined;
  const from = rest === 'first' ? surplus : 0;
  // A `*` may stand for nothing only where nothing follows: `/a/*` takes `/a/`, `/*/b` does not take `//b`.
  const mayBeEmptyAt = rest === 'last' ? -1 : path.raw.length - 1;
  const captures: string[] = [];
  for (let i = 0; i < segments.length; i++) {
    const found = matchOne(segments[i], path, { at: from + i, mayBeEmptyAt });
    if (found === undefined) return undefined;
    captures.push(...found);
  }
  if (restName !== undefined)
    captures.push(restName, restText(path.raw, rest === 'first' ? [0, from] : [segments.length]));
  return captures;
}

function matchOne(
  segment: SegmentPattern | undefined,
  path: PathSegments,
  { at, mayBeEmptyAt }: { at: number; mayBeEmptyAt: number },
): Captures | undefined {
  const [text = '', raw = ''] = [path.text[at], path.raw[at]];
  const mayBeEmpty = at === mayBeEmptyAt || segment?.literal !== undefined;
  return text === '' && !mayBeEmpty ? undefined : segment?.match(text, raw);
}

/** As in Spring, with its leading slash; empty where there is nothing. */
function restText(raw: readonly string[], range: readonly [number, number?]): string {
  const parts = raw.slice(...range);
  return parts.length === 0 ? '' : `/${parts.join('/')}`;
}

/** A path's parts between slashes. An empty part is a part: `/a//b` has three, `/a/` has two. */
export interface PathSegments {
  /** As they stand in the path. */
  readonly raw: readonly string[];
  /** With their percent-encoding undone, once: what is compared with patterns. */
  readonly text: readonly string[];
}

/**
 * Splits a path. Parts are compared decoded: a pattern is written as text.
 */
export function segmentsOf(path: string): PathSegments {
  const raw = path.startsWith('/') ? path.slice(1).split('/') : path.split('/');
  return { raw, text: path.includes('%') ? raw.map(decode) : raw };
}

/** A part with its percent-encoding undone; as it is where that yields no text. */
export function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // not UTF-8, or not encoding at all: it equals nothing but itself
  }
}
