/**
 * The advice that problems give, each with a mistake that provokes it. The mistake stands between « and », where the
 * message must point. What the advice says to write is pasted there, or at ‸ where it names another place.
 */
import type { CompileOptions } from '../../gateway/config/compile.ts';
import { OUR_WAY } from '../../gateway/config/schema/dialect-names.ts';
import type { Around, Request } from '../support/configuration.ts';

export interface Mistake {
  readonly wrong: string;
  readonly hint: string;
  /** What following the advice makes of the file, where that is more than pasting what it says. */
  readonly right?: readonly string[];
  /** A request that the one route then answers. */
  readonly request?: Request;
  readonly options?: Partial<CompileOptions> & Around;
}

type More = Omit<Mistake, 'wrong' | 'hint'>;

const row = (hint: string, wrong: string, more: More = {}): Mistake => ({ hint, wrong, ...more });

/** The advice is no text to be pasted: what it leads to is written out. */
const prose = (hint: string, wrong: string, ...right: string[]): Mistake => ({ hint, wrong, right });

/** Routes of one route. */
const route = (rest = '') => `routes: [{ id: a, uri: lb://a, ${rest} }]`;

const PREDICATES = ['Version', 'ReadBody', 'CloudFoundryRouteService'];

/** A part of the dialect that is not there: advised is a part, a key of the route or the service, or none. */
function wayOf([name, hint]: readonly [string, string]): Mistake {
  const kind = PREDICATES.includes(name) ? 'predicates' : 'filters';
  const wrong = route(`${kind}: ['«${name}»=1']`);
  const way = /`([^`]+)`/.exec(hint)?.[1];
  if (way === undefined || hint.startsWith('leave it out') || hint.includes('gateway.yaml')) {
    return prose(hint, wrong, route());
  }
  if (way.startsWith('services:')) return prose(hint, wrong, `${way.replace('NAME', 'a')}\n${route()}`);
  if (/^[A-Z]/.test(way)) return prose(hint, wrong, route(`${kind}: ['${way}']`));
  return { ...prose(hint, wrong, route(way)), options: { identityConfigured: true } };
}

/** A setting of Spring's that is none here, and what stands beside the routes, or on the route, in its place. */
const spring = (key: string, hint: string, { beside = '', onRoute = '' } = {}) =>
  prose(
    hint,
    `spring: { cloud: { gateway: { «${key}», routes: [{ id: a, uri: lb://a }] } } }`,
    `${beside}\nspring: { cloud: { gateway: { routes: [{ id: a, uri: lb://a, ${onRoute} }] } } }`,
  );

const TOKENS = 'redis-rate-limiter: { replenishRate: 10, burstCapacity: 200, requestedTokens: 30 }';
const AUDIT = 'write `audit: {}` in gateway.yaml, or leave it out here';
const JOBS = 'write `jobs: {}` in gateway.yaml, or leave it out here';
const POST = { line: 'POST /' };
const QUOTED = 'a text that begins with * is written in quotes';
const NO_ROUTES = 'for a gateway without routes write `routes: []`';
const DURATION = 'write 250ms, 5s, 2m, 1h or 30d';
const PURE = 'write `pure: true` if calling the model twice does no harm';
const VARY =
  "write `varyBy: ['header:Authorization']` to send it, and to share only among requests with the same token";
const SERVICE = 'write lb://SERVICE';
const FORMS = 'write lb://SERVICE, http://HOST:PORT or https://HOST:PORT';
const SLASHES = 'list both spellings: `Path=/red, /red/`';
const INSTANT =
  'for example 2026-01-20T17:42:47.789-07:00[America/Denver], 2026-01-20T17:42:47Z or milliseconds since 1970';

const FILES: readonly Mistake[] = [
  prose('write call: FUNCTION', route('rserve: «{}»'), route('rserve: { call: predict_fuel }')),
  row(NO_ROUTES, '«»'),
  row(NO_ROUTES, '«routes:»'),
  row('for example `routes: []`', '«[]»'),
  row('for example `{ id: fuel, uri: lb://fuel }`', 'routes: [«fuel»]', { request: { line: 'GET /' } }),
  prose('take the line `---` out, or move what follows it to a file of its own', `${route()}\n«---»\nx-a: {}`, route()),
  prose('save the file as UTF-8', `# «\uFFFD»\n${route()}`, `# gré\n${route()}`),
  prose('leave out the line that begins with %YAML', `«%YAML 1.1»\n---\n${route()}`, `---\n${route()}`),
  prose('leave out the line that begins with %', `«%FOO bar»\n---\n${route()}`, `---\n${route()}`),
  prose('leave out what begins with !', 'routes: [{ id: a, uri: «!x» lb://a }]', route()),
  prose('a text that begins with & is written in quotes', 'routes: [{ id: &a «b», uri: lb://a }]', route()),
  prose(QUOTED, 'routes: [{ id: «*a», uri: lb://a }]', "routes: [{ id: '*a', uri: lb://a }]"),
  prose('a text that begins with & or * is written in quotes', 'routes: [{ id: «&», uri: lb://a }]', route()),
  prose("write '…', or \\\\ for a backslash", 'routes: [{ id: "a«\\q»", uri: lb://a }]', route()),
  prose("write '…'", 'routes: [{ id: «@a», uri: lb://a }]', "routes: [{ id: '@a', uri: lb://a }]"),
  prose("write '…'", 'routes:\n  - uri: lb://a\n    id: «a: b»', "routes:\n  - uri: lb://a\n    id: 'a: b'"),
  prose(
    "a text that holds one of : # & * ! | > ' % @ is written in quotes",
    'routes:\n  - id: | «x»\n    uri: lb://a',
    "routes:\n  - id: '| x'\n    uri: lb://a",
  ),
  prose(
    "a text that begins so is written '…'",
    'routes:\n  - id: >«x»\n    uri: lb://a',
    "routes:\n  - id: '>x'\n    uri: lb://a",
  ),
  prose(
    'within […] and {…} everything is written in one line’s form',
    'routes: [{ id: a, uri: lb://a, filters:\n  «- StripPrefix=1» }]',
    route('filters: [StripPrefix=1]'),
  ),
  prose(
    'write the keys out, or name a whole value: `limits: *limits`',
    `x-l: &limits [{ rate: 1, per: 1s }]\n${route('«<<»: { limits: *limits }')}`,
    `x-l: &limits [{ rate: 1, per: 1s }]\n${route('limits: *limits')}`,
  ),
  prose('write out what is meant', 'x-l: &l { a: «*l» }\nroutes: []', 'x-l: { a: 1 }\nroutes: []'),
  prose(
    'write out what is meant, without aliases of aliases',
    `«x-a»: &a [${'1,'.repeat(400)}]\nx-b: &b [${'*a,'.repeat(400)}]\nx-c: [*b]\nroutes: []`,
    'routes: []',
  ),
];

const KEYS: readonly Mistake[] = [
  row('such as 250ms, 5s, 2m', route('timeout: «30»')),
  row(DURATION, route('cache: { staleIfError: «30 s», methods: [GET] }')),
  row(`${DURATION}; or http`, route('cache: { ttl: «30 s», methods: [GET] }')),
  row('such as 64KiB, 1MiB', route('body: { max: «1024» }')),
  row('write 512B, 64KiB, 1MiB or 1GiB', route('body: { max: «1MB» }')),
  row('such as 1%, 99.9%', route('pure: true, batch: { recheck: «0.01» }')),
  row('write 1% or 99.9%', route('pure: true, batch: { recheck: «one» }')),
  prose(
    'must not be shorter than `ejectFor`',
    `services: { a: { outlier: { ejectFor: 10m, ejectForMax: «1m» } } }\n${route()}`,
    `services: { a: { outlier: { ejectFor: 10m, ejectForMax: 10m } } }\n${route()}`,
  ),
  row('did you mean `timeout`?', route('«timout»: 5s')),
  row('did you mean `high`?', route('priority: «hgih»')),
  row('did you mean `name`?', route('filters: [{ «nmae»: x, name: StripPrefix }]'), {
    right: [route('filters: [{ name: StripPrefix }]')],
  }),
  row('known: name, args', route('filters: [{ name: StripPrefix, «parts»: 1 }]'), {
    right: [route('filters: [{ name: StripPrefix, args: { parts: 1 } }]')],
  }),
  prose(
    'the key `order` is written on each route',
    'defaults: { «order»: 1 }\nroutes: [{ uri: lb://a }]',
    route('order: 1'),
  ),
  row('write https://HOST or https://HOST:PORT, without a path', route('cors: { origins: [«https://a/b»] }')),
  {
    ...prose(AUDIT, route('audit: «true»'), route()),
    options: { auditConfigured: false },
  },
  {
    ...prose(JOBS, route('pure: true, async: «always»'), route('pure: true')),
    options: { jobsConfigured: false },
  },
  {
    ...prose(
      'give it another path, or write another `jobs.path`',
      `routes: [«{ id: a, uri: lb://a, predicates: ['Path=/jobs/**'] }»]`,
      route("predicates: ['Path=/work/**']"),
    ),
    options: { ownPaths: { jobs: '/jobs', inference: '/v2' } },
  },
  row('configure `identity`, or leave `auth` out to serve openly', route('«auth: { allow: [jwt] }»'), {
    right: [route()],
  }),
  row('write `excess: queue` beside it', route('limits: [{ ‸ rate: 1, per: 1s, burst: «5» }]')),
  prose(
    'write `by: caller` or `by: route`',
    route('limits: [{ rate: 1, per: 1s, by: ip, cost: «rows» }]'),
    route('limits: [{ rate: 1, per: 1s, by: caller, cost: rows }]'),
    route('limits: [{ rate: 1, per: 1s, by: route, cost: rows }]'),
  ),
  row(VARY, route('‸ auth: { forwardToken: «true» }, coalesce: true, predicates: [Method=GET]'), {
    options: { identityConfigured: true },
  }),
  row(PURE, route('‸ batch: «{}»'), { request: POST }),
  row(PURE, route('‸ coalesce: «true»'), { request: POST }),
  row(PURE, route('‸ cache: «{}»'), { request: POST }),
  row("write '${env:NAME}' or '${file:PATH}'", `services: { a: { sharedSecret: «sesame» } }\n${route()}`),
  row('write ${env:NAME} or ${env:NAME:-default}', 'routes:\n  - uri: «${env:9x}»'),
  row('set it, or write ${env:UNSET:-default}', 'routes:\n  - uri: lb://a\n    id: «${env:UNSET}»'),
  row('write ${file:PATH}', 'routes:\n  - uri: «${file:}»'),
  row('did you mean `a`?', `services: { «aa»: {} }\n${route()}`),
  prose(
    'write one, or leave the key out',
    'routes:\n  - uri: lb://a\n    «predicates»:',
    'routes:\n  - uri: lb://a\n    predicates: [Path=/a]',
    'routes:\n  - uri: lb://a',
  ),
  prose(
    'move it before wide, or give it a smaller `order`',
    'routes: [{ id: wide, uri: lb://a }, «{ id: a, uri: lb://a, predicates: [Path=/a] }»]',
    'routes: [{ id: a, uri: lb://a, predicates: [Path=/a] }, { id: wide, uri: lb://a }]',
  ),
  prose(
    'write `hangMax: 3m` for the service, or a shorter `timeout` for the route',
    'routes: [{ uri: «lb://a», timeout: 3m }]',
    'services: { a: { hangMax: 3m } }\nroutes: [{ uri: lb://a, timeout: 3m }]',
    'routes: [{ uri: lb://a, timeout: 2m }]',
  ),
];

const URIS: readonly Mistake[] = [
  row(FORMS, 'routes: [{ uri: «a» }]'),
  row(SERVICE, 'routes: [{ uri: «lb:https://a» }]'),
  row(SERVICE, 'routes: [{ uri: «lb://a:80» }]'),
  prose(
    'leave it out, and name an authority of your own: `ca: FILE`',
    'services: { a: { tls: { verify: «false» } } }\nroutes: [{ uri: lb://a }]',
    'services: { a: { tls: { ca: FILE } } }\nroutes: [{ uri: lb://a }]',
  ),
  prose(
    'write lb://SERVICE, of letters, digits, `.`, `_` and `-`',
    'routes: [{ uri: «lb://a!» }]',
    'routes: [{ uri: lb://a._-1 }]',
  ),
  row("write '${env:NAME}' or '${file:PATH}'", 'routes: [{ uri: «"${1}"» }]'),
  prose(
    'where RedirectTo answers write a service that is never asked: lb://nowhere',
    "routes: [{ id: a, uri: «no://op», filters: ['RedirectTo=302, /x'] }]",
    "routes: [{ id: a, uri: lb://nowhere, filters: ['RedirectTo=302, /x'] }]",
  ),
  row('name the service that answers: lb://SERVICE', 'routes: [{ uri: «forward:/x» }]'),
  row('did you mean lb://fuel?', 'routes: [{ uri: «lb://fule» }]', { options: { knownServices: new Set(['fuel']) } }),
  prose(
    'what follows the address has no effect: use SetPath or PrefixPath',
    'routes: [{ uri: «http://h:1/x» }]',
    "routes: [{ uri: 'http://h:1', filters: [PrefixPath=/x] }]",
    "routes: [{ uri: 'http://h:1', filters: [SetPath=/x] }]",
  ),
];

const PLACEHOLDERS: readonly Mistake[] = [
  prose(
    'set USER_URL, or write a default: ${user.url:…}',
    "routes: [{ id: a, uri: «'${user.url}'» }]",
    "routes: [{ id: a, uri: '${user.url:http://users:8081}' }]",
  ),
  prose(
    'write out what is meant',
    "spring.cloud.gateway.routes: [{ id: a, uri: lb://a, filters: ['PrefixPath=«/${x-p}»'] }]\nx-p: '${x-p}'",
    route("filters: ['PrefixPath=/p']"),
  ),
];

const PARTS: readonly Mistake[] = [
  ...[...OUR_WAY].map(wayOf),
  prose(
    'write `limits: [{ rate: 10, per: 1s }]` on the route, beside `filters`',
    route('filters: [«RequestRateLimiter»]'),
    route('limits: [{ rate: 10, per: 1s }]'),
  ),
  prose(
    'write `limits: [{ rate: 1, per: 3s, by: ip, excess: queue, burst: 6, waitMax: 0s }]` on the route, beside `filters`',
    route(`filters: [{ name: RequestRateLimiter, args: { ${TOKENS}, key-resolver: '«#{@ipKeyResolver}»' } }]`),
    route('limits: [{ rate: 1, per: 3s, by: ip, excess: queue, burst: 6, waitMax: 0s }]'),
  ),
  prose(
    'write a `burstCapacity` of `requestedTokens` at least',
    route(
      'filters: [«{ name: RequestRateLimiter, args: { redis-rate-limiter: { replenishRate: 1, requestedTokens: 2 } } }»]',
    ),
    route(
      'filters: [{ name: RequestRateLimiter, args: { redis-rate-limiter: { replenishRate: 1, burstCapacity: 2, requestedTokens: 2 } } }]',
    ),
  ),
  prose(
    'write 250ms, 5s, 2m or 1h',
    route("filters: ['LocalResponseCache=«soon»']"),
    route("filters: ['LocalResponseCache=5s']"),
  ),
  row('did you mean StripPrefix?', route("filters: ['«StripPrefx»=1']"), { request: { line: 'GET /a/b' } }),
  row('for example Path=/api/**', route('predicates: [«Path»]'), { request: { line: 'GET /api/x' } }),
  prose(
    'must be text such as StripPrefix=1, or `name` and `args`',
    route('filters: [«3»]'),
    route('filters: [StripPrefix=1]'),
  ),
  prose(
    'for example RedirectTo=302, https://example.org/',
    route("filters: [«'RedirectTo=302'»]"),
    route("filters: ['RedirectTo=302, https://example.org/']"),
  ),
  row('for example PreserveHostHeader', route("filters: [«'PreserveHostHeader=1'»]")),
  row('did you mean `parts`?', route('filters: [{ name: StripPrefix, args: { «part»: 1 } }]')),
  row('write `name: Header` and `args:` instead', route("predicates: ['Header=«X, a(»']"), {
    right: [route("predicates: [{ name: Header, args: { header: X, regexp: 'a\\(' } }]")],
    request: { line: 'GET /', headers: ['X', 'a('] },
  }),
  row('a value that holds a comma is written with `name` and `args`', route("predicates: ['Query=a, b, «c»']"), {
    right: [route("predicates: [{ name: Query, args: { param: a, regexp: 'b, c' } }]")],
    request: { line: 'GET /?a=b,%20c' },
  }),
  row('a literal { is written \\{', route("predicates: [{ name: Header, args: { header: X, regexp: 'a«{»' } }]"), {
    request: { line: 'GET /', headers: ['X', 'a{'] },
  }),
  row('\\p{Lu} beside (?i) is not supported; write \\p{L}', route("predicates: ['Header=X, (?i)«\\p{Lu}»']"), {
    request: { line: 'GET /', headers: ['X', 'a'] },
  }),
  row(
    'a class within a class is not supported; a literal [ is written \\[',
    route("predicates: ['Header=X, [a«[»b]']"),
    {
      request: { line: 'GET /', headers: ['X', '['] },
    },
  ),
  row('a group within {name:regex} must be written (?:…)', route("predicates: ['Path=/«{a:(x|y)}»']"), {
    right: [route("predicates: ['Path=/{a:(?:x|y)}']")],
    request: { line: 'GET /y' },
  }),
  row(
    '`$` stands before a group’s number or {name}; as a character it is `\\$`',
    route("filters: ['RewritePath=/a, «/$b»']"),
    {
      right: [route("filters: ['RewritePath=/a, /\\$b']")],
      request: { line: 'GET /a' },
    },
  ),
  row('capture it, for example with Path=/{name}/**', route("filters: ['SetPath=/«{name}»']"), {
    right: [route("predicates: ['Path=/{name}/**'], filters: ['SetPath=/{name}']")],
    request: { line: 'GET /x/y' },
  }),
  row('captured: x, y', route("predicates: ['Path=/{x}/{y}'], filters: ['SetPath=/«{name}»']"), {
    right: [route("predicates: ['Path=/{x}/{y}'], filters: ['SetPath=/{x}']")],
    request: { line: 'GET /x/y' },
  }),
  row(INSTANT, route('predicates: ["After=«today»"]'), { request: { line: 'GET /', wallMs: 4e12 } }),
  row('did you mean GET?', route('predicates: ["Method=«GTE»"]'), { request: { line: 'GET /' } }),
  row('did you mean POST?', route('predicates: ["Method=«post»"]'), { request: POST }),
  row(SLASHES, route("predicates: [«'Path=/red, true'»]"), { request: { line: 'GET /red/' } }),
  row('write 192.168.1.0/24, or fd00::/8', route('predicates: ["RemoteAddr=«here»"]')),
  row('write 5000000, 5MB or 5MiB', route('body: { max: 1GiB }, filters: ["RequestSize=«5 MB»"]'), {
    right: ['5000000', '5MB', '5MiB'].map(size => route(`stream: true, filters: ["RequestSize=${size}"]`)),
  }),
  row('write `body: { max: 5MiB }` on the route', route('‸ filters: [«RequestSize=5MB»]')),
  row(PURE, route('‸ predicates: [Method=POST], retry: «{ attempts: 2 }»'), { request: POST }),
  row('for example https://example.org/', route('filters: ["RedirectTo=302, «example»"]')),
  prose(
    'status must be one of 300 to 399 that redirects',
    route("filters: ['RedirectTo=«200», https://example.org/']"),
    route("filters: ['RedirectTo=302, https://example.org/']"),
  ),
  prose(
    'must be written as it stands in a URL, percent-encoded',
    route("filters: ['AddRequestParameter=a, «x y»']"),
    route("filters: ['AddRequestParameter=a, x%20y']"),
  ),
  prose(
    'of \\p only general categories such as \\p{L} and \\p{Nd} are supported',
    route("predicates: ['Header=X, «\\p{IsLatin}»']"),
    route("predicates: ['Header=X, \\p{L}']"),
  ),
  prose(
    'status must be a number from 200 to 599, or a name such as NOT_FOUND',
    route('filters: ["SetStatus=«never»"]'),
    route('filters: ["SetStatus=NOT_FOUND"]'),
  ),
  row('write X-A', route('filters: ["AddRequestHeader=«X_A», 1"]')),
  prose(
    'write `services: { NAME: { connection: { reuse } } }`',
    route('filters: ["SetRequestHeader=«Connection», close"]'),
    `services: { a: { connection: { reuse: false } } }\n${route()}`,
  ),
  row(
    'did you mean x-frame-options?',
    route('filters: [{ name: SecureHeaders, args: { disable: «x-frame-option» } }]'),
  ),
];

/** CORS of Spring's for every path, and what is written in its place. */
const springCors = (hint: string, wrong: string, right: string) =>
  prose(
    hint,
    `spring.cloud.gateway: { globalcors: { cors-configurations: ${wrong} }, routes: [{ id: a, uri: lb://a }] }`,
    `spring.cloud.gateway: { globalcors: { cors-configurations: ${right} }, routes: [{ id: a, uri: lb://a }] }`,
  );

const LOCATOR =
  "leave it out, and write under `routes:` for each service `- { id: NAME, uri: 'lb://NAME', predicates: ['Path=/NAME/**'], filters: ['RewritePath=/NAME/?(?<remaining>.*), /$\\{remaining}'] }`";
const ORIGINS = "write each in full: `allowedOrigins: ['https://app.example.org', 'http://localhost:3000']`";

/** Of filters and predicates that came from Spring as they are. */
const DIALECT: readonly Mistake[] = [
  prose(
    'for example Weight=group1, 8',
    route("predicates: [«'Weight=group1'»]"),
    route("predicates: ['Weight=group1, 8']"),
  ),
  row('for example 8', route("predicates: ['Weight=group1, «x»']")),
  row(
    'for example cookie:session',
    route('predicates: [{ name: Weight, args: { group: a, weight: 1, by: «session» } }]'),
  ),
  prose(
    'write `listen: { trustedProxies: [10.0.0.0/8] }` in gateway.yaml',
    route('predicates: [«{ name: XForwardedRemoteAddr, args: { sources: 10.0.0.1, maxTrustedIndex: 1 } }»]'),
    route("predicates: ['XForwardedRemoteAddr=10.0.0.1']"),
  ),
  row('for example X-Env:prod', route("filters: ['AddRequestHeadersIfNotPresent=«X-Env»']")),
  row('did you mean RETAIN_UNIQUE?', route("filters: ['DedupeResponseHeader=A, «RETAIN_UNIQ»']")),
  row('for example example.org or example.org:8080', route("filters: ['SetRequestHostHeader=«a/b»']"), {
    right: [route("filters: ['SetRequestHostHeader=example.org:8080']")],
  }),
  row('for example example.org', route("filters: ['RewriteLocationResponseHeader=NEVER_STRIP, Location, «a/b»']")),
  prose(
    'leave `fallbackUri` out: a failure is answered as problem+json with its `code`',
    route('filters: [{ name: CircuitBreaker, args: { fallbackUri: «forward:/x» } }]'),
    route(),
  ),
  prose(
    'write `services: { NAME: { outlier: { failures: 5 } } }` where its defaults do not fit',
    route('filters: [«CircuitBreaker=x»]'),
    `services: { a: { outlier: { failures: 5 } } }\n${route()}`,
  ),
  row('for example BAD_GATEWAY', route("predicates: [Method=GET], filters: ['Retry=3, «OK»']")),
  prose(
    'write `pure: true` on the route if it does none',
    route("filters: ['Retry=3, BAD_GATEWAY, «POST»']"),
    route('pure: true, filters: [Retry=3]'),
  ),
];

const SPRING: readonly Mistake[] = [
  spring('httpclient.proxy: {}', 'leave it out: instances are called without a proxy between'),
  spring('discovery.locator.enabled: true', LOCATOR),
  spring('loadbalancer.use404: true', 'leave it out: no instance is 503 SERVICE_UNAVAILABLE here'),
  spring(
    'filter.secure-headers: {}',
    'leave it out, and write `SetResponseHeader=NAME, VALUE` under `default-filters`',
    { onRoute: "filters: ['SetResponseHeader=X-Frame-Options, SAMEORIGIN']" },
  ),
  spring('trusted-proxies: x', 'leave it out, and write `listen: { trustedProxies: [10.0.0.0/8] }` in gateway.yaml'),
  spring('set-status: {}', 'leave it out: the original status is not kept'),
  spring('mvc: {}', 'routes of the Servlet gateway have filters of their own; write them under `routes:`'),
  spring('websocket: {}', 'leave it out: Spring Cloud Gateway has none'),
  spring('metric: {}', 'did you mean `metrics`?'),
  prose(
    'nothing here asks on what it runs: take the line out where the document is meant',
    `spring: { config.activate: { «on-cloud-platform»: kubernetes } }\n---\nspring.cloud.gateway.routes: []`,
    `spring.cloud.gateway.routes: []`,
  ),
  springCors("write '[/**]': with what is allowed below it", '«[]»', "{ '[/**]': { allowedOrigins: '*' } }"),
  springCors(
    "for example `allowedOrigins: ['https://app.example.org']`",
    "{ '[/**]': «[]» }",
    "{ '[/**]': { allowedOrigins: ['https://app.example.org'] } }",
  ),
  prose(
    "take it out, and write `cors: { origins: ['https://app.example.org'] }` on each route that it is for",
    "spring.cloud.gateway: { globalcors: { cors-configurations: { «'[/a/**]'»: {} } }, routes: [{ id: a, uri: lb://a }] }",
    route("cors: { origins: ['https://app.example.org'] }"),
  ),
  springCors(
    ORIGINS,
    "{ '[/**]': { «allowedOriginPatterns»: 'https://*.example.org' } }",
    "{ '[/**]': { allowedOrigins: ['https://app.example.org', 'http://localhost:3000'] } }",
  ),
  springCors(
    `${ORIGINS}; or \`allowCredentials: false\``,
    "{ '[/**]': { «allowedOrigins»: '*', allowCredentials: true } }",
    "{ '[/**]': { allowedOrigins: '*', allowCredentials: false } }",
  ),
  springCors(
    'did you mean `allowed-origins`?',
    "{ '[/**]': { allowedOrigins: '*', «allowedOrigin»: x } }",
    "{ '[/**]': { allowedOrigins: '*' } }",
  ),
  prose(
    'write 200 (milliseconds), 5s or 1m',
    route('metadata: { response-timeout: «soon» }'),
    route('metadata: { response-timeout: 200 }'),
    route('metadata: { response-timeout: 5s }'),
  ),
  prose(
    'write `services: { a: { connection: { connectTimeout } } }`',
    'routes: [{ id: a, uri: lb://a, metadata: { connect-timeout: 1 } }, { id: b, uri: lb://a, metadata: { «connect-timeout»: 2 } }]',
    'services: { a: { connection: { connectTimeout: 2ms } } }\nroutes: [{ id: a, uri: lb://a, predicates: [Path=/a] }, { id: b, uri: lb://a }]',
  ),
];

export const ROUTES_ADVICE: readonly Mistake[] = [
  ...FILES,
  ...KEYS,
  ...URIS,
  ...PLACEHOLDERS,
  ...PARTS,
  ...DIALECT,
  ...SPRING,
];

const pem = (kind: string) => `-----BEGIN ${kind} KEY-----\n`;
const ISSUER = `identity:\n  jwt:\n  - issuer: i\n    audience: a\n`;

const HERE = `${ISSUER}    algorithms: [HS256]\n    secret: '\${env:SECRET}'`;

export const GATEWAY_ADVICE: readonly Mistake[] = [
  row('for a gateway with every default write `{}`', '«»'),
  row('for a gateway with every default write `{}`', '«# identity: …»'),
  row('write `access: { open: [livez, readyz, metrics], tokens: [] }`', 'admin: { ‸ host: «0.0.0.0» }'),
  prose(
    'write `services: [fuel]`',
    `admin: { access: { tokens: [{ name: a, sha256: ${'a'.repeat(64)}, role: «scientist» }] } }`,
    `admin: { access: { tokens: [{ name: a, sha256: ${'a'.repeat(64)}, role: scientist, services: [fuel] }] } }`,
  ),
  {
    ...prose(
      'name them beside `roles`, as in `services: { data-team: [fuel] }`',
      `admin: { access: { roles: { scientist: [«data-team»] } } }\n${HERE}`,
      `admin: { access: { roles: { scientist: [data-team] }, services: { data-team: [fuel] } } }\n${HERE}`,
    ),
    options: { variables: { SECRET: 'x'.repeat(32) } },
  },
  row('write 10.0.0.0/8, or fd00::/8', 'listen: { trustedProxies: [«proxy»] }'),
  {
    ...prose(
      'write `mtls: {}` in `identity`, or leave it out here',
      'listen: { tls: { cert: PATH, key: PATH, clientCa: «PATH» } }',
      'listen: { tls: { cert: PATH, key: PATH, clientCa: PATH } }\nidentity: { mtls: {} }',
      'listen: { tls: { cert: PATH, key: PATH } }',
    ),
  },
  {
    ...prose(
      'name the authorities of their certificates: `listen.tls.clientCa`',
      'listen: { tls: { cert: PATH, key: PATH } }\nidentity: { «mtls»: {} }',
      'listen: { tls: { cert: PATH, key: PATH, clientCa: PATH } }\nidentity: { mtls: {} }',
    ),
  },
  row(
    'write http://HOST:PORT, without path or credentials',
    'discovery: { static: [{ service: a, instances: [«a/b»] }] }',
  ),
  {
    ...prose(
      'write entry: FOLDER, or script: FILE',
      'discovery: { local: [«{ service: a }»] }',
      'discovery: { local: [{ service: a, entry: fuel }] }',
    ),
    options: { files: { '/etc/penstock/fuel/plumber.R': '' } },
  },
  row('did you mean `HS256`?', `${ISSUER}    algorithms: [«HS265»]\n    secret: '\${env:SECRET}'`, {
    options: { variables: { SECRET: 'x'.repeat(32) } },
  }),
  {
    ...prose(
      'is a private key: here belongs the public one',
      `${ISSUER}    algorithms: [RS256]\n    publicKey: «private.pem»`,
      `${ISSUER}    algorithms: [RS256]\n    publicKey: public.pem`,
    ),
    options: { files: { '/etc/penstock/private.pem': pem('PRIVATE'), '/etc/penstock/public.pem': pem('PUBLIC') } },
  },
];
