/** Where Spring's placeholders find what they stand for: the environment, and the properties of the same file. */
export interface Properties {
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The file's documents, the one that wins last. */
  readonly roots: readonly unknown[];
}

/** A property: its text, and whether it came from outside the file. */
export interface Property {
  readonly text: string;
  readonly isOutside: boolean;
}

/** What a name may be: `NAME`, `dotted.name`, `list[0].name`. */
export const PROPERTY_NAME = /^[A-Za-z_][\w.-]*(?:\[\d+\][\w.-]*)*$/;

/** The property of this name as Spring finds it: a variable first, by its relaxed names, then the file's own. */
export function propertyOf(name: string, { variables, roots }: Properties): Property | undefined {
  for (const variable of variablesOf(name)) {
    const text = variables[variable];
    if (text !== undefined) return { text, isOutside: true };
  }
  const path = partsOf(name);
  for (const root of roots.toReversed()) {
    const value = valueAt(root, path);
    if (isScalar(value)) return { text: String(value), isOutside: false };
  }
  return undefined;
}

/** The variable that stands for a property, as it is written in a shell: `user.service-url` is `USER_SERVICEURL`. */
export function variableOf(name: string): string {
  return relaxed(name).toUpperCase();
}

/** The names under which Spring looks for a property in the environment, in its order. */
function variablesOf(name: string): Set<string> {
  const underscored = name.replaceAll(/[.-]/g, '_');
  const spelled = [name, name.replaceAll('.', '_'), name.replaceAll('-', '_'), underscored];
  return new Set([...spelled, ...spelled.map(each => each.toUpperCase()), variableOf(name)]);
}

function relaxed(name: string): string {
  return name
    .replaceAll('-', '')
    .replaceAll(/\[(\d+)\]/g, '_$1_')
    .replaceAll('.', '_')
    .replace(/_$/, '')
    .replaceAll(/_{2,}/g, '_');
}

/** A property's parts in their bare form, so that `userService`, `user-service` and `user_service` are one. */
function partsOf(name: string): string[] {
  return name
    .replaceAll(/\[(\d+)\]/g, '.$1')
    .split('.')
    .filter(part => part !== '')
    .map(bare);
}

function bare(part: string): string {
  return part.toLowerCase().replaceAll(/[-_]/g, '');
}

/** What stands at a path, whichever of its dots are written as dots and which as nesting. */
function valueAt(value: unknown, path: readonly string[]): unknown {
  if (path.length === 0) return value;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, item] of Object.entries(value)) {
    const parts = partsOf(key);
    if (parts.length === 0 || parts.length > path.length || parts.some((part, i) => part !== path[i])) continue;
    const found = valueAt(item, path.slice(parts.length));
    if (found !== undefined) return found;
  }
  return undefined;
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
