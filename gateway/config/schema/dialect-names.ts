/** Predicates there are. */
export const PREDICATE_NAMES = [
  ...['After', 'Before', 'Between', 'Cookie', 'Header', 'Host', 'Method', 'Path', 'Query', 'RemoteAddr'],
  ...['Weight', 'XForwardedRemoteAddr'],
] as const;

/** Filters there are. */
export const FILTER_NAMES = [
  ...['AddRequestHeader', 'AddRequestHeadersIfNotPresent', 'AddRequestParameter', 'AddResponseHeader'],
  ...[
    'CircuitBreaker',
    'DedupeResponseHeader',
    'LocalResponseCache',
    'MapRequestHeader',
    'PrefixPath',
    'PreserveHostHeader',
    'RedirectTo',
  ],
  ...[
    'RemoveRequestHeader',
    'RemoveRequestParameter',
    'RemoveResponseHeader',
    'RequestHeaderSize',
    'RequestRateLimiter',
    'RequestSize',
  ],
  ...['Retry', 'RewriteLocationResponseHeader', 'RewritePath', 'RewriteRequestParameter', 'RewriteResponseHeader'],
  ...['SecureHeaders', 'SetPath', 'SetRequestHeader', 'SetRequestHostHeader', 'SetResponseHeader', 'SetStatus'],
  ...['StripPrefix'],
] as const;

/** Parts of the dialect that have another way here, or none: what to write instead. */
export const OUR_WAY: ReadonlyMap<string, string> = new Map([
  ['Version', 'match the version as a header: `Header=API-Version, 1\\.2`'],
  ['ReadBody', 'nothing here looks into bodies; route by path, header or query'],
  ['CloudFoundryRouteService', 'match its three fields: `Header=X-CF-Forwarded-Url`, and so on'],
  ['CacheRequestBody', 'leave it out: bodies are taken in once, up to `body: { max }`'],
  ['FallbackHeaders', 'leave it out: failures are problem+json with a `code`'],
  ['JsonToGrpc', 'instances speak HTTP'],
  ['ModifyRequestBody', 'bodies pass unchanged; change them in R'],
  ['ModifyResponseBody', 'bodies pass unchanged; change them in R'],
  ['RemoveJsonAttributesResponseBody', 'bodies pass unchanged; leave the attributes out in R'],
  ['RequestHeaderToRequestUri', 'an instance is never named by its caller; write a route for each'],
  ['SetRequestUri', 'an instance is never named by its caller; write a route for each'],
  ['SaveSession', 'leave it out: the gateway keeps no sessions'],
  ['TokenRelay', 'write `auth: { forwardToken: true }` on the route, beside `filters`'],
]);
