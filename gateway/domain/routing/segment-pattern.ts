import { encodeSegment } from '../http/request-target.ts';
import { isProblem, type CompileRegex, type Regex, type RegexProblem } from './regex.ts';

/** Captured names and values, in turn: name, value, name, value, … */
export type Captures = readonly string[];

/** Nothing captured: shared, so that plain patterns allocate nothing. */
export const NO_CAPTURES: Captures = [];

/** One part of a path between slashes, or of a host name between dots. */
export interface SegmentPattern {
  /** The text itself, where the pattern is nothing but text. */
  readonly literal: string | undefined;
  readonly names: readonly string[];
  /** What it captures of a part: `raw` as it came, `text` with its percent-encoding undone. Undefined: it does not match. */
  match(text: string, raw: string): Captures | undefined;
}

type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'one' | 'any' }
  | { readonly kind: 'capture'; readonly name: string; readonly regex: string | undefined };

/** Reads `text`, `*`, `?`, `{name}`, `{name:regex}` and mixtures. An engine is needed only where a regex is written. */
export function parseSegment(segment: string, compileRegex: CompileRegex): SegmentPattern | RegexProblem {
  if (!/[*?{}]/.test(segment)) return literal(segment); // as most are
  const tokens = tokensOf(segment);
  if ('problem' in tokens) return tokens;
  const [first, second] = tokens;
  if (first === undefined) return literal('');
  const simple = second === undefined ? ofOne(first) : undefined;
  if (simple !== undefined) return simple;
  const hasRegex = tokens.some(token => token.kind === 'capture' && token.regex !== undefined);
  return hasRegex ? ofRegex(tokens, segment, compileRegex) : glob(tokens, namesOf(tokens));
}

/** The patterns that most are, without a table. */
function ofOne(token: Token): SegmentPattern | undefined {
  if (token.kind === 'text') return literal(token.text);
  if (token.kind === 'any') return { literal: undefined, names: [], match: () => NO_CAPTURES };
  return token.kind === 'capture' && token.regex === undefined ? whole(token.name) : undefined;
}

function ofRegex(tokens: readonly Token[], segment: string, compileRegex: CompileRegex): SegmentPattern | RegexProblem {
  const names = namesOf(tokens);
  const regex = compileRegex(regexOf(tokens));
  if (isProblem(regex)) return regex;
  if (regex.groupCount === names.length) return byRegex(regex, names);
  return { problem: 'a group within {name:regex} must be written (?:…)', piece: segment };
}

function namesOf(tokens: readonly Token[]): string[] {
  return tokens.flatMap(token => (token.kind === 'capture' ? [token.name] : []));
}

const NO_NAMES: readonly string[] = [];

function literal(text: string): SegmentPattern {
  return { literal: text, names: NO_NAMES, match: candidate => (candidate === text ? NO_CAPTURES : undefined) };
}

function whole(name: string): SegmentPattern {
  return { literal: undefined, names: [name], match: (text, raw) => (text === '' ? undefined : [name, raw]) };
}

function glob(tokens: readonly Token[], names: readonly string[]): SegmentPattern {
  return {
    literal: undefined,
    names,
    match(text, raw) {
      const values = text === '' ? undefined : globMatch(tokens, text);
      return values && capture(names, values, text === raw);
    },
  };
}

function byRegex(regex: Regex, names: readonly string[]): SegmentPattern {
  return {
    literal: undefined,
    names,
    match(text, raw) {
      const groups = text === '' ? undefined : regex.groupsOf(text);
      return groups && capture(names, groups.slice(1), text === raw);
    },
  };
}

/** Variables are kept encoded, so that nothing they are put into can be broken out of. */
function capture(names: readonly string[], values: readonly string[], isPlain: boolean): Captures {
  return names.flatMap((name, i) => [name, isPlain ? (values[i] ?? '') : encodeSegment(values[i] ?? '')]);
}

