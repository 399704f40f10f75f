/** Where in a token something stands: the names that lead there. */
export type ClaimPath = readonly string[];

/** A plain name, or one in brackets and quotes, which may hold anything else. */
const STEP = /(?:(?<=^|\.)([^.[\]'":/\s]+)|\['([^']+)'\]|\["([^"]+)"\])(?:\.(?=[^.[])|(?=\[|$))/y;

/**
 * `realm_access.roles`, or `['https://example.org/roles']` for names with dots, colons or slashes in them, or both after
 * one another; undefined for what is neither.
 */
export function parseClaimPath(text: string): ClaimPath | undefined {
  const names: string[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const step = STEP.exec(text);
    if (step === null) return undefined;
    names.push(step[1] ?? step[2] ?? step[3] ?? '');
  }
  return names.length === 0 ? undefined : names;
}

/** A path as it is written. */
export function claimPathText(path: ClaimPath): string {
  return path.map((name, i) => (/[.[\]'":/\s]/.test(name) ? `['${name}']` : `${i === 0 ? '' : '.'}${name}`)).join('');
}

/** What stands there; undefined where the path leads nowhere. */
export function claimAt(claims: unknown, path: ClaimPath): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
