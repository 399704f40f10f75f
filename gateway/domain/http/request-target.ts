/** A parameter of a query as Plumber reads it; undefined for a value that is no UTF-8. */
export type QueryParameter = readonly [name: string, value: string | undefined];

const NONE: readonly QueryParameter[] = [];

/** The parameters of a query, or of a form, as Plumber reads them: what has no `=` counts for nothing. */
export function readQuery(query: string): readonly QueryParameter[] {
  if (query === '') return NONE;
  return query.split('&').flatMap((part): QueryParameter[] => {
    const at = part.indexOf('=');
    return at < 1 ? [] : [[decoded(part.slice(0, at)) ?? part.slice(0, at), decoded(part.slice(at + 1))]];
  });
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** A request target taken apart; `authority` is there when the target named one itself (absolute form). */
export interface RequestTarget {
  /** In its normal form. */
  readonly path: string;
  readonly query: string;
  /** There is a question mark, though nothing may stand behind it. */
  readonly hasQuery: boolean;
  readonly authority: string | undefined;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/** Takes a request target apart, or says, in words for the caller, why it is refused. */
export function parseRequestTarget(target: string, rules: PathRules): RequestTarget | string {
  if (target.startsWith('/')) return parseOriginForm(target, undefined, rules);
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) return 'The request target is not a path.';
  const [, authority = '', rest = ''] = absolute;
  return parseOriginForm(rest.startsWith('/') ? rest : `/${rest}`, authority, rules);
}

function parseOriginForm(target: string, authority: string | undefined, rules: PathRules): RequestTarget | string {
  const mark = target.indexOf('?');
  const path = normalPath(mark < 0 ? target : target.slice(0, mark), rules);
  if (typeof path !== 'string') return path.problem;
  const query = mark < 0 ? '' : target.slice(mark + 1);
  return query.includes('#') ? 'A fragment is not sent to a server.' : { path, query, hasQuery: mark >= 0, authority };
}

/** Why a path is refused, in words for the caller. */
interface PathProblem {
  readonly problem: string;
}

/** How paths are read: `listen` in gateway.yaml. */
export interface PathRules {
  /** An empty segment is left out; else it is refused. */
  readonly mergeSlashes: boolean;
}

/** Neither escapes, nor a segment that is empty or begins with a dot, nor anything a path may not hold: most paths. */
const PLAIN_PATH = /^(?:\/(?![./])[!$&'()*+,\-.:=@\w~]*)+$/;

const UNFIT = /[\x00-\x20\x7f#\\]/;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const TWICE_ESCAPED = /%25[0-9A-Fa-f]{2}/;
const ESCAPED_SLASH = /%(?:2[Ff]|5[Cc])/;
const PARAMETERS = /;|%3[Bb]/;
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const HIGH_BYTE = /[\x80-\xff]/g;
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;

/** What no segment holds plainly: all but RFC 3986's `pchar`; and `;`, which many a reader takes for the end of one. */
const TO_ESCAPE = /[^A-Za-z0-9._~!$&'()*+,=:@/-]+/gu;

/**
 * The one spelling of a path, or why it has none (docs/paths.md).
 *
 * It is what routes are matched with, what filters change, and what the instance is sent: as long as these are one, no
 * spelling leads past a route. A spelling that some reader resolves to another path (dot segments, escaped slashes, path
 * parameters) is refused, not resolved: the reader behind us might do it once more, or not at all.
 */
function normalPath(path: string, rules: PathRules): string | PathProblem {
  return PLAIN_PATH.test(path) ? path : normalised(path, rules);
}

/** Text of one segment as it stands in a normal path. */
export function encodeSegment(text: string): string {
  return percentEncode(text, TO_ESCAPE).replaceAll('/', '%2F');
}

/**
 * True for a path that, resolved by its reader, would be another one, or that ends within an escape: what filters make
 * of a good path need not be one.
 */
export function leadsElsewhere(path: string): boolean {
  return !PLAIN_PATH.test(path) && (BROKEN_ESCAPE.test(path) || DOT_SEGMENT.test(asLenientlyRead(path)));
}

function normalised(path: string, { mergeSlashes }: PathRules): string | PathProblem {
  if (UNFIT.test(path)) return { problem: 'The path contains a character that no path may contain.' };
  const merged = mergeSlashes ? path.replace(/\/{2,}/g, '/') : path;
  if (merged.includes('//')) return { problem: EMPTY_SEGMENT };
  const text = textOf(merged);
  if (typeof text !== 'string') return text;
  if (CONTROL.test(text)) return { problem: 'The path contains an escaped control character.' };
  if (DOT_SEGMENT.test(text)) return { problem: 'The path contains dot segments; send it resolved.' };
  return percentEncode(text, TO_ESCAPE);
}

const EMPTY_SEGMENT =
  'The path contains an empty segment: two slashes in a row. In R, paste0(base, "/predict") makes them where base ends in a slash; leave one of the two out.';

/** The path as text. Without escaped slashes, of which it would not be told where its segments end. */
function textOf(path: string): string | PathProblem {
  if (BROKEN_ESCAPE.test(path)) return { problem: 'The path contains a % that begins no escape; as text it is %25.' };
  if (TWICE_ESCAPED.test(path)) return { problem: 'The path is percent-encoded twice; encode it once.' };
  if (ESCAPED_SLASH.test(path)) return { problem: 'The path contains an escaped slash or backslash.' };
  if (PARAMETERS.test(path)) return { problem: 'The path contains a semicolon: path parameters are not taken.' };
  try {
    // Characters up to U+00FF are bytes as they came over the wire.
    return decodeURIComponent(path.replace(HIGH_BYTE, byte => `%${byte.charCodeAt(0).toString(16)}`));
  } catch {
    return { problem: 'The path is not UTF-8.' }; // overlong forms and surrogates included
  }
}

/** As the most lenient reader might read it: escapes resolved (twice, too), `;` as the beginning of parameters. */
function asLenientlyRead(path: string): string {
  return path
    .replace(/%25/g, '%')
    .replace(/%2e/gi, '.')
    .replace(/%2f|%5c/gi, '/')
    .replace(/;[^/]*/g, '');
}

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
