import type { KeyPath } from './problem.ts';

/** A part of the file, and where it stands. */
export interface Section {
  readonly value: unknown;
  readonly path: KeyPath;
}

/** What stands below a prefix. */
export interface SpringEntry extends Section {
  /** What follows the prefix, in kebab case and dots. */
  readonly key: string;
}

/** The keys below a prefix, whichever of its dots are written as dots and which as nesting. */
export function entriesUnder(value: unknown, prefix: readonly string[], path: KeyPath = []): SpringEntry[] {
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const here = [...path, key];
    if (prefix.length === 0) return [{ key: kebab(key), value: item, path: here }];
    const parts = key.split('.');
    if (!parts.every((part, i) => i >= prefix.length || part === prefix[i])) return [];
    if (parts.length <= prefix.length) return entriesUnder(item, prefix.slice(parts.length), here);
    return [{ key: kebab(parts.slice(prefix.length).join('.')), value: item, path: here }];
  });
}

/** `allowedOrigins` as `allowed-origins`. */
export function kebab(key: string): string {
  return key.replaceAll(/(?<=[a-z0-9])[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** True for a map of keys. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The values of what Spring takes for a list: a list, one value, or several with commas between; text, trimmed. */
export function textsOf(value: unknown): string[] {
  if (value === null || value === undefined) return [];
  const items = isMap(value) ? Object.values(value) : Array.isArray(value) ? (value as unknown[]) : [value];
  return items
    .flatMap(item => (typeof item === 'string' ? item.split(',') : [String(item)]))
    .map(text => text.trim())
    .filter(text => text !== '');
}
