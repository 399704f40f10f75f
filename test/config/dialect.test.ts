import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripPrefix } from '../../gateway/domain/routing/request-filters.ts';
import { explained, routesOf, soundRoutes, reported, type Request } from '../support/configuration.ts';

/** What becomes of a request on a route of these predicates and filters. */
interface Case {
  readonly predicates?: readonly unknown[];
  readonly filters?: readonly unknown[];
  readonly defaults?: readonly unknown[];
  readonly request: Request;
}

function routeOf({ predicates = [], filters = [], defaults = [] }: Omit<Case, 'request'>): string {
  // JSON is YAML, and spares the table a second level of quoting.
  return JSON.stringify({ 'default-filters': defaults, routes: [{ id: 'r', uri: 'lb://s', predicates, filters }] });
}

function sent({ request, ...route }: Case) {
  const { answers } = explained(soundRoutes(routeOf(route)), request);
  return answers?.sent ?? assert.fail('nothing was sent');
}

function matches(predicate: unknown, request: Request): boolean {
  return explained(soundRoutes(routeOf({ predicates: [predicate] })), request).answers !== null;
}

function messagesOf(route: Omit<Case, 'request'>): string[] {
  return routesOf(routeOf(route)).problems.map(
    ({ message, hint }) => `${message}${hint === undefined ? '' : ` (${hint})`}`,
  );
}

type MatchRow = readonly [predicate: unknown, request: string | Request, holds: boolean];

const at = (iso: string): Request => ({ line: 'GET /', wallMs: Date.parse(iso) });
const withHeaders = (...headers: string[]): Request => ({ line: 'GET /', headers });

