/** A request target taken apart; `authority` is there when the target named one itself (absolute form). */
export interface RequestTarget {
  readonly path: string;
  readonly query: string;
  /** There is a question mark, though nothing may stand behind it. */
  readonly hasQuery: boolean;
  readonly authority: string | undefined;
}

/** Neither escapes, nor a segment that is empty or begins with a dot, nor anything a path may not hold: most paths. */
const PLAIN_PATH = /^(?:\/(?![./])[!$&'()*+,\-.:;=@\w~]*)+$/;

const UNFIT_IN_PATH = /[\x00-\x20\x7f#\\]/;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const ESCAPED_CONTROL = /%(?:[01][0-9A-Fa-f]|7[Ff])/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/**
 * Takes a request target apart, or says, in words for the caller, why it is refused.
 *
 * A path with dot segments, however they are spelled, or with empty ones is refused rather than resolved: whoever
 * resolves them later, `StripPrefix`, R or a proxy before it, might end on another route's path than the one matched.
 */
export function parseRequestTarget(target: string): RequestTarget | string {
  if (target.startsWith('/')) return parseOriginForm(target, undefined);
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) return 'The request target is not a path.';
  const [, authority = '', rest = ''] = absolute;
  return parseOriginForm(rest.startsWith('/') ? rest : `/${rest}`, authority);
}

/** True for a path that, resolved by its reader, would be another one: what filters make of a good path need not be one. */
export function leadsElsewhere(path: string): boolean {
  return !PLAIN_PATH.test(path) && hasDotSegment(path);
}

function parseOriginForm(target: string, authority: string | undefined): RequestTarget | string {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark + 1);
  const problem = PLAIN_PATH.test(path) ? undefined : problemOf(path);
  if (problem !== undefined) return problem;
  return query.includes('#') ? 'A fragment is not sent to a server.' : { path, query, hasQuery: mark >= 0, authority };
}

function problemOf(path: string): string | undefined {
  if (UNFIT_IN_PATH.test(path)) return 'The path contains a character that no path may contain.';
  if (BROKEN_ESCAPE.test(path)) return 'The path contains a % that begins no escape.';
  if (ESCAPED_CONTROL.test(path)) return 'The path contains an escaped control character.';
  if (path.includes('//')) return 'The path contains an empty segment; send it without.';
  if (hasDotSegment(path)) return 'The path contains dot segments; send it resolved.';
  return undefined;
}

/** Reads the path as the most lenient reader might: escapes resolved (twice, too), `;` as the beginning of parameters. */
function hasDotSegment(path: string): boolean {
  const read = path
    .replace(/%25/g, '%')
    .replace(/%2e/gi, '.')
    .replace(/%2f|%5c/gi, '/');
  return read.split('/').some(segment => /^\.{1,2}(?:;|$)/.test(segment));
}
