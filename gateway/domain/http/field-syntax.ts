import { listOf, lowerNameOf, type RawFields } from './fields.ts';

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
