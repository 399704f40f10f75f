import { GatewayError } from '../errors.ts';
import type { Admitted } from '../exchange.ts';
import { hopByHopOf, isField, isHopByHop } from './field-syntax.ts';
import { removeFieldsWhere } from './fields.ts';
import { forwardingFields, isForwardingClaim } from './forwarding.ts';
import { identityFields, isIdentityField } from './identity-fields.ts';
import { encodeTarget } from './percent-encoding.ts';
import type { UpstreamMessage } from '../ports.ts';
import type { RequestDraft } from '../route.ts';
import { leadsElsewhere } from './request-target.ts';
import { hasTraceparent } from './trace-context.ts';

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
 * What an instance is sent for an admitted request: the same for the exchange itself, for a stream, and for `explain`.
 *
 * The caller's fields are sorted out first, then the gateway says where the request came from and whose it is, then the
 * route's filters have their way, in order. Identity and the shared secret are said again after them: a filter may read
 * who calls, but not change it. The fields of an upgrade itself (`Connection`, `Upgrade`) are the carrier's to add.
 */
export function composeUpstream(admitted: Admitted, content: Buffer): UpstreamMessage {
  const fields = [...callersFields(admitted), ...gatewaysFields(admitted)];
  return compose(admitted, { fields, identity: identityFields(admitted.caller), content });
}

/** What a message is made of, before the route's filters. */
interface Parts {
  readonly fields: readonly string[];
  /** Who calls; empty where R is not to know. */
  readonly identity: readonly string[];
  readonly content: Buffer;
}

/** The message that these parts become once the route's filters have had their way. */
export function compose(admitted: Admitted, { fields, identity, content }: Parts): UpstreamMessage {
  const draft: RequestDraft = {
    path: admitted.path,
    query: admitted.query,
    fields: [...fields, ...identity],
    host: undefined,
    isPrefixed: false,
  };
  filter(draft, admitted, identity);
  const { sharedSecret } = admitted.route.service.policy;
  if (sharedSecret !== undefined) draft.fields.push(SHARED_SECRET_FIELD, sharedSecret);
  return {
    method: admitted.method === 'HEAD' ? 'GET' : admitted.method, // Plumber knows no HEAD
    target: targetOf(draft),
    host: draft.host,
    rawHeaders: draft.fields,
    body: content,
  };
}

/** The caller's fields that may travel on, as they came. */
export function callersFields(admitted: Admitted): string[] {
  const { rawHeaders } = admitted;
  const isHop = hopByHopOf(rawHeaders);
  const isWithheld = withheldFrom(admitted);
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    const lowerName = name.toLowerCase();
    if (isHop(lowerName) || isNeverTheCallers(lowerName) || isWithheld(lowerName)) continue;
    if (isField(name, value)) kept.push(name, value);
  }
  return kept;
}

/** httpuv reads `_` as `-`, and prefers it: `X_User` would win over `X-User`, whatever was checked of the latter. */
function isNeverTheCallers(name: string): boolean {
  return ENDS_HERE.has(name) || isIdentityField(name) || name.includes('_');
}

/** What goes no further because of who sent it, or on which route. */
function withheldFrom(admitted: Admitted): (name: string) => boolean {
  const { rawHeaders, isPeerTrusted } = admitted;
  const isTraced = hasTraceparent(rawHeaders);
  const isTokenMeant = mayForwardToken(admitted);
  return name => {
    if (name === 'authorization') return !isTokenMeant;
    if (name === 'traceparent' || name === 'tracestate') return !isTraced;
    return isForwardingClaim(name, isPeerTrusted);
  };
}

/** Without an identity of ours the field is between the caller and R. */
function mayForwardToken({ route }: Admitted): boolean {
  return route.policy.auth?.forwardToken ?? true;
}

function gatewaysFields(admitted: Admitted): string[] {
  return [...forwardingFields(admitted), 'X-Request-Id', admitted.id];
}

function filter(draft: RequestDraft, admitted: Admitted, identity: readonly string[]): void {
  const { filters } = admitted.route;
  if (filters.length === 0) return;
  const before = [...draft.fields];
  for (const each of filters) each.onRequest?.(draft, admitted);
  if (leadsElsewhere(draft.path)) throw astray(admitted);
  if (areSame(before, draft.fields)) return; // as they were they are fit: most filters concern the path alone
  removeFieldsWhere(draft.fields, isNotForFilters);
  draft.fields.push(...identity);
  for (let i = 0; i + 1 < draft.fields.length; i += 2) {
    const [name = '', value = ''] = [draft.fields[i], draft.fields[i + 1]];
    if (!isField(name, value)) throw unfit(name, admitted);
  }
}

function areSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((part, i) => part === others[i]);
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
      detail: 'A part of the URL that becomes a header field contains what no header field may.',
    },
  );
}

/** `/model-{name}` with a name of two dots, say, and a filter that makes a part of its own of it. */
function astray({ route }: Admitted): GatewayError {
  return new GatewayError('BAD_REQUEST', `a filter of route ${route.id} would send a path with dot segments`, {
    detail: 'A part of the URL that becomes a part of another path would lead out of it.',
  });
}

function targetOf({ path, query }: RequestDraft): string {
  const rooted = path.startsWith('/') ? path : `/${path}`;
  const separator = rooted.includes('?') ? '&' : '?'; // a rewritten path may bring a query of its own
  return encodeTarget(query === '' ? rooted : `${rooted}${separator}${query}`);
}
