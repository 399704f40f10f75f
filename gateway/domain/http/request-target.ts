import { normalPath, type PathRules } from './normal-path.ts';

/** A parameter of a query as Plumber reads it; undefined for a value that is no UTF-8. */
export type QueryParameter = readonly [name: string, value: string | undefined];

const NONE: readonly QueryParameter[] = [];

/** The parameters of a query, or of a form, as Plumber reads them: what has no `=` counts for nothing. */
export function readQuery(query: string): readonly QueryParameter[] {
  if (query === '') return NONE;
  return query.split('&').flatMap((part): QueryParameter[] => {
    const at = part.indexOf('=');
    return at < 1 ? [] : [[decoded(part.slice(0, at)) ?? part.slice(0, at), decoded(part.slice(at + 1))]];
  });
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** A request target taken apart; `authority` is there when the target named one itself (absolute form). */
export interface RequestTarget {
  /** In its normal form. */
  readonly path: string;
  readonly query: string;
  /** There is a question mark, though nothing may stand behind it. */
  readonly hasQuery: boolean;
  readonly authority: string | undefined;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/** Takes a request target apart, or says, in words for the caller, why it is refused. */
export function parseRequestTarget(target: string, rules: PathRules): RequestTarget | string {
  if (target.startsWith('/')) return parseOriginForm(target, undefined, rules);
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) return 'The request target is not a path.';
  const [, authority = '', rest = ''] = absolute;
  return parseOriginForm(rest.startsWith('/') ? rest : `/${rest}`, authority, rules);
}

function parseOriginForm(target: string, authority: string | undefined, rules: PathRules): RequestTarget | string {
  const mark = target.indexOf('?');
  const path = normalPath(mark < 0 ? target : target.slice(0, mark), rules);
  if (typeof path !== 'string') return path.problem;
  const query = mark < 0 ? '' : target.slice(mark + 1);
  return query.includes('#') ? 'A fragment is not sent to a server.' : { path, query, hasQuery: mark >= 0, authority };
}
