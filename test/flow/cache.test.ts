import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { describe, test, type TestContext } from 'node:test';
import { beginCall, call, post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, stall, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const JSON_FIELD = 'Content-Type: application/json\r\n';

/** Answers with how often it was asked. */
function counting(fields = JSON_FIELD): Script {
  let count = 0;
  return (socket, request) => answer(`[${(count += 1)}]`, { fields })(socket, request);
}

const routesYaml = (routes: string): string => `
services: { fuel: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
${routes}
`;

/** A gateway with these routes to one instance that plays a script. */
async function gatewayBefore(t: TestContext, script: Script, routes: string) {
  const upstream = await startUpstream(t, script);
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, routes: routesYaml(routes) });
  return { gateway, upstream, requested: () => upstream.requests.length };
}

const FUEL = '  - { id: fuel, uri: lb://fuel, pure: true, cache: { ttl: 1h } }';

describe('a route with a cache', () => {
  test('asks R once for the same, and tells the others apart from it', async t => {
    const { gateway, requested } = await gatewayBefore(t, counting(), FUEL);

    const received = [
      await gateway.call('/predict', post('{"a":1,"b":[2]}')),
      await gateway.call('/predict', post('{ "b": [2], "a": 1 }')),
      await gateway.call('/predict', post('{"a":1,"b":[3]}')),
      await gateway.call('/predict?x=1', post('{"a":1,"b":[2]}')),
    ];

    assert.deepEqual(
      received.map(({ text }) => text),
      ['[1]', '[1]', '[2]', '[3]'],
    );
    assert.equal(requested(), 3);
    const [first, second] = received.map(({ headers }) => headers);
    assert.equal(first?.['cache-status'], 'Penstock; fwd=uri-miss; stored');
    assert.match(String(second?.['cache-status']), /^Penstock; hit; ttl=359\d$/);
    assert.match(String(second?.age), /^\d$/);
    assert.equal(second?.etag, first.etag);
    const [, line] = gateway.requests();
    assert.deepEqual([line?.['instance'], line?.['attempts'], line?.['bytesOut']], [null, 0, 3]);
    const count = (result: string) => gateway.metric('penstock_cache_requests_total', { route: 'fuel', result });
    assert.deepEqual([await count('hit'), await count('miss')], [1, 3]);
  });

  test('answers HEAD from what GET brought, and 304 to who has it already', async t => {
    const { gateway, requested } = await gatewayBefore(t, counting(), FUEL);
    const { headers } = await gateway.call('/model');
    const etag = String(headers.etag);

    const head = await gateway.call('/model', { method: 'HEAD' });
    const known = await gateway.call('/model', { headers: { 'if-none-match': `W/"x", ${etag}` } });
    const other = await gateway.call('/model', { headers: { 'if-none-match': '"x"' } });

    assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '3', '']);
    assert.deepEqual([known.status, known.text, known.headers.etag], [304, '', etag]);
    assert.deepEqual([known.headers['content-type'], known.headers['content-length']], [undefined, undefined]);
    assert.match(String(known.headers['cache-status']), /^Penstock; hit/);
    assert.deepEqual([other.status, other.text], [200, '[1]']);
    assert.equal(requested(), 1);
  });

  test('gives each answer the fields of its own caller, and of no other', async t => {
    const { gateway, upstream } = await gatewayBefore(
      t,
      (socket, request) => answer(JSON.stringify(request.head))(socket, request),
      `  - id: fuel
    uri: lb://fuel
    predicates: ['Path=/a/{who}']
    filters: [SetPath=/model, 'AddResponseHeader=X-Who, {who}']
    cache: { ttl: 1h }`,
    );

    const alice = await gateway.call('/a/alice', { headers: { cookie: 'alice', 'x-forwarded-for': '10.0.0.1' } });
    const bob = await gateway.call('/a/bob', { headers: { cookie: 'bob', 'accept-language': 'de' } });

    assert.equal(upstream.requests.length, 1);
    assert.deepEqual([alice.headers['x-who'], bob.headers['x-who']], ['alice', 'bob']);
    assert.equal(bob.text, alice.text);
    assert.doesNotMatch(alice.text, /alice|10\.0\.0\.1|x-request-id|x-forwarded/i);
    assert.notEqual(bob.headers['x-request-id'], alice.headers['x-request-id']);
  });

  test('keeps apart callers who differ in what the route varies by', async t => {
    const route = '  - { id: fuel, uri: lb://fuel, cache: { ttl: 1h }, varyBy: [header:Accept-Language] }';
    const { gateway } = await gatewayBefore(t, counting(), route);
    const send = async (language: string) =>
      (await gateway.call('/model', { headers: { 'accept-language': language } })).text;

    assert.deepEqual([await send('de'), await send('en'), await send('de')], ['[1]', '[2]', '[1]']);
  });

  test('stores neither a POST that may have effects nor what says it is private', async t => {
    const { gateway, requested } = await gatewayBefore(
      t,
      counting(`${JSON_FIELD}Cache-Control: private\r\n`),
      '  - { id: fuel, uri: lb://fuel, cache: { ttl: 1h } }',
    );

    const posted = [await gateway.call('/predict', post([])), await gateway.call('/predict', post([]))];
    const got = [await gateway.call('/me'), await gateway.call('/me')];

    assert.equal(requested(), 4);
    assert.deepEqual(
      [...posted, ...got].map(({ headers }) => headers['cache-status']),
      [undefined, undefined, 'Penstock; fwd=uri-miss', 'Penstock; fwd=uri-miss'],
    );
  });

  test('follows what the caller says of caches', async t => {
    const { gateway, requested } = await gatewayBefore(t, counting(), FUEL);
    const send = async (directive: string) => {
      const { status, headers, code } = await gateway.call('/model', { headers: { 'cache-control': directive } });
      return [status, code, headers['cache-status']];
    };

    assert.deepEqual(await send('only-if-cached'), [504, 'NOT_CACHED', 'Penstock; detail=only-if-cached']);
    assert.deepEqual(await send('no-store'), [200, undefined, 'Penstock; fwd=bypass']);
    assert.deepEqual(await send('no-cache'), [200, undefined, 'Penstock; fwd=uri-miss; stored']);
    assert.deepEqual(await send('no-cache'), [200, undefined, 'Penstock; fwd=request; stored']);
    assert.equal((await send('only-if-cached'))[0], 200);
    assert.equal(requested(), 3);
  });

  test('keeps an answer that came when its caller was gone', async t => {
    let release: (() => void) | undefined;
    const script: Script = (socket, request) => {
      release = () => answer('[1]')(socket, request);
    };
    const { gateway, upstream, requested } = await gatewayBefore(t, script, FUEL);
    const hangUp = new AbortController();
    const reached = once(upstream.events, 'request');
    const { answered } = beginCall(`${gateway.url}/model`, { signal: hangUp.signal });
    await reached;
    hangUp.abort();
    await assert.rejects(answered);
    await until(async () => (await gateway.metric('penstock_permits_abandoned')) === 1, 'no call waits');

    release?.();
    await gateway.untilIdle();

    const { text, headers } = await gateway.call('/model');
    assert.deepEqual([text, requested()], ['[1]', 1]);
    assert.match(String(headers['cache-status']), /^Penstock; hit/);
  });

  test('sends R one request for all who ask the same meanwhile, and stores its answer for all', async t => {
    const { gateway, upstream, requested } = await gatewayBefore(
      t,
      stall,
      '  - { id: fuel, uri: lb://fuel, coalesce: true, cache: { ttl: 1h } }',
    );
    let release: () => void = () => assert.fail('R was not asked');
    upstream.play((socket, request) => {
      release = () => answer('[1]')(socket, request);
    });
    const several = Promise.all(Array.from({ length: 5 }, () => gateway.call('/model')));
    await until(async () => (await gateway.metric('penstock_requests_in_flight')) === 5, 'all have asked');

    release();

    const statuses = (await several).map(({ headers }) => String(headers['cache-status']));
    const stored = 'Penstock; fwd=uri-miss; stored';
    assert.deepEqual(statuses.sort(), [stored, ...Array.from({ length: 4 }, () => `${stored}; collapsed`)]);
    assert.match(String((await gateway.call('/model')).headers['cache-status']), /^Penstock; hit/);
    assert.equal(requested(), 1);
  });

  test('goes on through a reload that leaves it as it was, and forgets through one that does not', async t => {
    const { gateway } = await gatewayBefore(t, counting(), FUEL);
    const send = async () => (await gateway.call('/model')).text;
    const reloadWith = async (routes: string) => {
      writeFileSync(gateway.routesFile, routesYaml(routes));
      await gateway.reload();
    };
    assert.equal(await send(), '[1]');

    await reloadWith(`  - { id: other, uri: lb://fuel, predicates: [Path=/other] }\n${FUEL}`);
    assert.equal(await send(), '[1]');

    await reloadWith(FUEL.replace('1h', '2h'));
    assert.equal(await send(), '[2]');
  });

  test('is purged by hand', async t => {
    const routes = `${FUEL}\n  - { id: plain, uri: lb://fuel, predicates: [Path=/plain] }`;
    const { gateway } = await gatewayBefore(t, counting(), routes);
    await gateway.call('/a');
    await gateway.call('/b');

    const purge = async (route: string) => {
      const { status, text } = await call(`${gateway.adminUrl}/api/cache/purge?route=${route}`, { method: 'POST' });
      return [status, (JSON.parse(text) as { entries?: number }).entries];
    };

    assert.deepEqual(await purge('fuel'), [200, 2]);
    assert.deepEqual(await purge('fuel'), [200, 0]);
    assert.deepEqual(await purge('plain'), [404, undefined]);
    assert.deepEqual(await purge('nobody'), [404, undefined]);
    assert.equal((await gateway.call('/a')).text, '[3]');
  });
});

