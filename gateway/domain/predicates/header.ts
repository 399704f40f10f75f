import { fieldsOf, hasField } from '../http/fields.ts';
import type { Regex } from '../routing/regex.ts';
import type { Predicate } from '../route.ts';

/** Holds when the field is there; with a regex, when it matches the whole of one of the field's values. */
export function header(text: string, { name, regex }: { name: string; regex: Regex | undefined }): Predicate {
  const lowerName = name.toLowerCase();
  return {
    name: 'Header',
    text,
    holds({ rawHeaders }) {
      if (regex === undefined) return hasField(rawHeaders, lowerName);
      return fieldsOf(rawHeaders, lowerName).some(line => valuesOf(line).some(value => regex.matches(value)));
    },
  };
}

const QUOTED_OR_PLAIN = /(?:"(?:[^"\\]|\\.)*"|[^,"]|")+/g;

/** The values of a line: split at commas that stand outside of quotes, trimmed, empty ones dropped, quotes taken off. */
function valuesOf(line: string): string[] {
  return (line.match(QUOTED_OR_PLAIN) ?? [])
    .map(value => value.trim())
    .map(value => (/^"[^"]*"$/.test(value) ? value.slice(1, -1) : value))
    .filter(value => value !== '');
}
