/** Text with what `unsafe` (a pattern with the flags g and u) matches percent-encoded as UTF-8; never throws. */
export function percentEncode(text: string, unsafe: RegExp): string {
  return text.replace(unsafe, match => encodeBytes(Buffer.from(match, 'utf8')));
}

/**
 * What cannot stand in a request line, percent-encoded; what is encoded already stays as it is.
 *
 * Characters up to U+00FF are bytes as they came over the wire (`curl` sends `/é` as two raw bytes); others can only
 * come from the configuration.
 */
export function encodeTarget(target: string): string {
  if (/^[!"$-~]+$/.test(target)) return target;
  const bytes = target.replace(/[^!"$-~\u0100-\uffff]+/g, match => encodeBytes(Buffer.from(match, 'latin1')));
  return percentEncode(bytes, /[^!-~]+/gu);
}

function encodeBytes(bytes: Buffer): string {
  let encoded = '';
  for (const byte of bytes) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}
