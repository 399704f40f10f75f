import type { Call, Matched } from '../call.ts';
import { FAILURES, GatewayError } from '../errors.ts';
import type { Filter, RequestDraft } from '../route.ts';
import { dropBody, type Answer, type UpstreamAnswer, type Via } from '../upstream.ts';
import { corsFields, isCorsField } from './cors.ts';
import {
  hopByHopOf,
  isField,
  fieldOf,
  fieldsOf,
  hasField,
  lowerNameOf,
  removeFieldsWhere,
  setField,
  VIA,
  type RawFields,
  parseHttpDate,
} from './fields.ts';
import { frontsOf } from './forwarding.ts';

const NO_BODY = Buffer.alloc(0);

/**
 * An instance's answer on its way to a caller: its status, and the fields that are meant for the caller.
 *
 * The list of fields is the instance's own, changed in place. What frames the message (`Transfer-Encoding`, `Connection`
 * and what it names) is the edge's to say again; so is `Content-Length`, but for a body that is still to come: there the
 * caller learns from it where a cut answer was cut. A field that could not be sent on is dropped; R's `Date` is kept, as
 * the origin's (RFC 9110 §6.6.1).
 */
export function toAnswer({ status, fields, body }: UpstreamAnswer, via: Via | null): Answer {
  if (!isFinalStatus(status)) {
    dropBody({ body });
    throw new GatewayError('UPSTREAM_FAULT', `the instance answered with the status ${status}`);
  }
  const length = Buffer.isBuffer(body) || status === 204 ? undefined : lengthOf(fields);
  keepForCaller(fields);
  if (length !== undefined) fields.push('Content-Length', length);
  fields.push('Via', VIA);
  return { status, fields, body, via };
}

function applyFilters(answer: Answer, call: Matched): void {
  const { status } = answer;
  for (const filter of call.route.filters) filter.onReply?.(answer, call);
  if (call.transcoder?.keepsStatus === true) answer.status = status;
}

function isFinalStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599;
}

/** The length that the instance gave its body, where it is one, and the body does not come in chunks. */
function lengthOf(fields: readonly string[]): string | undefined {
  const [length, ...others] = fieldsOf(fields, 'content-length');
  const isSound = others.length === 0 && length !== undefined && /^\d+$/.test(length);
  return isSound && !hasField(fields, 'transfer-encoding') ? length : undefined;
}

/** Takes off what ends at this hop, and what could not be sent on. */
export function keepForCaller(fields: string[]): void {
  const endsHere = hopByHopOf(fields);
  let kept = 0;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    const lowerName = lowerNameOf(name);
    if (endsHere(lowerName) || lowerName === 'content-length' || !isField(name, value)) continue;
    fields[kept] = name;
    fields[kept + 1] = value;
    kept += 2;
  }
  fields.length = kept;
}

/**
 * Makes of an instance's answer what this caller gets: changed by the route's filters, and without its body for HEAD.
 *
 * Where several callers share an answer each has a draft of its own: a filter may take from the request what it writes
 * into the reply.
 */
export function filterReply(answer: Answer, call: Matched): void {
  try {
    const location = answer.status >= 201 && answer.status < 400 ? fieldOf(answer.fields, 'location') : undefined;
    if (location !== undefined && !call.route.filters.some(writesLocation)) leadBack(answer.fields, location, call);
    applyFilters(answer, call);
    if (call.method === 'HEAD') keepHead(answer);
  } catch (error) {
    dropBody(answer);
    throw error;
  }
}

/** Its operator has said how. */
function writesLocation({ name }: Filter): boolean {
  return name === 'RewriteLocationResponseHeader';
}

/** R was sent a GET, since Plumber knows no HEAD: the caller gets its head alone, with the length its body had. */
function keepHead(answer: Answer): void {
  const { status, fields, body } = answer;
  const isLengthDue = status !== 204 && status !== 304 && fieldOf(fields, 'content-length') === undefined;
  if (Buffer.isBuffer(body) && isLengthDue) setField(fields, 'Content-Length', String(body.length));
  dropBody(answer);
  answer.body = NO_BODY;
}

/** What describes the content that a 304 does not have; what guides a cache stays (RFC 9110 §15.4.5). */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
]);

/**
 * Makes a good answer 304 Not Modified where the caller has it already, by `If-None-Match`, or by `If-Modified-Since`
 * where that alone is said (RFC 9110 §13.2.2). Only for GET and HEAD; what is no success is told in full (§13.2.1).
 *
 * On a route that shares, R is not sent these fields: what answers one answers all.
 */
export function unlessNotModified(answer: Answer, { method, fields }: Pick<Matched, 'method' | 'fields'>): Answer {
  if (method !== 'GET' && method !== 'HEAD') return answer;
  if (answer.status < 200 || answer.status > 299 || !isNotModified(answer.fields, fields)) return answer;
  dropBody(answer);
  removeFieldsWhere(answer.fields, name => OF_CONTENT.has(name));
  answer.status = 304;
  answer.body = NO_BODY;
  return answer;
}

