import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Received } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

/** A rule of Spring Cloud Gateway's, and the request as it reaches the instance, or the answer as it reaches the caller. */
interface Conformance {
  readonly predicates?: readonly unknown[];
  readonly filters?: readonly unknown[];
  /** `GET /path`. */
  readonly send: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** The request line at the instance, without the version; or the status where no instance is asked. */
  readonly meets?: string | number;
  /** Lines of the head at the instance that are there, and names that are not. */
  readonly has?: readonly string[];
  readonly lacks?: readonly string[];
  /** Fields of the instance's answer, and of the caller's: each line `Name: value`. */
  readonly answers?: readonly string[];
  readonly replies?: Readonly<Record<string, string | undefined>>;
  readonly status?: number;
}

const RULES: Readonly<Record<string, Conformance>> = {
  'a shortcut splits at the first =': {
    filters: ['AddRequestParameter=a, b=c'],
    send: 'GET /x',
    meets: 'GET /x?a=b=c',
  },
  'tokens are trimmed, and empty ones dropped': {
    predicates: ['Path= /x/** ,, '],
    send: 'GET /x/1',
    meets: 'GET /x/1',
  },
  'a filter without = is a bare name': {
    filters: ['PreserveHostHeader'],
    send: 'GET /x',
    headers: { host: 'api.example.org' },
    has: ['host: api.example.org'],
  },
  'the args form takes lists': {
    predicates: [{ name: 'Path', args: { patterns: ['/a/**', '/b/**'] } }],
    send: 'GET /b/1',
    meets: 'GET /b/1',
  },
  'the args form takes generated names': {
    predicates: [{ name: 'Path', args: { _genkey_0: '/a', _genkey_1: '/b' } }],
    send: 'GET /b',
    meets: 'GET /b',
  },
  'args in kebab case are the same': {
    filters: [
      { name: 'RedirectTo', args: { status: 302, url: 'https://example.org/', 'include-request-params': true } },
    ],
    send: 'GET /x?q=1',
    meets: 302,
    replies: { location: 'https://example.org/?q=1' },
  },
  'Before is strict': { predicates: ['Before=2100-01-01T00:00:00Z'], send: 'GET /x', meets: 'GET /x' },
  'After is strict': { predicates: ['After=2100-01-01T00:00:00Z'], send: 'GET /x', meets: 404 },
  'Between takes two instants': {
    predicates: ['Between=2001-01-01T00:00:00Z, 2100-01-01T00:00:00+01:00[Europe/Berlin]'],
    send: 'GET /x',
    meets: 'GET /x',
  },
  'Cookie matches its value whole': {
    predicates: ['Cookie=chocolate, ch.p'],
    send: 'GET /x',
    headers: { cookie: 'chocolate=chips' },
    meets: 404,
  },
  'Header splits its lines at commas': {
    predicates: ['Header=X-Tag, \\d+'],
    send: 'GET /x',
    headers: { 'x-tag': 'a, 42' },
    meets: 'GET /x',
  },
  'Host takes ** and captures': {
    predicates: ['Host={sub}.example.org'],
    filters: ['AddRequestHeader=X-Sub, {sub}'],
    send: 'GET /x',
    headers: { host: 'blue.example.org' },
    has: ['X-Sub: blue'],
  },
  'Host is compared with its port': {
    predicates: ['Host=api.example.org'],
    send: 'GET /x',
    headers: { host: 'api.example.org:8080' },
    meets: 404,
  },
  'Method is any of its list': { predicates: ['Method=POST,PUT'], send: 'PUT /x', meets: 'PUT /x' },
  'where only Method fails it is 405': {
    predicates: ['Method=POST'],
    send: 'DELETE /x',
    meets: 405,
    replies: { allow: 'POST' },
  },
  'Path: the first pattern that matches wins': {
    predicates: ['Path=/{a}/x,/m/{b}'],
    filters: ['SetPath=/seen/{a}'],
    send: 'GET /m/x',
    meets: 'GET /seen/m',
  },
  'Path: a slash at the end counts': { predicates: ['Path=/red'], send: 'GET /red/', meets: 404 },
  'Path: {*rest} captures with its slash': {
    predicates: ['Path=/a/{*rest}'],
    filters: ['SetPath=/b{rest}'],
    send: 'GET /a/c/d',
    meets: 'GET /b/c/d',
  },
  'Query: presence, or a value matched whole': {
    predicates: ['Query=red, gree.'],
    send: 'GET /x?red=greet',
    meets: 'GET /x?red=greet',
  },
  'RemoteAddr is the peer': { predicates: ['RemoteAddr=127.0.0.1/24'], send: 'GET /x', meets: 'GET /x' },
  'XForwardedRemoteAddr is who proxies justify': {
    predicates: ['XForwardedRemoteAddr=192.0.2.0/24'],
    send: 'GET /x',
    headers: { 'x-forwarded-for': '192.0.2.7' },
    meets: 'GET /x',
  },
  'AddRequestHeader adds, and does not replace': {
    filters: ['AddRequestHeader=X-A, 2'],
    send: 'GET /x',
    headers: { 'x-a': '1' },
    has: ['x-a: 1', 'X-A: 2'],
  },
  'AddRequestHeadersIfNotPresent adds what is missing or blank': {
    filters: ['AddRequestHeadersIfNotPresent=X-A:2, X-B:3, X-C:4'],
    send: 'GET /x',
    headers: { 'x-a': '1', 'x-c': '' },
    has: ['x-a: 1', 'X-B: 3', 'X-C: 4'],
    lacks: ['X-A: 2'],
  },
  'AddRequestParameter comes last': {
    filters: ['AddRequestParameter=red, blue'],
    send: 'GET /x?a=%20',
    meets: 'GET /x?a=%20&red=blue',
  },
  'AddResponseHeader appends': {
    filters: ['AddResponseHeader=X-R, 2'],
    send: 'GET /x',
    answers: ['X-R: 1'],
    replies: { 'x-r': '1, 2' },
  },
  'AddResponseHeader with override false adds only where there is none': {
    filters: ['AddResponseHeader=X-R, 2, false'],
    send: 'GET /x',
    answers: ['X-R: 1'],
    replies: { 'x-r': '1' },
  },
  'CircuitBreaker changes nothing': { filters: ['CircuitBreaker=a'], send: 'GET /x', meets: 'GET /x' },
  'DedupeResponseHeader keeps the first of names with spaces between': {
    filters: ['DedupeResponseHeader=X-A X-B'],
    send: 'GET /x',
    answers: ['X-A: 1', 'X-A: 2', 'X-B: 3', 'X-B: 4', 'X-C: 5', 'X-C: 6'],
    replies: { 'x-a': '1', 'x-b': '3', 'x-c': '5, 6' },
  },
  'DedupeResponseHeader keeps the last': {
    filters: ['DedupeResponseHeader=X-A, RETAIN_LAST'],
    send: 'GET /x',
    answers: ['X-A: 1', 'X-A: 2'],
    replies: { 'x-a': '2' },
  },
  'DedupeResponseHeader keeps each value once': {
    filters: ['DedupeResponseHeader=X-A, RETAIN_UNIQUE'],
    send: 'GET /x',
    answers: ['X-A: 1', 'X-A: 2', 'X-A: 1'],
    replies: { 'x-a': '1, 2' },
  },
  'MapRequestHeader copies every line': {
    filters: ['MapRequestHeader=Blue, X-Red'],
    send: 'GET /x',
    headers: { blue: '1', 'x-red': '0' },
    has: ['blue: 1', 'x-red: 0', 'X-Red: 1'],
  },
  'PrefixPath applies once': { filters: ['PrefixPath=/a', 'PrefixPath=/b'], send: 'GET /x', meets: 'GET /a/x' },
  'RedirectTo answers': {
    filters: ['RedirectTo=301, https://example.org/'],
    send: 'GET /x?q',
    meets: 301,
    replies: { location: 'https://example.org/' },
  },
  RemoveRequestHeader: {
    filters: ['RemoveRequestHeader=X-A'],
    send: 'GET /x',
    headers: { 'x-a': '1' },
    lacks: ['x-a: 1'],
  },
  'RemoveRequestParameter takes every one of the name': {
    filters: ['RemoveRequestParameter=red'],
    send: 'GET /x?red=1&a=%20&r%65d&blue',
    meets: 'GET /x?a=%20&blue',
  },
  RemoveResponseHeader: {
    filters: ['RemoveResponseHeader=X-R'],
    send: 'GET /x',
    answers: ['X-R: 1'],
    replies: { 'x-r': undefined },
  },
  'RequestHeaderSize refuses a longer field with 431': {
    filters: ['RequestHeaderSize=20B, errorMessage'],
    send: 'GET /x',
    headers: { host: 'a', 'x-long': 'y'.repeat(30) },
    meets: 431,
    replies: { errormessage: 'A header field is longer than the 20 bytes that this route takes.' },
  },
  'RequestSize refuses a longer body with 413': {
    filters: ['RequestSize=3B'],
    send: 'POST /x',
    headers: { 'content-length': '4' },
    meets: 413,
  },
  'Retry asks again': { filters: ['Retry=1'], send: 'GET /x', meets: 'GET /x' },
  'RewriteLocationResponseHeader puts the caller’s host, and takes out a version not asked for': {
    filters: ['RewriteLocationResponseHeader'],
    send: 'POST /some/object',
    headers: { host: 'api.example.com' },
    answers: ['Location: https://object-service.prod.example.net/v2/some/object/id'],
    replies: { location: 'https://api.example.com/some/object/id' },
  },
  'RewriteLocationResponseHeader keeps a version that was asked for': {
    filters: ['RewriteLocationResponseHeader=AS_IN_REQUEST, Location, example.org'],
    send: 'POST /v2/some/object',
    answers: ['Location: http://inside:8080/v2/some/object/id'],
    replies: { location: 'http://example.org/v2/some/object/id' },
  },
  'RewriteLocationResponseHeader NEVER_STRIP': {
    filters: ['RewriteLocationResponseHeader=NEVER_STRIP, Location, example.org'],
    send: 'POST /some/object',
    answers: ['Location: http://inside:8080/v2/id'],
    replies: { location: 'http://example.org/v2/id' },
  },
  'RewriteLocationResponseHeader leaves other schemes alone': {
    filters: ['RewriteLocationResponseHeader=NEVER_STRIP, Location, example.org, https'],
    send: 'POST /x',
    answers: ['Location: http://inside/v2/id'],
    replies: { location: 'http://inside/v2/id' },
  },
  'RewritePath takes $\\{name} and ${name} for a group': {
    filters: ['RewritePath=/red/?(?<segment>.*), /$\\{segment}', 'RewritePath=/(?<s>.*), /b/${s}'],
    send: 'GET /red/blue',
    meets: 'GET /b/blue',
  },
  'RewriteRequestParameter gives one value, where the parameter is there': {
    filters: ['RewriteRequestParameter=campaign, fall2023', 'RewriteRequestParameter=other, x'],
    send: 'GET /x?campaign=old&a=1&campaign=older',
    meets: 'GET /x?a=1&campaign=fall2023',
  },
  'RewriteResponseHeader rewrites each line': {
    filters: ['RewriteResponseHeader=X-Red, password=[^&]+, password=***'],
    send: 'GET /x',
    answers: ['X-Red: /42?user=ford&password=omg!what&flag=true'],
    replies: { 'x-red': '/42?user=ford&password=***&flag=true' },
  },
  'SecureHeaders adds what the instance did not send': {
    filters: ['SecureHeaders'],
    send: 'GET /x',
    answers: ['X-Frame-Options: SAMEORIGIN'],
    replies: { 'x-frame-options': 'SAMEORIGIN', 'referrer-policy': 'no-referrer', 'x-download-options': 'noopen' },
  },
  SetPath: {
    predicates: ['Path=/red/{segment}'],
    filters: ['SetPath=/{segment}'],
    send: 'GET /red/blue?q',
    meets: 'GET /blue?q',
  },
  'SetRequestHeader replaces': {
    filters: ['SetRequestHeader=X-A, 2'],
    send: 'GET /x',
    headers: { 'x-a': '1' },
    has: ['X-A: 2'],
    lacks: ['x-a: 1'],
  },
  SetRequestHostHeader: { filters: ['SetRequestHostHeader=example.org'], send: 'GET /x', has: ['host: example.org'] },
  'SetResponseHeader replaces': {
    filters: ['SetResponseHeader=X-R, 2'],
    send: 'GET /x',
    answers: ['X-R: 1', 'X-R: 3'],
    replies: { 'x-r': '2' },
  },
  'SetStatus takes a name': { filters: ['SetStatus=BAD_REQUEST'], send: 'GET /x', meets: 'GET /x', status: 400 },
  'StripPrefix keeps the slash at the end': {
    filters: ['StripPrefix=2'],
    send: 'GET /name/blue/red/',
    meets: 'GET /red/',
  },
  'StripPrefix of more parts than there are leaves /': { filters: ['StripPrefix=5'], send: 'GET /a/b', meets: 'GET /' },
  'hop-by-hop fields end here': {
    send: 'GET /x',
    headers: { 'proxy-authorization': 'Basic x', te: 'trailers', 'keep-alive': 'timeout=1' },
    lacks: ['proxy-authorization: Basic x', 'te: trailers', 'keep-alive: timeout=1'],
  },
};

