import type { KeyPath } from './problem.ts';

/** Where secrets stand, `*` for any key or index. */
const SECRET_PATHS: readonly (readonly string[])[] = [
  ['discovery', 'consul', 'token'],
  ['identity', 'jwt', '*', 'secret'],
  ['services', '*', 'sharedSecret'],
];

/** True for a key whose value is a secret. */
export function isSecretPath(path: KeyPath): boolean {
  return SECRET_PATHS.some(
    pattern => pattern.length === path.length && pattern.every((key, i) => key === '*' || key === String(path[i])),
  );
}

/** Keys whose values are secrets, and what people who mean them write. */
const SECRET_KEY =
  /((?:["']?)[\w-]*(?:secr|tok[ae]n|passw|credential|api-?key)[\w-]*["']?\s*:\s+|(?:authorization|cookie|[\w-]*(?:secret|token|password|api-?key)[\w-]*)\s*,\s*)(.+)$/i;

/** A line of a file as it may be shown: whatever stands after a key that looks like a secret's is masked, references aside. */
export function maskSecrets(line: string): string {
  return line.replace(SECRET_KEY, (_whole, before: string, value: string) =>
    isHarmless(value) ? `${before}${value}` : `${before}${value.replaceAll(/[^\s{}[\],'"]/g, '*')}`,
  );
}

/** A reference, the key of a map that follows, or a comment. */
function isHarmless(value: string): boolean {
  return /^(?:["']?\$\{(?:env|file):[^}]*\}["']?\s*[,}\]]*\s*)*(?:#.*)?$/.test(value);
}
