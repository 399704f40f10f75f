import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { beginCall, post, type Received } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, byHand, bytesThenReset, flood, startUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

async function gatewayBefore(t: TestContext, policy = '', service = '') {
  const hand = byHand();
  const upstream = await startUpstream(t, hand.script);
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    routes: `
services: { fuel: { health: { interval: 1h }${service && `, ${service}`} } }
routes: [{ id: fuel, uri: lb://fuel, pure: true, coalesce: true${policy && `, ${policy}`} }]`,
  });
  const coalesced = () => gateway.metric('penstock_coalesced_total', { route: 'fuel' });
  /** Who shares a flight is counted with its end: until then all are in flight, those that began one included. */
  const untilShared = (count: number, flights = 1) =>
    until(async () => (await gateway.metric('penstock_requests_in_flight')) === count + flights, `${count} in flight`);
  const untilRequested = (count: number) =>
    until(() => upstream.requests.length === count, `R was asked ${count} times`);
  return { gateway, upstream, hand, coalesced, untilShared, untilRequested };
}

const statuses = (received: readonly Received[]) => [...new Set(received.map(({ status }) => status))];

describe('equal requests in flight', () => {
  test('share one call, and each gets the same bytes', async t => {
    const { gateway, upstream, hand, untilShared } = await gatewayBefore(t, "filters: ['AddResponseHeader=X-A, b']");
    const bodies = ['{"wt":1,"hp":2}', '{ "hp": 2, "wt": 1 }', '{"\\u0077t":1,"hp":2}'];
    const send = (i: number) => gateway.call('/predict', post(bodies[i % 3] ?? ''));

    const calls = Array.from({ length: 300 }, (_, i) => send(i));
    await untilShared(299);
    hand.release('{".pred":[1.5]}');
    const received = await Promise.all(calls);

    assert.deepEqual([statuses(received), upstream.requests.length], [[200], 1]);
    assert.equal(new Set(received.map(({ text }) => text)).size, 1);
    assert.equal(new Set(received.map(({ headers }) => headers['x-request-id'])).size, 300);
    assert.ok(received.every(({ headers }) => headers['x-a'] === 'b'));
    const lines = gateway.requests();
    assert.equal(lines.length, 300);
    assert.ok(lines.every(({ instance, attempts }) => instance !== null && attempts === 1));
    assert.equal(await gateway.metric('penstock_attempts_total', { service: 'fuel', outcome: 'ok' }), 1);
  });

  test('show R nothing of the one who happens to ask', async t => {
    const { gateway, upstream, hand, untilRequested } = await gatewayBefore(t);
    const personal = {
      cookie: 'a=b',
      authorization: 'x',
      accept: 'text/x',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    };
    const more = {
      'user-agent': 'me',
      'x-tenant': 'a',
      'content-language': 'de',
      'if-none-match': '"a"',
      range: 'bytes=0-1',
    };

    const call = gateway.call('/predict?n=1', post('[1]', { ...personal, ...more }));
    await untilRequested(1);
    hand.release();
    await call;

    const lines = (upstream.requests[0]?.head ?? '').trim().split('\r\n');
    const names = lines.slice(1).map(line => line.slice(0, line.indexOf(':')).toLowerCase());
    assert.equal(lines[0], 'POST /predict?n=1 HTTP/1.1');
    assert.deepEqual(names.sort(), ['connection', 'content-language', 'content-length', 'content-type', 'host']);
  });

  test('are not those that differ in what R sees, nor those that agree only in that', async t => {
    const { gateway, upstream, hand, coalesced, untilRequested } = await gatewayBefore(
      t,
      "varyBy: ['header:X-Tenant', 'header:Authorization']",
      'concurrency: 20',
    );
    const differing = [
      () => gateway.call('/a', post('{"a":1}')),
      () => gateway.call('/a', post('{"a":1.0}')),
      () => gateway.call('/a', post('{"a":1}', { 'x-tenant': 'b' })),
      () => gateway.call('/a', post('{"a":1}', { authorization: 'b' })),
      () => gateway.call('/a', post('{"a":1}', { 'content-type': 'text/plain' })),
      () => gateway.call('/a', post('{"a":1}', { 'content-language': 'de' })),
      () => gateway.call('/a?b', post('{"a":1}')),
      () => gateway.call('/b', post('{"a":1}')),
      () => gateway.call('/a'),
      () => gateway.call('/a', { method: 'PUT', body: '{"a":1}' }),
      () => gateway.call('/a', { method: 'PUT', body: '{"a":1}' }),
    ];

    const calls = differing.map(call => call());
    await untilRequested(differing.length);
    while (hand.waiting.length > 0) hand.release();
    const received = await Promise.all(calls);

    assert.deepEqual([statuses(received), await coalesced(), upstream.requests.length], [[200], 0, differing.length]);
  });

  test('are one however JSON is announced, and HEAD and GET are one as well', async t => {
    const { gateway, upstream, hand, untilShared } = await gatewayBefore(t);
    const types = ['application/json', 'application/json; charset=UTF-8', 'text/json', undefined];
    const send = (type: string | undefined) =>
      gateway.call('/a', { method: 'POST', body: '[1]', headers: type === undefined ? {} : { 'content-type': type } });

    const calls = [...types.map(send), gateway.call('/a'), gateway.call('/a', { method: 'HEAD' })];
    await untilShared(4, 2);
    await until(() => upstream.requests.length === 1, 'R works on one');
    hand.release();
    await until(() => hand.waiting.length === 1, 'R works on the other');
    hand.release('[2]');
    const received = await Promise.all(calls);

    assert.equal(upstream.requests.length, 2);
    assert.deepEqual(statuses(received), [200]);
    const [whole, headOnly] = received.slice(-2);
    assert.deepEqual([headOnly?.text, headOnly?.headers['content-length']], ['', whole?.headers['content-length']]);
  });
});