describe('predicates', () => {
  const rows: readonly MatchRow[] = [
    ['After=2017-01-20T17:42:47.789-07:00[America/Denver]', at('2017-01-21T00:42:47.790Z'), true],
    ['After=2017-01-20T17:42:47.789-07:00[America/Denver]', at('2017-01-21T00:42:47.789Z'), false],
    ['After=1484959367789', at('2017-01-21T00:42:47.790Z'), true],
    ['Before=2017-01-20T17:42Z', at('2017-01-20T17:41:59.999Z'), true],
    ['Before=2017-01-20T17:42Z', at('2017-01-20T17:42:00Z'), false],
    ['Between=2017-01-20T00:00:00Z, 2017-01-21T00:00:00Z', at('2017-01-20T12:00:00Z'), true],
    ['Between=2017-01-20T00:00:00Z, 2017-01-21T00:00:00Z', at('2017-01-20T00:00:00Z'), false],
    ['Between=2017-01-20T00:00:00Z, 2017-01-21T00:00:00Z', at('2017-01-21T00:00:00Z'), false],

    ['Cookie=chocolate, ch.p', withHeaders('Cookie', 'a=b; chocolate=chip'), true],
    ['Cookie=chocolate, ch.p', withHeaders('Cookie', 'chocolate=chips'), false],
    ['Cookie=chocolate, ch.p', withHeaders('Cookie', 'chocolate="chip"'), true],
    ['Cookie=chocolate, ch.p', withHeaders('Cookie', 'Chocolate=chip'), false],
    ['Cookie=chocolate, ch.p', withHeaders('Cookie', 'chocolate=x', 'Cookie', 'chocolate=chop'), true],
    ['Cookie=chocolate, .*', withHeaders(), false],

    ['Header=X-Request-Id', withHeaders('x-request-id', ''), true],
    ['Header=X-Request-Id', withHeaders('X-Request', '1'), false],
    ['Header=X-Request-Id, \\d+', withHeaders('X-Request-Id', '42'), true],
    ['Header=X-Request-Id, \\d+', withHeaders('X-Request-Id', '42a'), false],
    ['Header=X-Request-Id, \\d+', withHeaders('X-Request-Id', 'a, 42'), true],
    ['Header=X-Request-Id, \\d+', withHeaders('X-Request-Id', 'a', 'X-Request-Id', '7'), true],
    ['Header=X-Tag, a[,]b', withHeaders('X-Tag', '"a,b"'), true],

    ['Host=**.somehost.org,**.other.org', withHeaders('Host', 'www.other.org'), true],
    ['Host=**.somehost.org', withHeaders('Host', 'a.b.somehost.org'), true],
    ['Host=**.somehost.org', withHeaders('Host', 'somehost.org'), true],
    ['Host=*.somehost.org', withHeaders('Host', 'a.b.somehost.org'), false],
    ['Host=*.somehost.org', withHeaders('Host', 'www.SomeHost.org'), true],
    ['Host=**.SomeHost.org', withHeaders('Host', 'a.somehost.org'), true],
    ['Host=api.example.org', withHeaders('Host', 'api.example.org:8080'), false],
    ['Host=api.example.org:8080', withHeaders('Host', 'api.example.org:8080'), true],
    [
      { name: 'Host', args: { patterns: 'api.example.org', includePort: false } },
      withHeaders('Host', 'api.example.org:8080'),
      true,
    ],
    ['Host={sub:[a-z]+}.example.org', withHeaders('Host', 'a1.example.org'), false],
    ['Host=api?.example.org', withHeaders('Host', 'api1.example.org'), true],
    ['Host=**.example.**', withHeaders('Host', 'a.b.example.co.uk'), true],

    ['Method=GET,POST', 'POST /', true],
    ['Method=GET,POST', 'PUT /', false],
    ['Method=GET', 'HEAD /', true],
    ['Method=POST', 'HEAD /', false],

    ['Path=/red/{segment},/blue/**', 'GET /red/1', true],
    ['Path=/red/{segment},/blue/**', 'GET /red/1/', false],
    ['Path=/red/{segment},/blue/**', 'GET /red/', false],
    ['Path=/red/{segment},/blue/**', 'GET /blue', true],
    ['Path=/red/{segment},/blue/**', 'GET /blue/', true],
    ['Path=/red/{segment},/blue/**', 'GET /blue/a/b', true],
    ['Path=/red/{segment},/blue/**', 'GET /bluer', false],
    ['Path=/red', 'GET /Red', false],
    ['Path=/red', 'GET /red/', false],
    ['Path=/red/, false', 'GET /red/', true],
    ['Path=/a/*/c', 'GET /a/b/c', true],
    ['Path=/a/*/c', 'GET /a//c', false],
    ['Path=/a/*', 'GET /a/', true],
    ['Path=/a/*', 'GET /a', false],
    ['Path=/a/*.csv', 'GET /a/x.csv', true],
    ['Path=/a/*.csv', 'GET /a/x.json', false],
    ['Path=/a/r?d', 'GET /a/rad', true],
    ['Path=/a/r?d', 'GET /a/rd', false],
    ['Path=/m/{id:\\d{1,3}}', 'GET /m/123', true],
    ['Path=/m/{id:\\d{1,3}}', 'GET /m/1234', false],
    ['Path=/{*rest}', 'GET /a/b', true],
    ['Path=/**/predict', 'GET /a/b/predict', true],
    ['Path=/**/predict', 'GET /predict', true],
    ['Path=/**/predict', 'GET /predict/a', false],
    ['Path=/admin/**', 'GET /%61dmin/x', true],
    ['Path=/a b', 'GET /a%20b', true],
    ['Path=/caf%C3%A9', 'GET /caf%c3%a9', true],
    ['Path=/', 'GET /', true],
    [{ name: 'Path', args: { patterns: ['/a/**', '/b/**'] } }, 'GET /b/1', true],
    [{ name: 'Path', args: { pattern: '/a/**' } }, 'GET /a/1', true],
    [{ name: 'Path', args: { _genkey_0: '/a/**', _genkey_1: '/b/**' } }, 'GET /b/1', true],
    [{ name: 'Path', args: { 'patterns.0': '/a', 'patterns[1]': '/b' } }, 'GET /b', true],

    ['Query=red', 'GET /?red', true],
    ['Query=red', 'GET /?red=1', true],
    ['Query=red', 'GET /?read', false],
    ['Query=red', 'GET /', false],
    ['Query=red, gree.', 'GET /?red=green', true],
    ['Query=red, gree.', 'GET /?red=greet', true],
    ['Query=red, gree.', 'GET /?red=greener', false],
    ['Query=red, gree.', 'GET /?red=x&red=gree%6e', true],
    ['Query=red, a b', 'GET /?red=a+b', true],
    ['Query=red, .*', 'GET /?red', false],
    ['Query=red, .*', 'GET /?red=', true],

    ['RemoteAddr=127.0.0.1/24', 'GET /', true],
    ['RemoteAddr=127.0.0.2', 'GET /', false],
    ['RemoteAddr=10.0.0.0/8, ::ffff:127.0.0.1', 'GET /', true],
  ];

  for (const [predicate, request, holds] of rows) {
    const sent = typeof request === 'string' ? { line: request } : request;
    const title = typeof predicate === 'string' ? predicate : JSON.stringify(predicate);

    test(`${title} ${holds ? 'holds' : 'does not hold'} for ${sent.line} ${(sent.headers ?? []).join(' ')}`, () => {
      assert.equal(matches(predicate, sent), holds);
    });
  }

  test('all must hold', () => {
    const text = routeOf({ predicates: ['Path=/a', 'Query=b'] });

    assert.equal(explained(soundRoutes(text), { line: 'GET /a' }).answers, null);
    assert.notEqual(explained(soundRoutes(text), { line: 'GET /a?b' }).answers, null);
  });
});

