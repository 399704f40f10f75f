import type { Regex } from '../routing/regex.ts';
import type { Predicate } from '../route.ts';

/** Holds when the parameter is there; with a regex, when it matches the whole of one of its values. */
export function query(text: string, { param, regex }: { param: string; regex: Regex | undefined }): Predicate {
  return {
    name: 'Query',
    text,
    holds(asked) {
      if (asked.query === '') return false;
      const values = valuesOf(asked.query, param);
      if (regex === undefined) return values.length > 0;
      return values.some(value => value !== undefined && regex.matches(value));
    },
  };
}

/** The values of a parameter, decoded as a form's; undefined for one without `=`. */
function valuesOf(rawQuery: string, param: string): (string | undefined)[] {
  return rawQuery.split('&').flatMap(pair => {
    const at = pair.indexOf('=');
    const name = at === -1 ? pair : pair.slice(0, at);
    if (name === '' || decodeForm(name) !== param) return [];
    return [at === -1 ? undefined : decodeForm(pair.slice(at + 1))];
  });
}

function decodeForm(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return text; // broken encoding: taken as it stands
  }
}