describe('who shares a flight', () => {
  test('may leave, and even who began it: the others get their answer', async t => {
    const { gateway, upstream, hand, untilShared, untilRequested } = await gatewayBefore(t);
    const first = beginCall(gateway.url);
    await untilRequested(1);
    const others = [gateway.call('/'), gateway.call('/')];
    await untilShared(2);

    first.sent.destroy();
    await gateway.log.line(({ event, code }) => event === 'request' && code === 'CALLER_GONE');
    const late = gateway.call('/');
    await untilShared(2); // the first is none of them any more
    hand.release();

    assert.deepEqual(statuses(await Promise.all([...others, late])), [200]);
    assert.equal(upstream.requests.length, 1);
    assert.equal((await gateway.service('fuel')).permits.abandoned, 0);
  });

  test('abandons its call only when all callers have left, and then leaves the queue at once', async t => {
    const { gateway, upstream, hand, untilShared, untilRequested } = await gatewayBefore(t);
    const blocking = gateway.call('/other');
    await untilRequested(1);
    const calls = [beginCall(gateway.url), beginCall(gateway.url)];
    await untilShared(1);
    await until(async () => (await gateway.service('fuel')).queue.depth === 1, 'the flight waits');

    for (const { sent } of calls) sent.destroy();
    await until(async () => (await gateway.service('fuel')).queue.depth === 0, 'the flight has left the queue');
    hand.release();

    assert.equal((await blocking).status, 200);
    assert.equal(upstream.requests.length, 1);
  });
});

describe('a failure', () => {
  test('is everyone’s, and is repeated once for all', async t => {
    const { gateway, upstream, hand, untilShared } = await gatewayBefore(t, 'retry: { attempts: 2 }');
    const calls = Array.from({ length: 50 }, () => gateway.call('/'));
    await untilShared(49);

    hand.play(bytesThenReset(''));
    await until(() => hand.waiting.length === 1 && upstream.requests.length === 2, 'the retry');
    hand.play(bytesThenReset(''));
    const received = await Promise.all(calls);

    assert.deepEqual([statuses(received), received[7]?.code], [[502], 'CONNECTION_LOST']);
    assert.equal(upstream.requests.length, 2);
    assert.equal(await gateway.metric('penstock_retries_total', { service: 'fuel' }), 1);
    assert.equal(new Set(received.map(({ headers }) => headers['x-request-id'])).size, 50);
  });

  test('of R’s own is everyone’s as well', async t => {
    const { gateway, upstream, hand, untilShared } = await gatewayBefore(t);
    const calls = Array.from({ length: 9 }, () => gateway.call('/'));
    await untilShared(8);

    hand.play(answer('{"error":"500 - Internal server error"}', { status: 500 }));

    assert.deepEqual(statuses(await Promise.all(calls)), [500]);
    assert.equal(upstream.requests.length, 1);
  });
});

describe('an answer that may serve only one', () => {
  for (const [name, fields] of [
    ['sets a cookie', 'Set-Cookie: a=b\r\n'],
    ['is private', 'Cache-Control: private\r\n'],
    ['is not to be stored', 'Cache-Control: max-age=1, No-Store\r\n'],
  ] as const) {
    test(`serves one, and the others ask for themselves: it ${name}`, async t => {
      const { gateway, upstream, hand, untilShared, untilRequested } = await gatewayBefore(t);
      const calls = Array.from({ length: 3 }, () => gateway.call('/'));
      await untilShared(2);

      for (let i = 1; i <= 3; i += 1) {
        await untilRequested(i);
        await until(() => hand.waiting.length === 1, 'R works');
        hand.release(`[${i}]`, fields);
      }
      const received = await Promise.all(calls);

      assert.deepEqual(received.map(({ text }) => text).sort(), ['[1]', '[2]', '[3]']);
      assert.equal(upstream.requests.length, 3);
    });
  }

  test('is one that is larger than `answer.bufferMax`', async t => {
    const length = 4 * 1024 * 1024;
    const { gateway, upstream, hand, untilShared } = await gatewayBefore(t, 'answer: { bufferMax: 64KiB }');
    const calls = Array.from({ length: 3 }, () => gateway.call('/'));
    await untilShared(2);

    upstream.play(flood(length));
    hand.play(flood(length));
    const received = await Promise.all(calls);

    assert.deepEqual(
      received.map(({ body }) => body.length),
      [length, length, length],
    );
    assert.equal(upstream.requests.length, 3);
  });
});

describe('who says no-cache', () => {
  test('shares none that flies already, and may be shared', async t => {
    const { gateway, upstream, hand, untilShared, untilRequested } = await gatewayBefore(t, '', 'concurrency: 2');
    const first = gateway.call('/');
    await untilRequested(1);
    const anew = gateway.call('/', { headers: { 'cache-control': 'no-cache' } });
    await untilRequested(2);
    const later = gateway.call('/');
    await untilShared(1, 2);

    hand.release('[1]');
    hand.release('[2]');
    const received = await Promise.all([first, anew, later]);

    assert.deepEqual(
      received.map(({ text }) => text),
      ['[1]', '[2]', '[2]'],
    );
    assert.equal(upstream.requests.length, 2);
  });
});