describe('filters on the way to the instance', () => {
  const rows: readonly (readonly [
    filters: readonly unknown[],
    path: string,
    target: string,
    predicates?: readonly string[],
  ])[] = [
    [['StripPrefix=2'], '/name/blue/red', '/red'],
    [['StripPrefix'], '/a/b/', '/b/'],
    [['StripPrefix=1'], '/a', '/'],
    [['SetPath=/a//b///c', 'StripPrefix=1'], '/x', '/b/c'],
    [['StripPrefix=5'], '/a/b', '/'],
    [[{ name: 'StripPrefix', args: { parts: 1 } }], '/a/b', '/b'],
    [['StripPrefix=1'], '/a/b%3fc%41?x=1', '/b%3FcA?x=1'],
    [['PrefixPath=/mypath'], '/hello', '/mypath/hello'],
    [['PrefixPath=/a', 'PrefixPath=/b'], '/c', '/a/c'],
    [['PrefixPath=/{segment}'], '/red/1', '/1/red/1', ['Path=/red/{segment}']],
    [['SetPath=/{segment}'], '/red/blue?q', '/blue?q', ['Path=/red/{segment}']],
    [['SetPath=/x/{segment}'], '/red/a%3fb', '/x/a%3Fb', ['Path=/red/{segment}']],
    [['SetPath=/x{rest}'], '/red/a/b', '/x/a/b', ['Path=/red/{*rest}']],
    [['RewritePath=/red/?(?<segment>.*), /$\\{segment}'], '/red/blue', '/blue'],
    [['RewritePath=/red/?(?<segment>.*), /${segment}'], '/red/blue', '/blue'],
    [['RewritePath=/red/?(?<segment>.*), /$\\{segment}'], '/red', '/'],
    [['RewritePath=/a/(.)(.*), /$2/$1'], '/a/xyz', '/yz/x'],
    [['RewritePath=/a/(?<x>.*), /b?y=$\\{x}'], '/a/1?z=2', '/b?y=1&z=2'],
    [['RewritePath=/a/(?<x>.*), /b?y=$\\{x}', 'PrefixPath=/p'], '/a/1', '/p/b?y=1'],
    [['RewritePath=b, c'], '/b/b', '/c/c'],
    [['RewritePath=/x(\\d{1,2}), /y$1'], '/x42', '/y42'],
    [['RewritePath=/a%20b, /c'], '/a%20b', '/c'],
    [['AddRequestParameter=red, blue'], '/', '/?red=blue'],
    [['AddRequestParameter=red, blue'], '/?a=%20', '/?a=%20&red=blue'],
    [['AddRequestParameter=red, {segment}'], '/a/x&y=1', '/a/x&y=1?red=x%26y%3D1', ['Path=/a/{segment}']],
  ];

  for (const [filters, path, target, predicates = []] of rows) {
    test(`${JSON.stringify(filters)} makes ${path} ${target}`, () => {
      assert.equal(sent({ filters, predicates, request: { line: `GET ${path}` } }).target, target);
    });
  }

  test('StripPrefix takes several slashes for one', () => {
    const draft = { path: '/a//b///c', query: '', fields: [], host: undefined, isPrefixed: false };

    stripPrefix('StripPrefix=1', 1).onRequest?.(draft, {} as never);

    assert.equal(draft.path, '/b/c');
  });

  const fieldsSent = (filters: readonly unknown[], request: Request, predicates: readonly string[] = []) =>
    sent({ filters, predicates, request })
      .headers.filter(([name]) => /^x-(?!forwarded|request)/i.test(name))
      .map(([name, value]) => `${name}: ${value}`);

  test('AddRequestHeader adds, SetRequestHeader replaces, RemoveRequestHeader removes', () => {
    const request = withHeaders('X-A', '1', 'x-b', '2', 'X-C', '3');

    assert.deepEqual(fieldsSent(['AddRequestHeader=X-A, more'], request), ['X-A: 1', 'x-b: 2', 'X-C: 3', 'X-A: more']);
    assert.deepEqual(fieldsSent(['SetRequestHeader=X-B, else'], request), ['X-A: 1', 'X-C: 3', 'X-B: else']);
    assert.deepEqual(fieldsSent(['RemoveRequestHeader=X-B'], request), ['X-A: 1', 'X-C: 3']);
  });

  test('templates take what Path and Host captured', () => {
    const request = { line: 'GET /red/blue', headers: ['Host', 'alice.example.org'] };
    const predicates = ['Path=/red/{segment}', 'Host={sub}.example.org'];

    assert.deepEqual(fieldsSent(['AddRequestHeader=X-Seen, {sub}-{segment}!'], request, predicates), [
      'X-Seen: alice-blue!',
    ]);
  });

  test('a mixture of text and captures takes as much as it can', () => {
    const { answers } = explained(soundRoutes(routeOf({ predicates: ['Path=/{name}-{version}.tar'] })), {
      line: 'GET /a-b-1.tar',
    });

    assert.deepEqual(answers?.variables, { name: 'a-b', version: '1' });
  });

  test('PreserveHostHeader sends the caller’s Host', () => {
    const request = withHeaders('Host', 'api.example.org');

    assert.equal(sent({ filters: ['PreserveHostHeader'], request }).host, 'api.example.org');
    assert.equal(sent({ request }).host, undefined);
  });

  test('default filters and the route’s own are interleaved', () => {
    const defaults = ['SetRequestHeader=X-Last, default-1', 'SetRequestHeader=X-Last, default-2'];
    const filters = ['AddRequestHeader=X-Seen, own-1', 'SetRequestHeader=X-Last, own-2'];
    const { answers } = explained(soundRoutes(routeOf({ defaults, filters })), { line: 'GET /' });

    assert.deepEqual(answers?.filters, [defaults[0], filters[0], defaults[1], filters[1]]);
  });

  test('a reference is resolved after the text is cut, so that what it holds cannot change the cut', () => {
    const text = routeOf({ filters: ['AddRequestHeader=X-Key, ${env:KEY}'] });
    const routes = soundRoutes(text, { variables: { KEY: 'a, b (c' } });

    const { answers } = explained(routes, { line: 'GET /' });

    assert.ok(answers?.sent?.headers.some(([name, value]) => name === 'X-Key' && value === 'a, b (c') === true);
    assert.deepEqual(answers.filters, ['AddRequestHeader=X-Key, ${env:KEY}']);
  });
});

