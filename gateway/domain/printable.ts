/** What could break a line, move a cursor or turn the reading direction around. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A stranger's text for one line of a log or a page: control characters escaped, at most `charsMax` characters. */
export function printable(text: string, charsMax: number): string {
  const escaped = text.slice(0, charsMax).replace(UNPRINTABLE, escapeCharacter);
  if (text.length <= charsMax && escaped.length <= charsMax) return escaped;
  return `${escaped.slice(0, charsMax - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
