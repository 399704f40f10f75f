/**
 * Header fields as they travel: name, value, name, value, … Names keep their spelling and are compared without regard
 * to case (RFC 9110 §5.1); the order among fields of one name is kept (§5.3).
 */
export type RawFields = readonly string[];

/** What the gateway adds to `Via`, of whatever passes it in either direction (RFC 9110 §7.6.3). */
export const VIA = '1.1 penstock';

/** The first value of a field, or undefined. `name` is in lower case. */
export function fieldOf(fields: RawFields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (isName(fields[i], name)) return fields[i + 1];
  }
  return undefined;
}

/** Every value of a field, in order. `name` is in lower case. */
export function fieldsOf(fields: RawFields, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (isName(fields[i], name)) values.push(fields[i + 1] ?? '');
  }
  return values;
}

/** True when the field is there, whatever its value. `name` is in lower case. */
export function hasField(fields: RawFields, name: string): boolean {
  return fieldOf(fields, name) !== undefined;
}

/** The members of a comma-separated list field, over all its lines, trimmed, empty ones dropped (RFC 9110 §5.6.1). */
export function listOf(fields: RawFields, name: string): string[] {
  return fieldsOf(fields, name)
    .flatMap(value => value.split(','))
    .map(member => member.trim())
    .filter(member => member !== '');
}

/** Every value of a cookie, in order, without the quotes that may stand about it (RFC 6265 §4.1.1). */
export function cookiesOf(fields: RawFields, name: string): string[] {
  const values: string[] = [];
  for (const pair of fieldsOf(fields, 'cookie').flatMap(line => line.split(';'))) {
    const at = pair.indexOf('=');
    if (at === -1 || pair.slice(0, at).trim() !== name) continue;
    const value = pair.slice(at + 1).trim();
    values.push(value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value);
  }
  return values;
}

/** Adds one more line of a field. */
export function appendField(fields: string[], name: string, value: string): void {
  fields.push(name, value);
}

/** Leaves exactly one line of a field, with this value. */
export function setField(fields: string[], name: string, value: string): void {
  removeField(fields, name.toLowerCase());
  fields.push(name, value);
}

/** Removes every line of a field. `name` is in lower case. */
export function removeField(fields: string[], name: string): void {
  removeFieldsWhere(fields, candidate => candidate === name);
}

/** Removes every field whose name, in lower case, meets the condition. */
export function removeFieldsWhere(fields: string[], isUnwanted: (name: string) => boolean): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    if (isUnwanted(lowerNameOf(name))) continue;
    fields[kept] = name;
    fields[kept + 1] = value;
    kept += 2;
  }
  fields.length = kept;
}

/** Names as they are spelled, in lower case. Callers and instances may invent any number; those beyond the bound are lowered anew. */
const lowerNames = new Map<string, string>();
const LOWER_NAMES_MAX = 1_024;

/** A field's name in lower case. */
export function lowerNameOf(name: string): string {
  const known = lowerNames.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  if (lowerNames.size < LOWER_NAMES_MAX && name.length <= 64) lowerNames.set(name, lower);
  return lower;
}

function isName(candidate: string | undefined, name: string): boolean {
  return candidate?.length === name.length && (candidate === name || candidate.toLowerCase() === name);
}
