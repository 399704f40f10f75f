/**
 * A regular expression of an operator's, which meets strangers' input. It answers in time linear in the text.
 *
 * The engine is edges/re2js.ts; the domain sees only this.
 */
export interface Regex {
  /** True when the whole text matches. */
  matches(text: string): boolean;
  /** What the groups of a match of the whole text hold, the whole first; an empty text for a group that took no part. */
  groupsOf(text: string): readonly string[] | undefined;
  /** The text with every match replaced; a number stands for what that group holds. */
  replaceAll(text: string, replacement: readonly (string | number)[]): string;
  readonly groupCount: number;
  readonly groupNames: ReadonlyMap<string, number>;
}

/** Compiles what operators write in Java's syntax, or says why it cannot be. */
export type CompileRegex = (pattern: string) => Regex | RegexProblem;

/** Why a pattern cannot be used, and by which part of it. */
export interface RegexProblem {
  readonly problem: string;
  /** The part at fault; empty where it is the whole. */
  readonly piece: string;
}

/** True for what could not be compiled. */
export function isProblem(compiled: object): compiled is RegexProblem {
  return 'problem' in compiled;
}

/** A replacement as Java writes it (`$1`, `${name}`, `\$`), in pieces; or what is wrong with it. */
export function parseReplacement(text: string, regex: Regex): (string | number)[] | { readonly problem: string } {
  const pieces: (string | number)[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const step = stepAt(text, at, regex);
    if ('problem' in step) return step;
    if (typeof step.piece === 'string') literal += step.piece;
    else {
      if (literal !== '') pieces.push(literal);
      pieces.push(step.piece);
      literal = '';
    }
    at = step.next;
  }
  if (literal !== '') pieces.push(literal);
  return pieces;
}

type Step = { readonly piece: string | number; readonly next: number } | { readonly problem: string };

function stepAt(text: string, at: number, regex: Regex): Step {
  const char = text.charAt(at);
  if (char === '\\') {
    return at + 1 < text.length
      ? { piece: text.charAt(at + 1), next: at + 2 }
      : { problem: 'ends in a backslash that escapes nothing' };
  }
  return char === '$' ? groupAt(text, at, regex) : { piece: char, next: at + 1 };
}

function groupAt(text: string, at: number, regex: Regex): Step {
  const named = /^\$\{([A-Za-z][A-Za-z0-9]*)\}/.exec(text.slice(at));
  if (named?.[1] !== undefined) {
    const index = regex.groupNames.get(named[1]);
    return index === undefined
      ? { problem: `the pattern has no group called ${named[1]}` }
      : { piece: index, next: at + named[0].length };
  }
  const digits = /^\$(\d+)/.exec(text.slice(at))?.[1];
  if (digits === undefined)
    return { problem: '`$` stands before a group’s number or {name}; as a character it is `\\$`' };
  return numberedAt(digits, at, regex);
}

/** As in Java: the first digit is the group's, and further digits as long as there is such a group. */
function numberedAt(digits: string, at: number, { groupCount }: Regex): Step {
  let length = 1;
  if (Number(digits.slice(0, 1)) > groupCount) return { problem: `the pattern has no group ${digits.slice(0, 1)}` };
  while (length < digits.length && Number(digits.slice(0, length + 1)) <= groupCount) length += 1;
  return { piece: Number(digits.slice(0, length)), next: at + 1 + length };
}
