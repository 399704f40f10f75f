import type { RegexProblem } from './regex.ts';

/**
 * Turns Java's syntax into RE2's where both mean the same, and refuses what RE2 lacks or would read differently.
 *
 * Operators bring patterns that were written for `java.util.regex`. A pattern that silently meant something else would
 * route requests past the rule it was written for.
 */
export function toRe2(pattern: string): { readonly pattern: string } | RegexProblem {
  const reader = { text: pattern, at: 0, out: '', flags: NO_FLAGS, outer: [] };
  while (reader.at < reader.text.length) {
    const problem = readOne(reader);
    if (problem !== undefined) return problem;
  }
  return { pattern: reader.out };
}

/** Where reading stands, and what was written so far. */
interface Reader {
  readonly text: string;
  at: number;
  out: string;
  /** In force here; RE2 is given none of them, since it reads `i` otherwise and has its own line ends. */
  flags: Flags;
  /** Those of the groups around, the innermost last: a group keeps its flags to itself. */
  readonly outer: Flags[];
}

interface Flags {
  /** `i`: letters of ASCII in either case, and no others; RE2 folds by Unicode, where `k` is also the sign of Kelvin. */
  readonly ignoresCase: boolean;
  /** `s`: `.` takes line ends too. */
  readonly takesLineEnds: boolean;
}

const NO_FLAGS: Flags = { ignoresCase: false, takesLineEnds: false };

type Read = RegexProblem | undefined;

/** What `.`, `\s` and `\S` are in Java; RE2 takes fewer line ends and no vertical tab. */
const ANY = '[^\\n\\r\\x{85}\\x{2028}\\x{2029}]';
const SPACES: Readonly<Record<string, string>> = {
  s: '\\t\\n\\x0B\\f\\r ',
  S: '\\x00-\\x08\\x0E-\\x1F!-\\x{10FFFF}',
};

function readOne(reader: Reader): Read {
  const start = reader.out.length;
  const problem = readAtom(reader);
  if (problem !== undefined) return problem;
  const code = reader.flags.ignoresCase ? codeOf(reader.out.slice(start)) : undefined;
  const other = code === undefined ? '' : inOtherCase(code, code);
  if (other !== '') reader.out = `${reader.out.slice(0, start)}[${reader.out.slice(start)}${other}]`;
  return readQuantifier(reader);
}

function readAtom(reader: Reader): Read {
  switch (reader.text.charAt(reader.at)) {
    case '\\':
      return readEscape(reader);
    case '[':
      return readClass(reader);
    case '(':
      return readGroup(reader);
    case ')':
      reader.flags = reader.outer.pop() ?? NO_FLAGS;
      return put(reader, 1);
    case '.':
      return put(reader, 1, reader.flags.takesLineEnds ? '(?s:.)' : ANY);
    case '{':
      return { problem: 'a literal { is written \\{', piece: reader.text.slice(reader.at) };
    default:
      return put(reader, 1);
  }
}

/** The character that a piece of RE2's syntax stands for; undefined where it stands for several. */
function codeOf(piece: string): number | undefined {
  const [, hex, escaped] = /^\\(?:x\{([0-9A-Fa-f]+)\}|([^A-Za-z0-9]))$/.exec(piece) ?? [];
  if (hex !== undefined) return Number.parseInt(hex, 16);
  const char = escaped ?? piece;
  return char.length === 1 ? char.charCodeAt(0) : undefined; // beyond 16 bits no letter of ASCII is
}

/** The letters of ASCII from the first to the last character, in their other case, as a class has them. */
function inOtherCase(first: number, last: number): string {
  return [
    [0x41, 0x5a, 0x20],
    [0x61, 0x7a, -0x20],
  ]
    .map(([from = 0, to = 0, shift = 0]) => {
      const [low, high] = [Math.max(first, from), Math.min(last, to)];
      if (low > high) return '';
      const [a, b] = [String.fromCharCode(low + shift), String.fromCharCode(high + shift)];
      return a === b ? a : `${a}-${b}`;
    })
    .join('');
}

/** Copies, or replaces, so many characters; never a problem. */
function put(reader: Reader, length: number, as?: string): Read {
  reader.out += as ?? reader.text.slice(reader.at, reader.at + length);
  reader.at += length;
  return undefined;
}

function lacks(piece: string, what: string): RegexProblem {
  return { problem: `${what} are not supported: patterns run in linear time`, piece };
}

/** Reads an escape, by the letter after the backslash; outside of a class unless said otherwise. */
function readEscape(reader: Reader, isInClass = false): Read {
  const char = reader.text.charAt(reader.at + 1);
  if (char === '') return { problem: 'ends in a backslash that escapes nothing', piece: '\\' };
  // Classes and control characters that are the same in both, and punctuation that stands for itself.
  if (/[dDwWntrfa]|[^A-Za-z0-9]/.test(char)) return put(reader, 2);
  if ('sS'.includes(char)) return put(reader, 2, isInClass ? SPACES[char] : `[${SPACES[char] ?? ''}]`);
  if ('xu'.includes(char)) return readCodePoint(reader);
  if ('pP'.includes(char)) return readProperty(reader);
  return isInClass ? unsupported(reader, char) : readOutsideOnly(reader, char);
}

function readOutsideOnly(reader: Reader, char: string): Read {
  if ('bBAz'.includes(char)) return put(reader, 2);
  return char === 'Q' ? readQuoted(reader) : unsupported(reader, char);
}

function unsupported({ text, at }: Reader, char: string): RegexProblem {
  const piece = text.slice(at, at + 2);
  return /[1-9k]/.test(char) ? lacks(piece, 'back-references') : { problem: `\\${char} is not supported`, piece };
}