describe('filters on the way back', () => {
  function replied(filters: readonly unknown[], status: number, ...fields: string[]) {
    const spec = soundRoutes(routeOf({ filters })).specs[0] ?? assert.fail();
    const draft = { status, fields };
    for (const filter of spec.filters) filter.onReply?.(draft, { variables: new Map<string, string>() } as never);
    return [draft.status, ...draft.fields];
  }

  test('AddResponseHeader appends, or with override false adds only where there is none', () => {
    assert.deepEqual(replied(['AddResponseHeader=X-A, 2'], 200, 'x-a', '1'), [200, 'x-a', '1', 'X-A', '2']);
    assert.deepEqual(replied(['AddResponseHeader=X-A, 2, false'], 200, 'x-a', '1'), [200, 'x-a', '1']);
    assert.deepEqual(replied(['AddResponseHeader=X-A, 2, false'], 200, 'x-a', ' '), [200, 'X-A', '2']);
  });

  test('SetResponseHeader replaces, RemoveResponseHeader removes', () => {
    assert.deepEqual(replied(['SetResponseHeader=X-A, 2'], 200, 'x-a', '1', 'X-A', '3'), [200, 'X-A', '2']);
    assert.deepEqual(replied(['RemoveResponseHeader=X-A'], 200, 'x-a', '1', 'b', '2'), [200, 'b', '2']);
  });

  test('SetStatus takes a number or Spring’s name', () => {
    assert.deepEqual([replied(['SetStatus=202'], 200), replied(['SetStatus=NOT_FOUND'], 200)], [[202], [404]]);
  });

  test('SecureHeaders adds what the instance did not send, and can be told which', () => {
    const all = replied(['SecureHeaders'], 200, 'x-frame-options', 'SAMEORIGIN');
    const some = replied(
      [
        {
          name: 'SecureHeaders',
          args: { disable: ['x-frame-options', 'Strict-Transport-Security'], enable: 'permissions-policy' },
        },
      ],
      200,
    );

    assert.equal(all.length, 1 + 2 * 8);
    assert.ok(all.includes('SAMEORIGIN') && !all.includes('DENY'));
    assert.deepEqual(all.slice(3, 7), [
      'X-Xss-Protection',
      '1 ; mode=block',
      'Strict-Transport-Security',
      'max-age=631138519',
    ]);
    assert.ok(
      !some.includes('X-Frame-Options') &&
        !some.includes('Strict-Transport-Security') &&
        some.includes('Permissions-Policy'),
    );
  });

  const redirects: readonly (readonly [filter: string, path: string, status: number, location: string])[] = [
    ['RedirectTo=302, https://example.org/x', '/a?b=1', 302, 'https://example.org/x'],
    ['RedirectTo=MOVED_PERMANENTLY, /new', '/a', 301, '/new'],
    ['RedirectTo=302, https://example.org/x?y=2#z, true', '/a?b=1', 302, 'https://example.org/x?y=2&b=1#z'],
  ];

  for (const [filter, path, status, location] of redirects) {
    test(`${filter} answers ${path} with ${status} to ${location}`, () => {
      const { answers } = explained(soundRoutes(routeOf({ filters: [filter] })), { line: `GET ${path}` });

      assert.deepEqual(answers?.answered, { status, location });
      assert.equal(answers.sent, null);
    });
  }
});