test('the dialect of Spring Cloud Gateway, at the instance', async t => {
  const upstream = await startUpstream(t, answer('[1]'));
  const routes = Object.values(RULES).map(({ predicates = [], filters = [] }, i) => ({
    ...{ id: `r${i}`, uri: 'lb://fuel', filters },
    predicates: [...predicates, `Header=X-Rule, ${i}`],
  }));
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    listen: 'trustedProxies: [127.0.0.1]',
    routes: JSON.stringify({ services: { fuel: { health: { interval: '1h' }, outlier: { failures: 1000 } } }, routes }),
  });

  for (const [i, [rule, row]] of Object.entries(RULES).entries()) {
    await t.test(rule, async () => {
      const { method, path, traits } = requested(row, i);
      const earlier = upstream.requests.length;
      upstream.play(answer('[1]', { fields: (row.answers ?? []).map(line => `${line}\r\n`).join('') }));

      const received = await gateway.call(path, { method, ...traits });

      checkRequest(row, upstream.requests[earlier]?.head.split('\r\n'));
      checkReply(row, received);
    });
  }
});

function requested({ send, headers = {} }: Conformance, i: number) {
  const [method = '', path = ''] = send.split(' ');
  const body = headers['content-length'] === undefined ? {} : { body: 'four' };
  return { method, path, traits: { headers: { ...headers, 'x-rule': String(i) }, ...body } };
}

