const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const [QUOTE, COMMA, BACKSLASH, SPACE] = [0x22, 0x2c, 0x5c, 0x20];

/**
 * How many rows a body counts as: the elements of a JSON array; of an object the longest of its lists, since R takes those
 * for columns; one for anything else.
 *
 * Nothing is parsed: a body that is no JSON has some number of rows as well, in one pass over its bytes.
 */
export function rowsIn(content: Buffer): number {
  const top = content.find((byte, at) => byte > SPACE && !(at < 3 && isMark(content)));
  if (top !== OPEN_ARRAY && top !== OPEN_OBJECT) return 1;
  return Math.max(1, longestList(content, top === OPEN_ARRAY ? 1 : 2));
}

/** A byte order mark, which R passes over. */
function isMark(content: Buffer): boolean {
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf;
}

/** The most elements of a list that stands at this depth. */
function longestList(content: Buffer, wanted: number): number {
  let [depth, elements, longest] = [0, 0, 0];
  let isList = false;
  for (let at = 0; at < content.length; at++) {
    const byte = content[at] ?? SPACE;
    if (byte <= SPACE) continue;
    if (isEnd(byte)) depth -= 1;
    else if (depth === wanted && isList) elements += beginAt(elements, byte);
    longest = Math.max(longest, elements);
    if (byte === QUOTE) at = endOfText(content, at);
    if (isBeginning(byte) && ++depth === wanted) [isList, elements] = [byte === OPEN_ARRAY, 0];
  }
  return longest;
}

/** An element begins with the first byte of a list, or a comma: how many begin here. */
function beginAt(elements: number, byte: number): number {
  return elements === 0 || byte === COMMA ? 1 : 0;
}

function isBeginning(byte: number): boolean {
  return byte === OPEN_ARRAY || byte === OPEN_OBJECT;
}

function isEnd(byte: number): boolean {
  return byte === CLOSE_ARRAY || byte === CLOSE_OBJECT;
}

/** Where the text ends that begins here; the end where it does not. */
function endOfText(content: Buffer, from: number): number {
  let at = from + 1;
  while (at < content.length && content[at] !== QUOTE) at += content[at] === BACKSLASH ? 2 : 1;
  return at;
}