describe('the dialect, wrong', () => {
  const rows: readonly (readonly [what: string, route: Omit<Case, 'request'>, message: string])[] = [
    ['a predicate without =', { predicates: ['Path'] }, 'a predicate is written name=value (for example Path=/api/**)'],
    [
      'a predicate that starts with =',
      { predicates: ['=x'] },
      'a predicate is written name=value (for example Path=/api/**)',
    ],
    ['an unknown predicate', { predicates: ['Paht=/a'] }, 'there is no predicate called Paht (did you mean Path?)'],
    [
      'an unknown filter',
      { filters: ['StripPrefx=1'] },
      'there is no filter called StripPrefx (did you mean StripPrefix?)',
    ],
    [
      'a value too many',
      { filters: ['SetResponseHeader=Cache-Control, no-cache, no-store'] },
      'SetResponseHeader: takes 2 values (name, value), here is one more (a value that holds a comma is written with `name` and `args`)',
    ],
    [
      'a value too few',
      { filters: ['SetPath='] },
      'SetPath: `template` is missing (for example SetPath=/{model}/predict)',
    ],
    [
      'unbalanced brackets',
      { predicates: ['Header=X-A, a(b, c'] },
      'brackets are not balanced, so that it is unclear which commas separate values (write `name: Header` and `args:` instead)',
    ],
    [
      'an unknown argument',
      { filters: [{ name: 'StripPrefix', args: { part: 1 } }] },
      'StripPrefix: unknown argument `part` (did you mean `parts`?)',
    ],
    [
      'a name and no args but more',
      { filters: [{ name: 'SetStatus', args: { status: 200 }, arg: 1 }] },
      'unknown key `arg` (did you mean `args`?)',
    ],
    ['no name', { filters: [{ args: {} }] }, '`name` is missing'],
    [
      'a date without an offset',
      { predicates: ['After=2017-01-20T17:42:47'] },
      'After: datetime is no date and time with an offset (for example 2026-01-20T17:42:47.789-07:00[America/Denver], 2026-01-20T17:42:47Z or milliseconds since 1970)',
    ],
    [
      '30 February',
      { predicates: ['After=2017-02-30T00:00:00Z'] },
      'After: datetime is no date and time with an offset (for example 2026-01-20T17:42:47.789-07:00[America/Denver], 2026-01-20T17:42:47Z or milliseconds since 1970)',
    ],
    [
      'a time between that is none',
      { predicates: ['Between=2018-01-01T00:00:00Z, 2017-01-01T00:00:00Z'] },
      'Between: datetime1 must be before datetime2',
    ],
    [
      'a method in small letters',
      { predicates: ['Method=get'] },
      'Method: methods are written in capitals (did you mean GET?)',
    ],
    [
      'a range that is none',
      { predicates: ['RemoteAddr=10.0.0.0/64'] },
      'RemoteAddr: is no address or range (write 192.168.1.0/24, or fd00::/8)',
    ],
    ['** in the middle', { predicates: ['Path=/a/**/b'] }, 'Path: ** may only stand once, at the end or the start'],
    ['a name captured twice', { predicates: ['Path=/{a}/{a}'] }, 'Path: captures a twice'],
    [
      'a capturing group within a capture',
      { predicates: ['Path=/{a:(x)y}'] },
      'Path: a group within {name:regex} must be written (?:…)',
    ],
    [
      'a name that no predicate captures',
      { filters: ['SetPath=/{b}'], predicates: ['Path=/{a}'] },
      'SetPath: no predicate of the route captures {b} (captured: a)',
    ],
    [
      'a group that the pattern has not',
      { filters: ['RewritePath=/a(.), /$2'] },
      'RewritePath: replacement: the pattern has no group 2',
    ],
    [
      'a dollar that is none',
      { filters: ['RewritePath=/a, /$'] },
      'RewritePath: replacement: `$` stands before a group’s number or {name}; as a character it is `\\$`',
    ],
    [
      'a status that is none',
      { filters: ['SetStatus=42'] },
      'SetStatus: status must be a number from 200 to 599, or a name such as NOT_FOUND',
    ],
    [
      'a redirect that is none',
      { filters: ['RedirectTo=200, /x'] },
      'RedirectTo: status must be one of 300 to 399 that redirects',
    ],
    ['a relative prefix', { filters: ['PrefixPath=a'] }, 'PrefixPath: prefix must start with /'],
    [
      'a parameter not encoded',
      { filters: ['AddRequestParameter=a, b c'] },
      'AddRequestParameter: must be written as it stands in a URL, percent-encoded',
    ],
    [
      'a size that is none',
      { filters: ['RequestSize=5XB'] },
      'RequestSize: maxSize must be a size (write 5000000, 5MB or 5MiB)',
    ],
    [
      'a line end in a field',
      { filters: [{ name: 'AddRequestHeader', args: { name: 'X', value: 'a\r\nb' } }] },
      'AddRequestHeader: the value holds what no header field may: a line end, a control character, or more than Latin-1',
    ],
    [
      'the instance’s Host',
      { filters: ['SetRequestHeader=Host, x'] },
      'SetRequestHeader: Host is not a filter’s to change (PreserveHostHeader sends the caller’s, SetRequestHostHeader another; otherwise it is the instance’s own)',
    ],
    [
      'the length of a message',
      { filters: ['AddRequestHeader=content-length, 1'] },
      'AddRequestHeader: content-length is not a filter’s to change (the gateway frames messages itself; `body: { max }` and RequestSize bound them)',
    ],
    [
      'the coding of a reply',
      { filters: ['SetResponseHeader=Transfer-Encoding, x'] },
      'SetResponseHeader: Transfer-Encoding is not a filter’s to change (the gateway frames messages itself)',
    ],
    [
      'the connection',
      { filters: ['RemoveRequestHeader=Connection'] },
      'RemoveRequestHeader: Connection is not a filter’s to change (write `services: { NAME: { connection: { reuse } } }`)',
    ],
    [
      'the caller’s identity',
      { filters: ['AddRequestHeader=X-Penstock-Roles, admin'] },
      'AddRequestHeader: X-Penstock-Roles is the gateway’s own word to the instance',
    ],
    [
      'a name that R misreads',
      { filters: ['AddRequestHeader=X_Env, a'] },
      'AddRequestHeader: R cannot tell `_` from `-` in the name of a field (write X-Env)',
    ],
    [
      'SpEL',
      { filters: ['TokenRelay='] },
      'TokenRelay is not part of this gateway (write `auth: { forwardToken: true }` on the route, beside `filters`)',
    ],
  ];

  for (const [what, route, message] of rows) {
    test(`${what} is told`, () => {
      assert.deepEqual(messagesOf(route), [message]);
    });
  }

  test('RequestRateLimiter is one of the route’s `limits`, and lets through what its bucket does', () => {
    const limitsOf = (...args: object[]) => {
      const filters = args.map(each => ({ name: 'RequestRateLimiter', args: each }));
      const { specs, problems } = routesOf(JSON.stringify({ routes: [{ uri: 'lb://a', filters }] }));
      assert.deepEqual(reported(problems), []);
      return specs[0]?.policy.limits.map(({ rate, perMs, by, pace, onStoreFailure }) => {
        assert.equal(onStoreFailure, 'allow');
        return [rate, perMs, by.kind, pace?.burst, pace?.waitMsMax];
      });
    };
    const own = '#{@principalNameKeyResolver}';

    const plain = { 'redis-rate-limiter.replenishRate': 10, 'redis-rate-limiter.burstCapacity': 20 };
    assert.deepEqual(limitsOf(plain), [[10, 1_000, 'caller', 20, 0]]);
    assert.deepEqual(limitsOf({ 'redis-rate-limiter.replenish-rate': 3, 'key-resolver': own }), [
      [3, 1_000, 'caller', 1, 0],
    ]);
    const seldom = { redisRateLimiter: { replenishRate: 1, burstCapacity: 60, requestedTokens: 60 } };
    assert.deepEqual(limitsOf(plain, seldom), [
      [10, 1_000, 'caller', 20, 0],
      [1, 60_000, 'caller', 1, 0],
    ]);
  });

  for (const [what, args, message] of [
    ['without a rate', {}, '`redis-rate-limiter.replenishRate` is missing'],
    [
      'of half a token',
      { 'redis-rate-limiter.replenishRate': 0.5 },
      'tokens are counted in whole numbers, from 1 to 999999',
    ],
    [
      'of a bucket too small',
      { 'redis-rate-limiter': { replenishRate: 5, requestedTokens: 2 } },
      'lets no call pass: one takes 2 tokens, and the bucket holds 1',
    ],
    [
      'by a bean',
      { 'redis-rate-limiter.replenishRate': 5, 'key-resolver': '#{@tenantKeyResolver}' },
      'what the bean #{@tenantKeyResolver} counts by stands in Java, not in this file',
    ],
    [
      'of one’s own',
      { 'redis-rate-limiter.replenishRate': 5, 'rate-limiter': '#{@slidingWindow}' },
      'what the bean #{@slidingWindow} lets through stands in Java, not in this file',
    ],
    [
      'with another status',
      { 'redis-rate-limiter.replenishRate': 5, statusCode: 'SERVICE_UNAVAILABLE' },
      'callers are told 429, and nothing else',
    ],
    [
      'about empty keys',
      { 'redis-rate-limiter.replenishRate': 5, 'deny-empty-key': false },
      'no key is ever empty: a caller without a name is counted by address',
    ],
  ] as const) {
    test(`RequestRateLimiter ${what} is told`, () => {
      const [reported = ''] = messagesOf({ filters: [{ name: 'RequestRateLimiter', args }] });

      assert.ok(reported.startsWith(`RequestRateLimiter: ${message}`), reported);
    });
  }

  test('LocalResponseCache is the route’s `cache`, for GET alone', () => {
    const policyOf = (filter: string, rest = {}) =>
      routesOf(JSON.stringify({ routes: [{ uri: 'lb://a', filters: [filter], ...rest }] }));

    const { cache } = policyOf('LocalResponseCache=30m, 500MB').specs[0]?.policy.sharing ?? assert.fail();
    assert.deepEqual(
      [cache?.ttlMs, cache?.bytesMax, [...(cache?.methods ?? [])]],
      [1_800_000, 500 * 1_024 ** 2, ['GET']],
    );
    assert.equal(policyOf('LocalResponseCache').specs[0]?.policy.sharing?.cache?.ttlMs, 300_000);
    assert.deepEqual(reported(policyOf('LocalResponseCache', { cache: { ttl: '1m', methods: ['GET'] } }).problems), [
      '1:39 warning routes[0].filters[0]: has no effect beside `cache` of the route',
    ]);
    assert.match(reported(policyOf('LocalResponseCache=1s, 99999999GB').problems).join(), /error .*size/);
  });

  test('Retry is the route’s `retry`', () => {
    const policyOf = (filter: unknown, rest = {}) => {
      const { specs } = routesOf(JSON.stringify({ routes: [{ uri: 'lb://a', filters: [filter], ...rest }] }));
      return specs[0]?.policy.retry ?? assert.fail();
    };

    const { attempts, on } = policyOf('Retry=3');
    assert.deepEqual([attempts, on.has('connect-failure'), on.has(500), on.has(404)], [4, true, true, false]);
    const named = policyOf({ name: 'Retry', args: { retries: 1, statuses: 'NOT_FOUND,429', series: [] } });
    assert.deepEqual([named.attempts, named.on.has(404), named.on.has(429)], [2, true, true]);
    assert.equal(policyOf('Retry=3', { retry: { attempts: 2 } }).attempts, 2);
    assert.equal(policyOf('Retry=20').attempts, 10);
  });

  test('CircuitBreaker is a warning, and an error where it names a fallback', () => {
    const { specs, problems } = routesOf('routes: [{ uri: lb://a, filters: [CircuitBreaker=x] }]');

    assert.deepEqual(
      [specs.length, reported(problems)],
      [
        1,
        [
          '1:35 warning routes[0].filters[0]: CircuitBreaker: changes nothing: ejection of failing instances replaces it',
        ],
      ],
    );
    const args = { name: 'x', fallbackUri: 'forward:/fallback' };
    assert.deepEqual(messagesOf({ filters: [{ name: 'CircuitBreaker', args }] }), [
      'CircuitBreaker: there is no fallback here (leave `fallbackUri` out: a failure is answered as problem+json with its `code`)',
    ]);
  });

  for (const name of [
    ...['CacheRequestBody', 'FallbackHeaders', 'JsonToGrpc', 'ModifyRequestBody', 'ModifyResponseBody'],
    ...['RemoveJsonAttributesResponseBody', 'RequestHeaderToRequestUri', 'SaveSession', 'SetRequestUri', 'TokenRelay'],
  ]) {
    test(`the filter ${name} has another way here, and it is named`, () => {
      assert.match(
        messagesOf({ filters: [name] })[0] ?? '',
        new RegExp(`^${name} is not part of this gateway \\(.+\\)$`),
      );
    });
  }

  test('a fault within a text is shown where it stands', () => {
    const { problems } = routesOf("routes:\n- uri: lb://s\n  predicates:\n  - Path=/a/**\n  - 'Header=X-A, x(?!y)'\n");

    assert.deepEqual(reported(problems), [
      '5:19 error routes[0].predicates[1]: Header: regexp: look-ahead and look-behind are not supported: patterns run in linear time',
    ]);
  });

  // « marks where the fault is shown.
  for (const part of [
    "predicates: ['Header=X, a«(?!b)']",
    "predicates: ['Query=q, «(?<=a)b']",
    "predicates: ['Cookie=c, (a)«\\1']",
    "predicates: [{ name: Header, args: { header: X, regexp: 'x«++' } }]",
    "predicates: [{ name: Path, args: { patterns: ['/a/{id:[a-z«&&[^b]]}'] } }]",
    "predicates: ['Path=/a/**,/b/{id:«\\p{Alpha}+}']",
    "predicates: ['Host={name:«(?>a)}.example.org']",
    "filters: ['RewritePath=/«(?m)a, /b']",
    "filters: ['RewritePath=/a«\\R, /b']",
    "filters: [{ name: RewritePath, args: { regexp: '/«(?P<x>.*)', replacement: /b } }]",
    "filters: ['RewriteResponseHeader=X, a«\\Z, b']",
    "filters: ['RewriteLocationResponseHeader=AS_IN_REQUEST, Location, example.org, https«\\h']",
  ]) {
    test(`what Java has and RE2 lacks is shown where it stands: ${part}`, () => {
      const text = `routes: [{ uri: lb://s, ${part.replace('«', '')} }]`;
      const at = `routes: [{ uri: lb://s, ${part}`.indexOf('«') + 1;

      const errors = routesOf(text).problems.filter(({ severity }) => severity === 'error');

      assert.deepEqual(
        errors.map(({ line, column }) => `${line}:${column}`),
        [`1:${at}`],
        reported(errors).join(),
      );
      assert.match(errors[0]?.message ?? '', /not supported|are supported/);
    });
  }
});