function tokensOf(segment: string): Token[] | RegexProblem {
  const tokens: Token[] = [];
  let at = 0;
  while (at < segment.length) {
    const found = tokenAt(segment, at);
    if ('problem' in found) return found;
    const last = tokens.at(-1);
    if (found.token.kind === 'text' && last?.kind === 'text') {
      tokens[tokens.length - 1] = { kind: 'text', text: last.text + found.token.text };
    } else tokens.push(found.token);
    at = found.next;
  }
  return tokens;
}

function tokenAt(segment: string, at: number): { token: Token; next: number } | RegexProblem {
  const char = segment.charAt(at);
  if (char === '*') return { token: { kind: 'any' }, next: at + 1 };
  if (char === '?') return { token: { kind: 'one' }, next: at + 1 };
  if (char === '}') return { problem: '} closes nothing', piece: '}' };
  if (char !== '{') return { token: { kind: 'text', text: char }, next: at + 1 };
  const end = closingBrace(segment, at);
  if (end === -1) return { problem: '{ is not closed', piece: segment.slice(at) };
  const inner = segment.slice(at + 1, end);
  const colon = inner.indexOf(':');
  const name = colon === -1 ? inner : inner.slice(0, colon);
  if (!/^[A-Za-z_$][\w$-]*$/.test(name)) return { problem: `{${name}} is no name`, piece: `{${inner}}` };
  return { token: { kind: 'capture', name, regex: colon === -1 ? undefined : inner.slice(colon + 1) }, next: end + 1 };
}

/** Where the brace that opens at `at` closes; -1 when it does not. Escaped braces do not count. */
export function closingBrace(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === '\\') i += 1;
    else if (char === '{') depth += 1;
    else if (char === '}' && --depth === 0) return i;
  }
  return -1;
}

function regexOf(tokens: readonly Token[]): string {
  return tokens
    .map(token => {
      if (token.kind === 'text') return token.text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&');
      if (token.kind === 'capture') return `(${token.regex ?? '.*'})`;
      return token.kind === 'any' ? '.*' : '.';
    })
    .join('');
}

/**
 * What the captures of a mixture hold, each as long as it can be; undefined when it does not match.
 *
 * A table of what can still match from where keeps it to tokens × characters, however many stars there are.
 */
function globMatch(tokens: readonly Token[], text: string): string[] | undefined {
  const width = text.length + 1;
  const reach = reachable(tokens, text, width);
  if (reach[0] !== 1) return undefined;
  const values: string[] = [];
  let at = 0;
  tokens.forEach((token, i) => {
    let end = at + (token.kind === 'text' ? token.text.length : 1);
    if (isOpen(token)) for (end = text.length; reach[(i + 1) * width + end] !== 1;) end -= 1;
    if (token.kind === 'capture') values.push(text.slice(at, end));
    at = end;
  });
  return values;
}

function reachable(tokens: readonly Token[], text: string, width: number): Uint8Array {
  const reach = new Uint8Array((tokens.length + 1) * width);
  reach[tokens.length * width + text.length] = 1;
  for (let i = tokens.length - 1; i >= 0; i--) {
    for (let at = text.length; at >= 0; at--) {
      if (canPass(tokens[i], { text, at, from: i * width, reach, width })) reach[i * width + at] = 1;
    }
  }
  return reach;
}

interface Cell {
  readonly text: string;
  readonly at: number;
  readonly from: number;
  readonly reach: Uint8Array;
  readonly width: number;
}

function canPass(token: Token | undefined, { text, at, from, reach, width }: Cell): boolean {
  if (token === undefined) return false;
  const next = from + width;
  if (isOpen(token)) return reach[next + at] === 1 || (at < text.length && reach[from + at + 1] === 1);
  if (token.kind === 'text') return text.startsWith(token.text, at) && reach[next + at + token.text.length] === 1;
  return at < text.length && reach[next + at + 1] === 1;
}

function isOpen(token: Token): boolean {
  return token.kind === 'any' || token.kind === 'capture';
}
