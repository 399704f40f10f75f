import { withholdCredentials } from '../admission/credential-places.ts';
import type { Admitted } from '../call.ts';
import { GatewayError } from '../errors.ts';
import type { Auth, Filter, Filtered, RequestDraft, Route } from '../route.ts';
import type { UpstreamMessage } from '../upstream.ts';
import {
  hopByHopOf,
  isField,
  isHopByHop,
  fieldOf,
  lowerNameOf,
  removeFieldsWhere,
  setField,
  VIA,
  type RawFields,
  fieldsOf,
} from './fields.ts';
import { isCertificateField, isOriginField, isSetHere, prefixOf, pushForwarding, pushPrefix } from './forwarding.ts';
import { leadsElsewhere, encodeTarget, percentEncode } from './request-target.ts';
import { oneForwardLess } from './options.ts';
import type { Caller } from '../caller.ts';

/** By this field R knows that a request came through the gateway. Its value is a secret: never show or log it. */
export const SHARED_SECRET_FIELD = 'PLUMBER-SHARED-SECRET';

/**
 * Never the caller's to say: what frames a message is the transport's, R must not compress (it would answer in chunks),
 * nor be asked to say `100 Continue` (it does so only when idle). `Proxy` is the one that CGI programs mistake for a setting.
 */
const ENDS_HERE: ReadonlySet<string> = new Set([
  'accept-encoding',
  'content-length',
  'expect',
  'host',
  'proxy',
  'x-request-id',
  SHARED_SECRET_FIELD.toLowerCase(),
]);

/** What a filter's field may not touch: the message's frame. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'expect', 'host']);

/**
 * What an instance is sent for an admitted call: the same for the exchange itself, for a stream, and for `explain`.
 *
 * The caller's fields are sorted out first, then the gateway says where the request came from and whose it is, then the
 * route's filters have their way, in order. Identity and the shared secret are said again after them: a filter may read
 * who calls, but not change it. The fields of an upgrade itself (`Connection`, `Upgrade`) are the carrier's to add.
 */
export function composeUpstream(call: Admitted, content: Buffer): UpstreamMessage {
  const fields = callersFields(call);
  fields.push('Via', call.httpVersion === '1.0' ? '1.0 penstock' : VIA);
  if (call.method === 'OPTIONS') sayForwards(fields);
  pushForwarding(fields, call);
  fields.push('X-Request-Id', call.id);
  return compose(call, { fields, identity: identityFields(call.caller), content, withPrefix: true });
}

/** OPTIONS goes on for one hop less than its caller allows (RFC 9110 §7.6.2). */
function sayForwards(fields: string[]): void {
  const said = fieldOf(fields, 'max-forwards');
  if (said !== undefined) setField(fields, 'Max-Forwards', oneForwardLess(said));
}

/** What a message is made of, before the route's filters. */
interface Parts {
  /** A draft: the message's own list from here on. */
  readonly fields: string[];
  /** Who calls; empty where R is not to know. */
  readonly identity: readonly string[];
  readonly content: Buffer;
  /** R is told what of the path callers know it by. */
  readonly withPrefix?: true;
}

/** The message that these parts become once the route's filters have had their way. */
export function compose(call: Admitted, { fields, identity, content, withPrefix }: Parts): UpstreamMessage {
  const { route } = call;
  for (const part of identity) fields.push(part);
  const draft: RequestDraft = { path: call.path, query: call.query, fields, host: undefined, isPrefixed: false };
  if (route.filters.length > 0) filter(draft, call, identity);
  if (withPrefix === true && (call.path !== draft.path || call.isPeerTrusted)) {
    pushPrefix(fields, prefixOf(call.path, draft.path), call);
  }
  const { sharedSecret } = route.service.policy;
  if (sharedSecret !== undefined) fields.push(SHARED_SECRET_FIELD, sharedSecret);
  return {
    method: call.method === 'HEAD' ? 'GET' : call.method, // Plumber knows no HEAD
    target: targetOf(draft, call),
    host: draft.host,
    fields,
    body: content,
  };
}

/** The resource that R will be asked for, once the route's filters have had their way: path and query. */
export function upstreamResourceOf(
  call: Filtered & { readonly route: Pick<Route, 'filters'> },
): Pick<RequestDraft, 'path' | 'query'> {
  const { route, path, query } = call;
  if (route.filters.length === 0) return call;
  const draft: RequestDraft = { path, query, fields: [...call.fields], host: undefined, isPrefixed: false };
  for (const { onRequest } of route.filters) onRequest?.(draft, call);
  return draft;
}

/**
 * What becomes of a field, by its name.
 *
 *   passes      travels on
 *   ends        never does
 *   credential  does where the route forwards it
 *   trace       does where it is well-formed
 *   origin      does where the peer is a trusted proxy
 */