describe('a route that shares without a cache', () => {
  test('answers 304 by R’s own tag, since R is not told what the caller has', async t => {
    const route = '  - { id: fuel, uri: lb://fuel, coalesce: true }';
    const { gateway, upstream } = await gatewayBefore(t, counting('ETag: "1"\r\n'), route);

    const { status, text, headers } = await gateway.call('/model', { headers: { 'if-none-match': '"1"' } });

    assert.deepEqual([status, text, headers.etag, headers['cache-status']], [304, '', '"1"', undefined]);
    assert.doesNotMatch(upstream.requests[0]?.head ?? '', /if-none-match/i);
  });
});

describe('an instance that is gone', () => {
  test('is stood in for by what it answered, for as long as the route says', async t => {
    const route = '  - { id: fuel, uri: lb://fuel, cache: { ttl: 1ms, staleIfError: 1h }, retry: { attempts: 2 } }';
    const { gateway, upstream } = await gatewayBefore(t, counting(), route);
    await gateway.call('/model');
    await upstream.stop();

    const stale = await gateway.call('/model');
    const never = await gateway.call('/never');

    assert.deepEqual([stale.status, stale.text], [200, '[1]']);
    assert.match(String(stale.headers['cache-status']), /^Penstock; fwd=stale; ttl=-\d+; detail=CONNECT_FAILED$/);
    assert.deepEqual(
      [never.status, never.code, never.headers['cache-status']],
      [502, 'CONNECT_FAILED', 'Penstock; fwd=uri-miss'],
    );
    const stales = await gateway.metric('penstock_cache_requests_total', { route: 'fuel', result: 'stale' });
    assert.equal(stales, 1);
  });
});

