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

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const UNFIT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** True for what may stand as a field's name (RFC 9110 §5.6.2). */
export function isFieldName(text: string): boolean {
  return TOKEN.test(text);
}

/** True for what may stand as a field's value (RFC 9110 §5.5): no line ends, no control characters, one byte a character. */
export function isFieldValue(text: string): boolean {
  return !UNFIT_IN_VALUE.test(text);
}

/** True for a name and a value that may both travel. */
export function isField(name: string, value: string): boolean {
  return isFieldName(name) && isFieldValue(value);
}

/** Fields that concern one connection, beside those that `Connection` names (RFC 9110 §7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'alt-svc', // another way to the server that wrote it, which is not the caller's way to the gateway (RFC 7838)
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Tells, for one message, which names (in lower case) end at this hop: the protocol's, and those its `Connection` names. */
export function hopByHopOf(fields: RawFields): (name: string) => boolean {
  if (saysAnOption(fields)) return isHopByHop;
  const named = listOf(fields, 'connection');
  const ending = new Set(named.map(name => name.toLowerCase()));
  return name => HOP_BY_HOP.has(name) || ending.has(name);
}

/** True for a name, in lower case, that always ends at this hop. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name);
}

/** The everyday `Connection: keep-alive` and `close`, in one line, name no field worth a set of its own. */
function saysAnOption(fields: RawFields): boolean {
  let lines = 0;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (lowerNameOf(fields[i] ?? '') !== 'connection') continue;
    lines += 1;
    if (lines > 1 || !OPTION.test(fields[i + 1] ?? '')) return false;
  }
  return true;
}

const OPTION = /^(?:close|keep-alive|upgrade)$/i;

/** `Sun, 06 Nov 1994 08:49:37 GMT`, and the two forms that were in use before (RFC 9110 §5.6.7). */
const FORMS: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** The date of a field in milliseconds since 1970; undefined for what is no date in one of HTTP's three forms. */
export function parseHttpDate(text: string): number | undefined {
  if (!FORMS.some(form => form.test(text))) return undefined;
  const ms = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** What describes the body that came, and would be untrue of another. */
const OF_BODY: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-digest',
  'content-md5',
  'digest',
  'repr-digest',
  'etag',
]);

/** Takes off what described a body that another takes the place of. */
export function removeBodyFields(fields: string[]): void {
  removeFieldsWhere(fields, name => OF_BODY.has(name));
}
