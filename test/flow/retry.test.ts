import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import {
  answer,
  bytes,
  bytesThenEnd,
  bytesThenReset,
  deadOrigin,
  stall,
  startUpstream,
  type Script,
} from '../support/scripted-upstream.ts';

/** A gateway before instances that play these scripts, in the order of their turns. */
async function gatewayBefore(t: TestContext, scripts: readonly Script[], policy = '') {
  const upstreams = await Promise.all(scripts.map(script => startUpstream(t, script)));
  const gateway = await startGateway(t, {
    services: { fuel: upstreams.map(({ origin }) => origin) },
    routes: `
services: { fuel: { balance: { policy: round-robin }, health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: [Path=/fuel]${policy && `, ${policy}`} }
  - { id: pure, uri: lb://fuel, predicates: [Path=/pure], pure: true${policy && `, ${policy}`} }
`,
  });
  const requested = () => upstreams.reduce((sum, { requests }) => sum + requests.length, 0);
  return { gateway, upstreams, requested };
}

describe('a call whose instance', () => {
  test('refuses the connection goes to another, whatever its method, and costs the caller nothing', async t => {
    const well = await startUpstream(t, answer('[1]'));
    const gateway = await startGateway(t, {
      services: { fuel: [await deadOrigin(), well.origin] },
      routes: `
services: { fuel: { balance: { policy: round-robin }, health: { interval: 1h } } }
routes: [{ id: fuel, uri: lb://fuel }]`,
    });

    const received = await Promise.all(Array.from({ length: 10 }, () => gateway.call('/', post([]))));

    assert.deepEqual(new Set(received.map(({ status, text }) => `${status} ${text}`)), new Set(['200 [1]']));
    assert.equal(well.requests.length, 10);
    assert.ok((await gateway.metric('penstock_retries_total', { reason: 'connect-failure' })) >= 1);
  });

  for (const [name, script] of [
    ['breaks off', bytesThenReset('')],
    ['breaks off in the middle of its head', bytesThenReset('HTTP/1.1 200 OK\r\nContent-')],
    ['breaks off in the middle of its body', bytesThenReset('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1')],
    ['says what is no HTTP', bytes('SSH-2.0-OpenSSH_9.2\r\n\r\n')],
    ['is a bad gateway by its own word', answer('', { status: 502 })],
    ['is unavailable by its own word', answer('', { status: 503 })],
  ] as const) {
    test(`${name} is repeated where that is safe, and only there`, async t => {
      const { gateway, requested } = await gatewayBefore(t, [script, answer('[1]')]);

      const get = await gateway.call('/fuel');
      const pure = [await gateway.call('/pure', post([])), await gateway.call('/pure', post([]))];
      const before = requested();
      const posted = [await gateway.call('/fuel', post([])), await gateway.call('/fuel', post([]))];

      assert.equal(get.status, 200);
      assert.deepEqual(
        pure.map(({ text }) => text),
        ['[1]', '[1]'],
      );
      assert.equal(requested() - before, 2, 'a POST of unknown effect is sent once');
      assert.equal(posted.filter(({ status }) => status === 200).length, 1);
    });
  }

  test('gives no answer in time is repeated at another, and the first keeps its permit until it is done', async t => {
    const { gateway, upstreams } = await gatewayBefore(t, [stall, answer('[1]')], 'retry: { attemptTimeout: 200ms }');
    const [first] = upstreams;
    assert.ok(first);

    const received = await gateway.call('/fuel');
    const { permits } = await gateway.service('fuel');
    await first.stop();

    assert.equal(received.text, '[1]');
    assert.deepEqual(permits, { inUse: 1, abandoned: 1 });
    assert.equal(await gateway.metric('penstock_attempts_total', { outcome: 'timeout' }), 1);
  });

  for (const [name, type, text] of [
    ['of R’s own code', 'application/json', '{"error":"500 - Internal server error"}'],
    ['in httpuv’s words, which a model may use as well,', 'text/plain', 'An exception occurred.'],
    ['in httpuv’s words of an error', 'text/plain', 'ERROR: object not found'],
  ] as const) {
    test(`answers with a 500 ${name} is not repeated: R’s answer goes out as it is`, async t => {
      const own = answer(text, { status: 500, fields: `Content-Type: ${type}\r\n` });
      const { gateway, requested } = await gatewayBefore(t, [own, own]);

      const received = await gateway.call('/pure', post('{'));

      assert.deepEqual([received.status, received.headers['content-type'], received.text], [500, type, text]);
      assert.equal(requested(), 1);
    });
  }
});

describe('a repeat', () => {
  test('never follows bytes that went out: the caller sees a cut answer, and no second one', async t => {
    const cut = bytesThenEnd(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 * 1024}\r\n\r\n${'x'.repeat(100_000)}`);
    const { gateway, requested } = await gatewayBefore(t, [cut, cut], 'answer: { bufferMax: 1KiB }');

    await assert.rejects(gateway.call('/fuel'), { code: 'ECONNRESET' });

    assert.equal(requested(), 1);
    const line = await gateway.log.line(({ event }) => event === 'request');
    assert.deepEqual([line['status'], line['code'], line['attempts']], [200, 'CONNECTION_LOST', 1]);
  });

  test('is not sent to a third instance when it has lost two', async t => {
    const lost = bytesThenReset('');
    const { gateway, requested } = await gatewayBefore(t, [lost, lost, lost], 'retry: { attempts: 3 }');

    const { status, code } = await gateway.call('/fuel');

    assert.deepEqual([status, code], [502, 'CONNECTION_LOST']);
    assert.equal(requested(), 2);
  });

  test('stops at the number of attempts, and the last answer is R’s own', async t => {
    const busy = answer('later', { status: 503, fields: 'Retry-After: 7\r\n' });
    const { gateway, requested } = await gatewayBefore(t, [busy, busy, busy], 'retry: { attempts: 2 }');

    const received = await gateway.call('/fuel');

    assert.deepEqual([received.status, received.text, received.headers['retry-after']], [503, 'later', '7']);
    assert.equal(requested(), 2);
  });

  test('is paid from a budget, so that repeats do not finish off a service that fails', async t => {
    const busy = answer('', { status: 503 });
    const { gateway, requested } = await gatewayBefore(t, [busy, busy], 'retry: { attempts: 10, budgetPercent: 0 }');

    for (let i = 0; i < 30; i += 1) await Promise.all([1, 2, 3, 4].map(() => gateway.call('/fuel')));

    // Ten repeats a second are always allowed, counted over ten seconds.
    assert.ok(requested() >= 120 && requested() <= 120 + 200, `${requested()} attempts for 120 calls`);
  });
});

describe('the deadline of a route', () => {
  test('ends everything: queue, attempts and back-off', async t => {
    const { gateway, upstreams } = await gatewayBefore(t, [stall], 'timeout: 300ms');

    const received = await Promise.all([gateway.call('/fuel'), gateway.call('/fuel')]);
    await upstreams[0]?.stop();

    const codes = received.map(({ status, code }) => `${status} ${String(code)}`).sort();
    assert.deepEqual(
      codes.map(code => code.split(' ')[0]),
      ['504', '504'],
    );
    assert.ok(codes.includes('504 DEADLINE_EXCEEDED'), String(codes));
  });
});