function checkRequest({ meets, has = [], lacks = [] }: Conformance, head: readonly string[] = []): void {
  if (typeof meets === 'number') assert.deepEqual(head, []);
  if (typeof meets === 'string') assert.equal(head[0], `${meets} HTTP/1.1`);
  assert.deepEqual(
    has.filter(line => !head.includes(line)),
    [],
    head.join('\n'),
  );
  assert.deepEqual(
    lacks.filter(line => head.includes(line)),
    [],
  );
}

function checkReply({ meets, status = 200, replies = {} }: Conformance, received: Received): void {
  assert.equal(received.status, typeof meets === 'number' ? meets : status, received.text);
  for (const [name, value] of Object.entries(replies)) assert.equal(received.headers[name], value, name);
}

test('default filters and a route’s own are interleaved', async t => {
  const upstream = await startUpstream(t, answer('[1]'));
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    routes: `
default-filters: [RewritePath=$, /d1, RewritePath=$, /d2, RewritePath=$, /d3]
routes: [{ uri: lb://fuel, filters: [RewritePath=$, /r1, RewritePath=$, /r2] }]
`.replaceAll(/RewritePath=\$, (\/\w+)/g, "'RewritePath=$, $1'"),
  });

  await gateway.call('/x');

  assert.equal(upstream.requests[0]?.head.split('\r\n')[0], 'GET /x/d1/r1/d2/r2/d3 HTTP/1.1');
});

