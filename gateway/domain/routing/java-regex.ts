import type { RegexProblem } from './regex.ts';

/**
 * Turns Java's syntax into RE2's where both mean the same, and refuses what RE2 lacks or would read differently.
 *
 * Operators bring patterns that were written for `java.util.regex`. A pattern that silently meant something else would
 * route requests past the rule it was written for.
 */
export function toRe2(pattern: string): { readonly pattern: string } | RegexProblem {
  const reader = { text: pattern, at: 0, out: '' };
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
}

type Read = RegexProblem | undefined;

/** What `.` and `\s` are in Java; RE2 takes fewer line ends and no vertical tab. */
const ANY = '[^\\n\\r\\x{85}\\x{2028}\\x{2029}]';
const SPACE = '\\t\\n\\x0B\\f\\r ';

function readOne(reader: Reader): Read {
  switch (reader.text.charAt(reader.at)) {
    case '\\':
      return readEscape(reader) ?? readQuantifier(reader);
    case '[':
      return readClass(reader) ?? readQuantifier(reader);
    case '(':
      return readGroup(reader);
    case '.':
      return put(reader, 1, ANY) ?? readQuantifier(reader);
    case '{':
      return { problem: 'a literal { is written \\{', piece: reader.text.slice(reader.at) };
    default:
      return put(reader, 1) ?? readQuantifier(reader);
  }
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
  if (/[dDwWSntrfa]|[^A-Za-z0-9]/.test(char)) return put(reader, 2);
  if (char === 's') return put(reader, 2, isInClass ? SPACE : `[${SPACE}]`);
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
  return put(reader, found[0].length, `\\x{${digits}}`);
}

const PROPERTY = /^\\[pP](?:[LMNPSZC]|\{(?:L[ulmto]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cf]?)\})/;

function readProperty(reader: Reader): Read {
  const rest = reader.text.slice(reader.at);
  const found = PROPERTY.exec(rest);
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
  return text.charAt(at) === '\\' ? readEscape(reader, true) : put(reader, 1);
}

function readGroup(reader: Reader): Read {
  const rest = reader.text.slice(reader.at);
  if (!rest.startsWith('(?')) return put(reader, 1);
  if (/^\(\?<?[=!]/.test(rest))
    return lacks(rest.slice(0, rest.startsWith('(?<') ? 4 : 3), 'look-ahead and look-behind');
  if (rest.startsWith('(?>')) return lacks('(?>', 'atomic groups');
  const known = /^\(\?(?:<[A-Za-z][A-Za-z0-9]*>|[ims]*(?:-[ims]+)?:|[ims]+(?:-[ims]+)?\)|-[ims]+\))/.exec(rest);
  if (known === null)
    return { problem: 'this group is not supported', piece: /^\(\?[^)]{0,8}/.exec(rest)?.[0] ?? '(?' };
  return put(reader, known[0].length);
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