function readCodePoint(reader: Reader): Read {
  const found = /^\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4}))/.exec(reader.text.slice(reader.at));
  if (found === null) return { problem: 'is no character', piece: reader.text.slice(reader.at, reader.at + 2) };
  const digits = found[1] ?? found[2] ?? found[3] ?? '';
  const code = Number.parseInt(digits, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return { problem: 'is no character', piece: found[0] };
  return put(reader, found[0].length, `\\x{${digits}}`);
}

const PROPERTY = /^\\[pP](?:[LMNPSZC]|\{(?:L[ulmto]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cf]?)\})/;

function readProperty(reader: Reader): Read {
  const rest = reader.text.slice(reader.at);
  const found = PROPERTY.exec(rest);
  if (found !== null && reader.flags.ignoresCase && /L[ult]/.test(found[0])) {
    return { problem: `${found[0]} beside (?i) is not supported; write \\p{L}`, piece: found[0] };
  }
  if (found !== null) return put(reader, found[0].length);
  const piece = /^\\[pP](?:\{[^}]*\}?|.?)/.exec(rest)?.[0] ?? '\\p';
  return { problem: 'of \\p only general categories such as \\p{L} and \\p{Nd} are supported', piece };
}

function readQuoted(reader: Reader): Read {
  const end = reader.text.indexOf('\\E', reader.at);
  const stop = end === -1 ? reader.text.length : end;
  const quoted = reader.text.slice(reader.at + 2, stop);
  return put(reader, stop - reader.at + (end === -1 ? 0 : 2), quoted.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&'));
}

const INTERSECTION = { problem: '&& in a class is not supported', piece: '&&' };
const UNION = { problem: 'a class within a class is not supported; a literal [ is written \\[' };

function readClass(reader: Reader): Read {
  const start = reader.at;
  put(reader, reader.text.startsWith('[^', start) ? 2 : 1);
  if (reader.text.charAt(reader.at) === ']') put(reader, 1, '\\]');
  while (reader.at < reader.text.length) {
    if (reader.text.charAt(reader.at) === ']') return put(reader, 1);
    const problem = readMember(reader);
    if (problem !== undefined) return problem;
  }
  return { problem: 'the class is not closed', piece: reader.text.slice(start) };
}

function readMember(reader: Reader): Read {
  const { text, at } = reader;
  if (text.startsWith('&&', at)) return INTERSECTION;
  if (text.charAt(at) === '[') return { ...UNION, piece: text.slice(at) };
  const start = reader.out.length;
  const problem = readUnit(reader);
  if (problem !== undefined || !reader.flags.ignoresCase) return problem;
  const first = codeOf(reader.out.slice(start));
  if (first === undefined || !/^-[^\]&[]/.test(text.slice(reader.at))) {
    reader.out += first === undefined ? '' : inOtherCase(first, first);
    return undefined;
  }
  put(reader, 1);
  const end = reader.out.length;
  const flaw = readUnit(reader);
  const last = codeOf(reader.out.slice(end));
  if (flaw === undefined && last !== undefined) reader.out += inOtherCase(first, last);
  return flaw;
}

function readUnit(reader: Reader): Read {
  return reader.text.charAt(reader.at) === '\\' ? readEscape(reader, true) : put(reader, 1);
}

function readGroup(reader: Reader): Read {
  const rest = reader.text.slice(reader.at, reader.at + GROUP_LENGTH_MAX);
  const look = /^\(\?<?[=!]/.exec(rest)?.[0];
  if (look !== undefined) return lacks(look, 'look-ahead and look-behind');
  if (rest.startsWith('(?>')) return lacks('(?>', 'atomic groups');
  const flags = /^\(\?[A-Za-z]*(?:-[A-Za-z]+)?[:)]/.exec(rest)?.[0];
  if (flags !== undefined) return readFlags(reader, flags);
  const opening = /^\((?!\?)|^\(\?<[A-Za-z][A-Za-z0-9]*>/.exec(rest)?.[0];
  if (opening === undefined) return { problem: 'this group is not supported', piece: firstOf(rest) };
  reader.outer.push(reader.flags);
  return put(reader, opening.length);
}

/** Of what opens a group, its name included, so much is looked at. */
const GROUP_LENGTH_MAX = 256;

/** The beginning of a group, to find it by. */
function firstOf(group: string): string {
  return /^[^)]{0,10}/.exec(group)?.[0] ?? '(';
}

/** `(?i)` holds to the end of the group around it, `(?i:…)` within its own. */
function readFlags(reader: Reader, whole: string): Read {
  const [on = '', off = ''] = whole.slice(2, -1).split('-');
  const unknown = /[^is]/.exec(on + off)?.[0];
  if (unknown !== undefined) return { problem: `the flag ${unknown} is not supported`, piece: whole.slice(0, -1) };
  const isGroup = whole.endsWith(':');
  if (isGroup) reader.outer.push(reader.flags);
  const has = (letter: string, before: boolean) => (on.includes(letter) || before) && !off.includes(letter);
  const { ignoresCase, takesLineEnds } = reader.flags;
  reader.flags = { ignoresCase: has('i', ignoresCase), takesLineEnds: has('s', takesLineEnds) };
  return put(reader, whole.length, isGroup ? '(?:' : '(?:)');
}

/** RE2 repeats a thousand times at most; what is over that its own compiler says. */
function readQuantifier(reader: Reader): Read {
  const found = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(reader.text.slice(reader.at));
  if (found === null) return undefined;
  put(reader, found[0].length);
  const next = reader.text.charAt(reader.at);
  if (next === '+') return lacks(`${found[0]}+`, 'possessive quantifiers');
  return next === '?' ? put(reader, 1) : undefined;
}