test('Weight divides callers by their weights, and `by` keeps each on its side', async t => {
  const [a, b] = [await startUpstream(t, answer('a')), await startUpstream(t, answer('b'))];
  const weight = (group: string, share: number, by?: string) => ({
    name: 'Weight',
    args: { 'weight.group': group, 'weight.weight': share, ...(by === undefined ? {} : { by }) },
  });
  const pair = (group: string, by?: string) => [
    { id: `${group}-a`, uri: 'lb://a', predicates: [`Path=/${group}`, weight(group, 8, by)] },
    { id: `${group}-b`, uri: 'lb://b', predicates: [`Path=/${group}`, weight(group, 2, by)] },
    // Of the same group, but for other paths: it takes no share of these.
    { id: `${group}-c`, uri: 'lb://b', predicates: [`Path=/${group}/other`, weight(group, 90, by)] },
  ];
  const gateway = await startGateway(t, {
    services: { a: [a.origin], b: [b.origin] },
    routes: JSON.stringify({ routes: [...pair('free'), ...pair('sticky', 'cookie:side')] }),
  });
  const shareOf = async (path: string, headers: (i: number) => Record<string, string>) => {
    const received: string[] = [];
    for (let i = 0; i < 300; i++) received.push((await gateway.call(path, { headers: headers(i) })).text);
    return received;
  };

  const free = await shareOf('/free', () => ({}));
  const first = await shareOf('/sticky', i => ({ cookie: `side=caller-${i}` }));
  const again = await shareOf('/sticky', i => ({ cookie: `side=caller-${i}` }));

  for (const received of [free, first]) {
    const count = received.filter(text => text === 'a').length;
    assert.ok(count > 200 && count < 280, `${count} of 300 met the one with eight tenths`);
  }
  assert.deepEqual(again, first);
});
