/** A name and a password, as HTTP Basic brings them. */
export interface NameAndPassword {
  readonly user: string;
  readonly password: string;
}

const USER_LENGTH_MAX = 256;
const PASSWORD_BYTES_MAX = 1024;

/**
 * What stands behind `Basic` (RFC 7617); undefined for what no directory should be asked about: an empty name, and above
 * all an empty password, since a bind without one succeeds as an anonymous one (RFC 4513 §5.1.2).
 */
export function readBasic(encoded: string): NameAndPassword | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  if (Buffer.byteLength(text) !== bytes.length || text.includes('\uFFFD')) return undefined;
  const at = text.indexOf(':');
  const [user, password] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  if (at < 1 || password === '' || user.length > USER_LENGTH_MAX || password.length > PASSWORD_BYTES_MAX)
    return undefined;
  return /[\u0000-\u001f\u007f]/.test(text) || user.trim() === '' ? undefined : { user, password };
}

/** A value within a distinguished name (RFC 4514 §2.4): whatever is not plain is written by its bytes. */
export function escapeDn(value: string): string {
  return value.replace(/[^A-Za-z0-9._@-]+/gu, hexEscaped);
}

/** A value within a filter (RFC 4515 §3). */
export function escapeFilter(value: string): string {
  return value.replace(/[^A-Za-z0-9._@=,+ -]+/gu, hexEscaped);
}

function hexEscaped(text: string): string {
  return [...Buffer.from(text)].map(byte => `\\${byte.toString(16).padStart(2, '0')}`).join('');
}

/** A template with `{user}` and `{dn}`, filled in one go: what is put in is not looked at again. */
export function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(user|dn)\}/g, (_whole, name: string) => values[name] ?? '');
}

/** The roles of groups by a table; names of groups are compared without regard to case, as the directory does. */
export function rolesOfGroups(groups: readonly string[], table: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set(groups.flatMap(group => table.get(group.toLowerCase()) ?? []))];
}
