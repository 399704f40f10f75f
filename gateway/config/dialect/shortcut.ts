/** A predicate or filter as its shortcut says it. */
export interface Shortcut {
  readonly name: string;
  /** Trimmed, empty ones dropped, as Spring does. */
  readonly pieces: readonly string[];
}

/** What is wrong with a shortcut, and by which part of it. */
export interface ShortcutProblem {
  readonly problem: string;
  readonly hint: string | undefined;
  readonly piece: string | undefined;
}

/**
 * Reads `Name=value, value`. The name ends at the first `=`; values are split at commas, but not within balanced
 * brackets: a regular expression may then hold a comma, `\d{1,3}`, which Spring would cut in two.
 */
export function parseShortcut(text: string): Shortcut | ShortcutProblem {
  const at = text.indexOf('=');
  if (at === -1) return { name: text.trim(), pieces: [] };
  const name = text.slice(0, at).trim();
  const pieces = split(text.slice(at + 1));
  if ('unbalanced' in pieces) {
    return {
      problem: 'brackets are not balanced, so that it is unclear which commas separate values',
      hint: `write \`name: ${name}\` and \`args:\` instead`,
      piece: pieces.unbalanced,
    };
  }
  return { name, pieces: pieces.map(piece => piece.trim()).filter(piece => piece !== '') };
}

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']' };

function split(text: string): string[] | { readonly unbalanced: string } {
  const pieces: string[] = [];
  const open: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length;) {
    const { length, isComma, isUnbalanced } = stepAt(text, at, open);
    if (isUnbalanced) return { unbalanced: text.slice(at) };
    if (isComma) {
      pieces.push(text.slice(start, at));
      start = at + 1;
    }
    at += length;
  }
  return open.length === 0 ? [...pieces, text.slice(start)] : { unbalanced: text.trim() };
}

interface StepTaken {
  readonly length: number;
  readonly isComma: boolean;
  readonly isUnbalanced: boolean;
}

/** Takes one character, or one escape; `open` holds the brackets that are still to be closed. */
function stepAt(text: string, at: number, open: string[]): StepTaken {
  const char = text.charAt(at);
  const plain = { length: 1, isComma: false, isUnbalanced: false };
  if (text.startsWith('$\\{', at)) {
    open.push('}'); // Spring's way to write ${ where it would put a property in
    return { ...plain, length: 3 };
  }
  if (char === '\\') return { ...plain, length: 2 };
  if (open.at(-1) === ']') {
    if (char === ']') open.pop(); // within a class of characters other brackets are just that
    return plain;
  }
  const closing = CLOSING[char];
  if (closing !== undefined) open.push(closing);
  else if (')}]'.includes(char) && open.pop() !== char) return { ...plain, isUnbalanced: true };
  return { ...plain, isComma: char === ',' && open.length === 0 };
}
