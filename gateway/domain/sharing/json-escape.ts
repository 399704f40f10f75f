/** A pair of `\u` escapes that may be one character comes as one. */
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[^])/g;

/** Escapes of one letter that are the shortest there is, or what is shorter. */
const SHORT: Readonly<Record<string, string>> = {
  '\\"': '\\"',
  '\\\\': '\\\\',
  '\\/': '/',
  '\\b': '\\b',
  '\\f': '\\f',
  '\\n': '\\n',
  '\\r': '\\r',
  '\\t': '\\t',
};

/**
 * Writes a string of JSON, which stands from `start` to `end`, with each character in one way, and never longer; says
 * where it ends, or undefined for an escape that JSON does not know.
 */
export function writeUnescaped(text: Buffer, start: number, end: number): number | undefined {
  let isSound = true;
  const unescaped = text.toString('latin1', start, end).replace(ESCAPE, escape => {
    const character = escape.length > 2 ? units(escape) : SHORT[escape];
    isSound &&= character !== undefined;
    return character ?? '';
  });
  // Said by the replacement alone, which the compiler does not follow.
  return (isSound as boolean) ? start + text.write(unescaped, start, 'latin1') : undefined;
}

/** What one code unit, or two that may be a pair, stand for. */
function units(escape: string): string {
  const first = parseInt(escape.slice(2, 6), 16);
  if (escape.length === 6) return character(first);
  const second = parseInt(escape.slice(8), 16);
  const isPair = first >= 0xd800 && first <= 0xdbff;
  return isPair
    ? character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    : character(first) + character(second);
}

/** As JSON's shortest writing has it, in UTF-8, one character a byte. Half a pair has none: it stays an escape. */
function character(code: number): string {
  if (code < 0x80) return ascii(code);
  if (code >= 0xd800 && code <= 0xdfff) return `\\u${code.toString(16)}`;
  const rest = (shift: number) => 0x80 | ((code >> shift) & 0x3f);
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6), rest(0));
  if (code < 0x10000) return String.fromCharCode(0xe0 | (code >> 12), rest(6), rest(0));
  return String.fromCharCode(0xf0 | (code >> 18), rest(12), rest(6), rest(0));
}

function ascii(code: number): string {
  if (code >= 0x20 && code !== 0x22 && code !== 0x5c) return String.fromCharCode(code);
  return JSON.stringify(String.fromCharCode(code)).slice(1, -1); // which is just that writing
}
