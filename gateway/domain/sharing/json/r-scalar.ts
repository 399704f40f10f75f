import { NO_NUMBER, WHOLE, type JsonCursor } from './json-cursor.ts';

/**
 * What a JSON scalar is to R once jsonlite has read it, in the order in which R turns one into the other when they share
 * a column: a column is of the greatest kind in it, and every value is turned by itself.
 */
export const LOGICAL = 0;
export const INTEGER = 1;
export const DOUBLE = 2;
export const TEXT = 3;

/** The text is not JSON, or no scalar stands here, or it is not certain what R makes of it. */
export const UNCLEAR = -1;

const QUOTE = 0x22;

/** R's largest integer; what is larger becomes a double. */
const INTEGER_MAX = 2_147_483_647;
const INTEGER_DIGITS = 10;

/** Four characters, each written as an escape of six. */
const SPECIAL_LENGTH_MAX = 4 * 6;

/** Past blanks and a scalar: what it is to R. */
export function readScalar(cursor: JsonCursor): number {
  const code = cursor.next();
  if (code === QUOTE) return readText(cursor);
  if (code === 0x74 || code === 0x66 || code === 0x6e) return cursor.word() ? LOGICAL : UNCLEAR;
  const found = cursor.number();
  if (found === NO_NUMBER) return UNCLEAR;
  return found === WHOLE && isInteger(cursor) ? INTEGER : DOUBLE;
}

/** Whether the scalar just read is one of the strings that jsonlite reads as numbers where no other text is beside them. */
export function isSpecial({ text, from }: JsonCursor, kind: number): boolean {
  return kind !== TEXT && text.charCodeAt(from) === QUOTE;
}

function readText(cursor: JsonCursor): number {
  if (!cursor.string()) return UNCLEAR;
  const { text, from, at, hasEscape } = cursor;
  if (hasEscape && !isReadAlike(text.slice(from, at))) return UNCLEAR;
  return at - from > SPECIAL_LENGTH_MAX + 2 ? TEXT : specialKindOf(text.slice(from, at), hasEscape);
}

/** An escape, as far as it is one. */
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}|[^])/g;
/** Those that R reads as others do: not so NUL, and halves of pairs. */
const READ_ALIKE = /^\\(?:["\\/bfnrt]|u(?!0000|[dD][89a-fA-F]).{4})$/;

function isReadAlike(quoted: string): boolean {
  for (const [escape] of quoted.matchAll(ESCAPE)) if (!READ_ALIKE.test(escape)) return false;
  return true;
}

/** Whether whole digits are an integer to R. */
function isInteger({ text, from, at }: JsonCursor): boolean {
  return (
    at - from < INTEGER_DIGITS ||
    (at - from <= INTEGER_DIGITS + 1 && Math.abs(Number(text.slice(from, at))) <= INTEGER_MAX)
  );
}

/** jsonlite reads these as missing or as numbers, unless the column holds other text too. */
function specialKindOf(quoted: string, hasEscape: boolean): number {
  const plain = hasEscape ? JSON.stringify(JSON.parse(quoted)) : quoted;
  if (plain === '"NA"') return LOGICAL;
  return plain === '"NaN"' || plain === '"Inf"' || plain === '"-Inf"' ? DOUBLE : TEXT;
}
