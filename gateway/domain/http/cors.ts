import { isFieldName, fieldOf, fieldsOf, listOf, type RawFields } from './fields.ts';
import type { Cors } from '../route.ts';
import type { Answer } from '../upstream.ts';

/** Fields of ours that a script of another origin may read; the names it cannot do without to behave well. */
const EXPOSED = 'X-Request-Id, Age, Cache-Status, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate';

const NOTHING = Buffer.alloc(0);

/**
 * The CORS fields that any answer of a route with `cors` carries, refusals included: without them a script sees a
 * refusal as a network error.
 *
 * They are the route's word: an instance's own, of the names `isCorsField` knows, are to be replaced by them.
 */
export function corsFields(cors: Cors, request: RawFields): string[] {
  const fields = originFields(cors, request);
  if (fields.includes('Access-Control-Allow-Origin'))
    fields.push('Access-Control-Expose-Headers', [EXPOSED, ...cors.expose].join(', '));
  if (!isForAnyone(cors)) fields.push('Vary', 'Origin');
  return fields;
}

/** True for a name, in lower case, that only one may set: two `Access-Control-Allow-Origin` make a browser refuse. */
export function isCorsField(name: string): boolean {
  return name.startsWith('access-control-allow-') || name === 'access-control-max-age';
}

/** True for the fields of an OPTIONS that is a browser’s preflight request (Fetch standard, "CORS-preflight request"). */
export function isPreflight(request: RawFields): boolean {
  return fieldOf(request, 'origin') !== undefined && fieldOf(request, 'access-control-request-method') !== undefined;
}

/** The answer to a preflight. What is not allowed is simply not named; it is the browser that refuses. */
export function preflightAnswer(cors: Cors, request: RawFields): Answer {
  const fields = originFields(cors, request);
  if (fields.includes('Access-Control-Allow-Origin')) {
    pushList(fields, 'Access-Control-Allow-Methods', allowedMethods(cors, request));
    pushList(fields, 'Access-Control-Allow-Headers', allowedHeaders(cors, request));
    fields.push('Access-Control-Max-Age', String(Math.floor(cors.maxAgeSeconds)));
  }
  fields.push('Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
  return { status: 204, fields, body: NOTHING, via: null };
}

/** What makes a route's `cors` impossible, in words for the operator; undefined when it is sound. */
export function corsProblem(cors: Cors): string | undefined {
  if (cors.credentials && cors.origins.has('*')) {
    return '`credentials: true` needs the origins by name: browsers refuse `*` together with credentials';
  }
  return undefined;
}

function originFields(cors: Cors, request: RawFields): string[] {
  if (isForAnyone(cors)) return ['Access-Control-Allow-Origin', '*'];
  const origins = fieldsOf(request, 'origin');
  const [origin = ''] = origins;
  if (origins.length !== 1 || !cors.origins.has(origin)) return [];
  const fields = ['Access-Control-Allow-Origin', origin];
  if (cors.credentials) fields.push('Access-Control-Allow-Credentials', 'true');
  return fields;
}

/** `*` is the same for all, so that nothing varies; with credentials it means nothing to a browser. */
function isForAnyone(cors: Cors): boolean {
  return cors.origins.has('*') && !cors.credentials;
}

/** With credentials a browser takes `*` for a method of that name: the one asked for is named instead. */
function allowedMethods(cors: Cors, request: RawFields): readonly string[] {
  if (!cors.methods.includes('*') || !cors.credentials) return cors.methods;
  const requested = fieldOf(request, 'access-control-request-method') ?? '';
  return withoutWildcard(cors.methods, isFieldName(requested) ? [requested] : []);
}

/** As for methods. `*` never covers `Authorization`, which must be listed (Fetch, "non-wildcard request-header name"). */
function allowedHeaders(cors: Cors, request: RawFields): readonly string[] {
  if (!cors.headers.includes('*') || !cors.credentials) return cors.headers;
  const requested = listOf(request, 'access-control-request-headers');
  return withoutWildcard(
    cors.headers,
    requested.filter(name => isFieldName(name) && name.toLowerCase() !== 'authorization'),
  );
}

function withoutWildcard(listed: readonly string[], requested: readonly string[]): string[] {
  return [...new Set([...listed.filter(name => name !== '*'), ...requested])];
}

function pushList(fields: string[], name: string, members: readonly string[]): void {
  if (members.length > 0) fields.push(name, members.join(', '));
}
