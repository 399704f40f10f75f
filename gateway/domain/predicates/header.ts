import { fieldsOf, hasField } from '../http/fields.ts';
import type { Regex } from '../routing/regex.ts';
import type { Predicate } from '../route.ts';

/** Holds when the field is there; with a regex, when it matches the whole of one of the field's values. */
export function header(text: string, { name, regex }: { name: string; regex: Regex | undefined }): Predicate {
  const lowerName = name.toLowerCase();
  return {
    name: 'Header',
    text,
    holds({ fields }) {
      if (regex === undefined) return hasField(fields, lowerName);
      return fieldsOf(fields, lowerName).some(line => valuesOf(line).some(value => regex.matches(value)));
    },
  };
}

/** The values of a line: split at commas that stand outside of quotes, trimmed, empty ones dropped, quotes taken off. */
function valuesOf(line: string): string[] {
  return pieces(line)
    .map(value => value.trim())
    .map(value => (/^"[^"]*"$/.test(value) ? value.slice(1, -1) : value))
    .filter(value => value !== '');
}

/** In one pass, whatever a caller sends: where a quote is not closed, no later one is either, and all are plain. */
function pieces(line: string): string[] {
  const found: string[] = [];
  let [start, mayQuote] = [0, true];
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '"' && mayQuote) {
      const end = endOfQuoted(line, at);
      if (end === -1) mayQuote = false;
      else at = end;
    } else if (char === ',') {
      found.push(line.slice(start, at));
      start = at + 1;
    }
  }
  return [...found, line.slice(start)];
}

/** Where the quote that opens at `from` closes; -1 when it does not. An escaped quote closes nothing. */
function endOfQuoted(line: string, from: number): number {
  for (let at = from + 1; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '\\') at += 1;
    else if (char === '"') return at;
  }
  return -1;
}