type Treatment = 'passes' | 'ends' | 'credential' | 'trace' | 'origin';

/** Names as they are spelled, judged once. Callers may invent any number: those beyond the bound are judged each time. */
const treatments = new Map<string, Treatment>();
const TREATMENTS_MAX = 512;

function treatmentOf(name: string): Treatment {
  const known = treatments.get(name);
  if (known !== undefined) return known;
  const treatment = judge(name.toLowerCase());
  if (treatments.size < TREATMENTS_MAX) treatments.set(name, treatment);
  return treatment;
}

/** httpuv reads `_` as `-`, and prefers it: `X_User` would win over `X-User`, whatever was checked of the latter. */
function judge(name: string): Treatment {
  if (name === 'authorization') return 'credential';
  if (name === 'traceparent' || name === 'tracestate') return 'trace';
  if (ENDS_HERE.has(name) || isHopByHop(name) || isSetHere(name)) return 'ends';
  if (isIdentityField(name) || name.includes('_')) return 'ends';
  return isOriginField(name) ? 'origin' : 'passes';
}

/** The caller's fields that may travel on, as they came, in a list of their own; of those, by name in lower case, that are wanted. */
export function callersFields(call: Admitted, isWanted?: (name: string) => boolean): string[] {
  const { fields } = call;
  const isNamed = namedByConnection(fields);
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    if (!mayTravel(treatmentOf(name), call)) continue;
    if (isNamed?.(lowerNameOf(name)) === true || isWanted?.(lowerNameOf(name)) === false) continue;
    if (isField(name, value)) kept.push(name, value);
  }
  return withoutCredentials(kept, call.route.policy.auth);
}

/** Mostly a credential stands in `Authorization`, and that was seen to. */
function withoutCredentials(kept: string[], auth: Auth | undefined): string[] {
  if (auth !== undefined && (auth.from !== undefined || auth.keyField !== undefined)) withholdCredentials(kept, auth);
  return kept;
}

/** A field of the caller's that does not travel on, and why. */
export interface Withheld {
  readonly name: string;
  readonly why: string;
}

/** Of the caller's fields those that R is not sent as they came. */
export function withheldFields(call: Admitted): Withheld[] {
  const { fields } = call;
  const isNamed = namedByConnection(fields);
  const withheld: Withheld[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [name = '', value = ''] = [fields[i], fields[i + 1]];
    const lowerName = name.toLowerCase();
    if (!mayTravel(treatmentOf(name), call)) withheld.push({ name, why: whyWithheld(lowerName) });
    else if (isNamed?.(lowerName) === true) withheld.push({ name, why: 'named by Connection: it ends at this hop' });
    else if (!isField(name, value)) withheld.push({ name, why: 'a character that no field may hold' });
  }
  return withheld;
}

function whyWithheld(name: string): string {
  if (isHopByHop(name)) return 'it concerns one connection and ends at this hop';
  if (name === 'authorization') return 'the route checks it itself (auth.forwardToken)';
  if (name === 'traceparent' || name === 'tracestate') return 'not well-formed';
  if (name.includes('_')) return 'R reads _ as -, so that it could stand for a field that was checked';
  if (isIdentityField(name)) return 'the gateway alone says who calls';
  if (isSetHere(name) || isOriginField(name)) return whyOrigin(name);
  return ENDS_HERE_BECAUSE[name] ?? 'the gateway alone says it';
}

function whyOrigin(name: string): string {
  if (isCertificateField(name)) return 'whose certificate was shown only trustedProxies may say';
  return 'the gateway says it anew; only trustedProxies are believed';
}

const ENDS_HERE_BECAUSE: Readonly<Partial<Record<string, string>>> = {
  'accept-encoding': 'R is spared compression',
  'content-length': 'the gateway frames the body anew',
  expect: 'the gateway answers it itself',
  host: 'the instance gets its own, or what PreserveHostHeader says',
  proxy: 'CGI programs take it for a setting',
  'x-request-id': 'the gateway says it anew',
};

/** Whether `Connection` names a field, by its name in lower case; undefined: it names none. */
function namedByConnection(fields: RawFields): ((name: string) => boolean) | undefined {
  if (fieldOf(fields, 'connection') === undefined) return undefined;
  const isHop = hopByHopOf(fields);
  return isHop === isHopByHop ? undefined : isHop;
}

function mayTravel(treatment: Treatment, call: Admitted): boolean {
  switch (treatment) {
    case 'passes':
      return true;
    case 'ends':
      return false;
    case 'credential':
      return call.route.policy.auth?.forwardToken ?? true; // without `auth` it is between the caller and R
    case 'trace':
      return hasTraceparent(call.fields);
    case 'origin':
      return call.isPeerTrusted;
  }
}

