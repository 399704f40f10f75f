const PLACEHOLDER = /\{([^/{}]+)\}/g;

/** Text in which `{name}` stands for what a route's patterns captured. */
export interface Template {
  /** The names it asks for. */
  readonly names: readonly string[];
  /** The text for one request; what was not captured is empty. `encode` may make a value safe for its place. */
  expand(variables: ReadonlyMap<string, string>, encode?: (value: string) => string): string;
}

/** Reads a template once, so that expanding it is only joining. */
export function parseTemplate(text: string): Template {
  const names = [...text.matchAll(PLACEHOLDER)].map(([, name = '']) => bareName(name));
  if (names.length === 0) return { names, expand: () => text };
  const literals = text.split(PLACEHOLDER).filter((_, i) => i % 2 === 0);
  return {
    names,
    expand: (variables, encode = value => value) =>
      literals.reduce((joined, literal, i) => {
        const name = names[i];
        return joined + literal + (name === undefined ? '' : encode(variables.get(name) ?? ''));
      }, ''),
  };
}

/** `{name:regex}`, as in a pattern, asks for `name`. */
function bareName(name: string): string {
  return name.split(':', 1)[0] ?? name;
}