function isNotModified(answered: RawFields, requestFields: RawFields): boolean {
  if (hasField(requestFields, 'if-none-match')) return isTagKnown(fieldOf(answered, 'etag'), requestFields);
  const since = fieldOf(requestFields, 'if-modified-since');
  if (since === undefined) return false;
  const [sinceMs, modifiedMs] = [since, fieldOf(answered, 'last-modified') ?? ''].map(parseHttpDate);
  return sinceMs !== undefined && modifiedMs !== undefined && modifiedMs <= sinceMs;
}

/** A tag may contain commas. */
const TAG = /(?:W\/)?"[^"]*"/g;

/** Compared weakly (RFC 9110 §13.1.2, §8.8.3.2). */
function isTagKnown(tag: string | undefined, requestFields: RawFields): boolean {
  const wanted = fieldsOf(requestFields, 'if-none-match').join(',');
  if (wanted.trim() === '*') return true;
  if (tag === undefined) return false;
  const opaque = withoutWeakness(tag);
  return [...wanted.matchAll(TAG)].some(([candidate]) => withoutWeakness(candidate) === opaque);
}

function withoutWeakness(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}

/**
 * Adds to a reply's fields what every reply of this call carries: its id, what stages noted, and the route's CORS fields.
 * These are the gateway's word, so that what an instance said under the same names goes.
 */
export function addReplyFields(fields: string[], call: Call): void {
  const { replyFields } = call;
  const cors = call.route?.policy.cors ?? call.corsOf;
  const isCorsDue = cors !== undefined && !isPreflightsAnswer(fields, call);
  removeReplyFields(fields, replyFields, isCorsDue);
  fields.push('X-Request-Id', call.id);
  for (const part of replyFields) fields.push(part);
  if (isCorsDue) fields.push(...corsFields(cors, call.fields));
}

/** As `removeFieldsWhere` does, without a function made for each call. */
function removeReplyFields(fields: string[], replyFields: readonly string[], isCorsDue: boolean): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    const lowerName = lowerNameOf(name);
    if (isReplyField(lowerName, replyFields) || (isCorsDue && isCorsField(lowerName))) continue;
    fields[kept] = name;
    fields[kept + 1] = value;
    kept += 2;
  }
  fields.length = kept;
}

function isReplyField(name: string, replyFields: readonly string[]): boolean {
  return name === 'x-request-id' || (replyFields.length > 0 && hasField(replyFields, name));
}

/** Answered by the gateway itself, with all that CORS asks for; its refusal is not, nor what an instance answers. */
function isPreflightsAnswer(fields: readonly string[], call: Call): boolean {
  return call.isPreflight && hasField(fields, 'vary');
}

/** A failure as the caller sees it (RFC 9457). It names the code and nothing of our insides. */
export function toProblem(error: GatewayError, requestId: string): Answer {
  const { status, title } = FAILURES[error.code];
  const body = Buffer.from(
    JSON.stringify({
      type: `urn:penstock:error:${error.code}`,
      title,
      status,
      detail: error.detail,
      code: error.code,
      requestId,
      message: error.detail, // vetiver's client shows `message`
      errors: error.errors, // left out where there are none
    }),
  );
  const fields = ['Content-Type', 'application/problem+json', 'Cache-Control', 'no-store', ...error.fields];
  if (error.retryAfterMs !== undefined) fields.push('Retry-After', String(Math.ceil(error.retryAfterMs / 1000)));
  return { status, fields, body, via: null };
}

/**
 * Leads an instance's `Location` back below the route's prefix, since the instance knows its own paths only.
 *
 * A path is led back, and a URL at one of the instances' own addresses, which becomes a path. What leads to another
 * server, or names the prefix already, stays as it is. The prefix is found by asking the route's path filters once more:
 * redirects are few.
 */
function leadBack(fields: string[], location: string, call: Matched): void {
  const path = pathAtInstance(location, call);
  const led = path === undefined ? undefined : ledBack(path, call);
  if (led !== undefined && led !== location) setField(fields, 'Location', led);
}

function ledBack(path: string, call: Matched): string | undefined {
  const fronts = frontsOf(call.path, innerPath(call));
  if (fronts === undefined) return path;
  const { outer, inner } = fronts;
  if (outer !== '' && isBelow(path, outer)) return path;
  return isBelow(path, inner) ? outer + path.slice(inner.length) || '/' : path;
}

function isBelow(path: string, front: string): boolean {
  return path.startsWith(front) && (path.length === front.length || /[/?#]/.test(path.charAt(front.length)));
}

function innerPath(call: Matched): string {
  const draft: RequestDraft = { path: call.path, query: '', fields: [], host: undefined, isPrefixed: false };
  for (const { isOfPath, onRequest } of call.route.filters) if (isOfPath === true) onRequest?.(draft, call);
  return draft.path;
}

const ABSOLUTE = /^(https?:\/\/[^/?#]+)(.*)$/i;

/** The path, query and fragment; undefined where it leads elsewhere, or is relative, which holds below any prefix. */
function pathAtInstance(location: string, { route }: Matched): string | undefined {
  if (location.startsWith('/')) return location.startsWith('//') ? undefined : location;
  const [, origin = '', rest = ''] = ABSOLUTE.exec(location) ?? [];
  if (origin === '' || !route.service.view().instances.some(({ address }) => address === origin.toLowerCase())) {
    return undefined;
  }
  return rest.startsWith('/') ? rest : `/${rest}`;
}