describe('an instance that is too slow', () => {
  test('is stood in for when the time is over, not later, and what it brings then is stored', async t => {
    const route = '  - { id: fuel, uri: lb://fuel, timeout: 500ms, cache: { ttl: 1ms, staleIfError: 1h } }';
    const { gateway, upstream, requested } = await gatewayBefore(t, answer('[1]'), route);
    await gateway.call('/model');
    let release: () => void = () => assert.fail('R was not asked');
    upstream.play((socket, request) => {
      release = () => answer('[2]')(socket, request);
    });

    const late = await gateway.call('/model');
    release();
    await gateway.untilIdle();
    upstream.play(stall);
    const next = await gateway.call('/model');

    assert.deepEqual([late.status, late.text, next.status, next.text], [200, '[1]', 200, '[2]']);
    for (const { headers } of [late, next]) assert.match(String(headers['cache-status']), /DEADLINE_EXCEEDED$/);
    assert.equal(requested(), 3);
    await upstream.stop();
  });
});

describe('a route that follows HTTP', () => {
  const ROUTES = `  - { id: read, uri: lb://fuel, predicates: [Method=GET], cache: { ttl: http } }
  - { id: write, uri: lb://fuel }`;

  test('keeps an entry for as long as R says, less the age it had', async t => {
    const fields = `${JSON_FIELD}Cache-Control: max-age=9, s-maxage=100\r\nAge: 40\r\n`;
    const { gateway, requested } = await gatewayBefore(t, counting(fields), ROUTES);
    await gateway.call('/model');

    const { headers } = await gateway.call('/model');

    assert.equal(requested(), 1);
    assert.match(String(headers['cache-status']), /^Penstock; hit; ttl=5\d$/);
    assert.match(String(headers.age), /^4\d$/);
  });

  test('guesses nothing where R says nothing', async t => {
    const { gateway, requested } = await gatewayBefore(t, counting(), ROUTES);
    await gateway.call('/model');
    await gateway.call('/model');

    assert.equal(requested(), 2);
  });

  test('forgets what another route writes to', async t => {
    const { gateway } = await gatewayBefore(t, counting(`${JSON_FIELD}Cache-Control: max-age=60\r\n`), ROUTES);
    const send = async (path: string) => (await gateway.call(path)).text;
    assert.deepEqual([await send('/a'), await send('/b')], ['[1]', '[2]']);

    await gateway.call('/a', { method: 'PUT', body: '1' });

    assert.deepEqual([await send('/a'), await send('/b')], ['[4]', '[2]']);
  });
});
