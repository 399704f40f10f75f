/** What stands wherever a secret would have stood. */
export const REDACTED = '[redacted]';

/** A text that is used and never shown: printed, logged or turned to JSON it is `[redacted]`. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the one place that needs it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}

/** Where secrets stand, `*` for any key or index. */
const SECRET_PATHS: readonly (readonly string[])[] = [
  ['discovery', 'consul', 'token'],
  ['identity', 'jwt', '*', 'secret'],
  ['identity', 'jwt', '*', 'secret', 'base64'],
  ['identity', 'introspection', '*', 'clientSecret'],
  ['identity', 'ldap', 'bindPassword'],
  ['jobs', 'callbacks', '*', 'secret'],
  ['redis', 'password'],
  ['services', '*', 'sharedSecret'],
  ['services', '*', 'rserve', 'password'],
];

interface FoundSecret {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

/** The secrets in a file's data, and where they stand. */
export function secretsIn(root: unknown): FoundSecret[] {
  return SECRET_PATHS.flatMap(pattern => textsAt(root, pattern, []));
}

function textsAt(value: unknown, [key, ...rest]: readonly string[], path: FoundSecret['path']): FoundSecret[] {
  if (key === undefined) return typeof value === 'string' && value !== '' ? [{ path, text: value }] : [];
  if (typeof value !== 'object' || value === null) return [];
  const isList = Array.isArray(value);
  return Object.entries(value)
    .filter(([name]) => key === '*' || key === name)
    .flatMap(([name, item]) => textsAt(item, rest, [...path, isList ? Number(name) : name]));
}

const SECRET_NAME = /secr|tok[ae]n|passw|credential|api-?key/i;

/** True for a key, right or mistyped, after which people write secrets. */
export function isSecretName(key: string | number | undefined): boolean {
  return typeof key === 'string' && SECRET_NAME.test(key) && !/(?:Max|Min)$/.test(key);
}

/** A key as problems may show it: where the space after `:` was forgotten, a secret has become part of it. */
export function shownKey(key: string): string {
  const name = /^[\w-]+(?=[:=\s])/.exec(key)?.[0];
  return name !== undefined && isSecretName(name) ? `${name}:…` : key;
}

/** Keys whose values are secrets, and what people who mean them write. */
const SECRET_KEY =
  /((?:["']?)[\w-]*(?:secr|tok[ae]n|passw|credential|api-?key)[\w-]*["']?\s*:\s+|(?:authorization|cookie|[\w-]*(?:secret|token|password|api-?key)[\w-]*)\s*,\s*)(.+)$/i;

/** A line of a file as it may be shown: whatever stands after a key that looks like a secret's is masked. */
export function maskSecrets(line: string): string {
  return line.replace(SECRET_KEY, (_whole, before: string, value: string) => before + maskValue(value));
}

/** A reference with its default, which may be a secret as well. */
const REFERENCE = /(\$\{(?:env|file):[^}]*\})/;

/** A value without what it says; its brackets and references are left, and nothing moves. */
export function maskValue(value: string): string {
  return value
    .split(REFERENCE)
    .map((piece, i) => (i % 2 === 1 ? withoutDefault(piece) : piece.replaceAll(/[^\s{}[\],:'"]/g, '*')))
    .join('');
}

function withoutDefault(reference: string): string {
  return reference.replace(/(?<=:-)[^}]*/, text => '*'.repeat(text.length));
}