function filter(draft: RequestDraft, call: Admitted, identity: readonly string[]): void {
  for (const each of call.route.filters) each.onRequest?.(draft, call);
  if (leadsElsewhere(draft.path)) throw astray(call);
  if (!call.route.filters.some(changesFields)) return; // as they were they are fit: most filters concern the path alone
  removeFieldsWhere(draft.fields, isNotForFilters);
  draft.fields.push(...identity);
  for (let i = 0; i + 1 < draft.fields.length; i += 2) {
    const [name = '', value = ''] = [draft.fields[i], draft.fields[i + 1]];
    if (!isField(name, value)) throw unfit(name, call);
  }
}

function changesFields({ isOfPath, onRequest }: Filter): boolean {
  return onRequest !== undefined && isOfPath !== true;
}

/** R reads `X_Penstock_Subject` as `X-Penstock-Subject`, so that both spellings are one name here. */
function isNotForFilters(name: string): boolean {
  const asRead = name.replaceAll('_', '-');
  return (
    isIdentityField(asRead) || asRead === SHARED_SECRET_FIELD.toLowerCase() || isHopByHop(asRead) || FRAMING.has(asRead)
  );
}

/** What a filter writes is the operator's, but for what it takes from the request. */
function unfit(name: string, { route }: Admitted): GatewayError {
  return new GatewayError(
    'BAD_REQUEST',
    `a filter of route ${route.id} would send an unusable ${JSON.stringify(name)}`,
    {
      detail: 'A part of the URL that the route puts into a header field contains a character that no field may.',
    },
  );
}

/** `/model-{name}` with a name of two dots, say, and a filter that makes a part of its own of it. */
function astray({ route }: Admitted): GatewayError {
  return new GatewayError('BAD_REQUEST', `a filter of route ${route.id} would send a path with dot segments`, {
    detail: 'A part of the URL that the route puts into another path would lead out of that path.',
  });
}

function targetOf({ path, query }: RequestDraft, call: Admitted): string {
  const rooted = path.startsWith('/') ? path : `/${path}`;
  const isBareMark = call.hasQuery && call.query === ''; // another resource than the path without it (RFC 3986 §6.2.3)
  if (query === '') return encodeTarget(isBareMark && !rooted.includes('?') ? `${rooted}?` : rooted);
  const separator = rooted.includes('?') ? '&' : '?'; // a rewritten path may bring a query of its own
  return encodeTarget(`${rooted}${separator}${query}`);
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/** True when the message carries one well-formed `traceparent` (W3C Trace Context §3.2), so that a trace may go on. */
export function hasTraceparent(fields: RawFields): boolean {
  const values = fieldsOf(fields, 'traceparent');
  return values.length === 1 && values.every(isTraceparent);
}

function isTraceparent(value: string): boolean {
  const match = TRACEPARENT.exec(value);
  if (match === null) return false;
  const [, version, traceId = '', parentId = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return false; // only later versions may say more
  return !isAllZero(traceId) && !isAllZero(parentId);
}

function isAllZero(digits: string): boolean {
  return /^0+$/.test(digits);
}

const IS_PLAIN = /^[!-$&-~](?:[ -$&-~]*[!-$&-~])?$/;

/** True for a name, in lower case, by which an instance learns who calls: only the gateway may use it. */
export function isIdentityField(name: string): boolean {
  return name.startsWith('x-penstock-');
}

/**
 * Who calls, for the instance; nothing of an anonymous caller. Two issuers may have one subject: both are told.
 *
 * Scopes and roles are lists separated by one space. Whatever is not printable ASCII, the percent sign itself, and a
 * space within a member are percent-encoded as UTF-8 (`URLdecode` gives them back), so that two subjects never look
 * alike and no subject can end a line.
 */
export function identityFields(caller: Caller): readonly string[] {
  if (caller.subject === undefined) return NO_FIELDS;
  const known = fieldsByCaller.get(caller);
  if (known !== undefined) return known;
  const fields = toFields(caller, caller.subject);
  fieldsByCaller.set(caller, fields);
  return fields;
}

const NO_FIELDS: readonly string[] = [];

/** A verified token's caller comes again and again as the same object. */
const fieldsByCaller = new WeakMap<Caller, readonly string[]>();

function toFields(caller: Caller, subject: string): readonly string[] {
  return [
    'X-Penstock-Issuer',
    encode(caller.issuer ?? ''),
    'X-Penstock-Subject',
    encode(subject),
    'X-Penstock-Scopes',
    caller.scopes.map(encodeMember).join(' '),
    'X-Penstock-Roles',
    caller.roles.map(encodeMember).join(' '),
  ];
}

function encode(text: string): string {
  return IS_PLAIN.test(text) ? text : percentEncode(text, /^ +|(?<! ) +$|[^ -~]+|%/gu);
}

function encodeMember(text: string): string {
  return encode(text).replaceAll(' ', '%20');
}
