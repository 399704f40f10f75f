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
