import { fieldsOf } from '../http/fields.ts';
import type { Regex } from '../routing/regex.ts';
import type { Predicate } from '../route.ts';

/** Holds when a cookie of that name has a value that the regex matches whole. */
export function cookie(text: string, { name, regex }: { name: string; regex: Regex }): Predicate {
  return {
    name: 'Cookie',
    text,
    holds: ({ fields }) =>
      fieldsOf(fields, 'cookie').some(line => cookieValues(line, name).some(value => regex.matches(value))),
  };
}

function cookieValues(line: string, name: string): string[] {
  return line.split(';').flatMap(pair => {
    const at = pair.indexOf('=');
    if (at === -1 || pair.slice(0, at).trim() !== name) return [];
    const value = pair.slice(at + 1).trim();
    return [/^".*"$/.test(value) ? value.slice(1, -1) : value];
  });
}
