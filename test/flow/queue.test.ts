import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { beginCall } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { rawCaller } from '../support/raw-caller.ts';
import { answer, byHand, stall, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const SECRET = 'a secret of thirty-two bytes or more';

async function gatewayBefore(t: TestContext, scripts: readonly Script[], { service = '', policy = '' } = {}) {
  const upstreams = await Promise.all(scripts.map(script => startUpstream(t, script)));
  const gateway = await startGateway(t, {
    services: { fuel: upstreams.map(({ origin }) => origin) },
    routes: `
services: { fuel: { ${service.includes('health:') ? '' : 'health: { interval: 1h }, '}${service} } }
routes: [{ id: fuel, uri: lb://fuel${policy && `, ${policy}`} }]`,
  });
  const depth = async () => (await gateway.service('fuel')).queue.depth;
  const inUse = async () => (await gateway.service('fuel')).permits.inUse;
  return { gateway, upstreams, depth, inUse };
}

describe('an explanation', () => {
  test('says whether connections to each instance are kept, and whether calls are handed on ahead', async t => {
    const { gateway, upstreams } = await gatewayBefore(t, [answer('[1]')], { service: 'connection: { reuse: true }' });
    const origin = upstreams[0]?.origin ?? assert.fail();
    const explained = async () => {
      const requested = JSON.stringify({ method: 'GET', url: '/' });
      const headers = { 'Content-Type': 'application/json' };
      const response = await fetch(`${gateway.adminUrl}/api/explain`, { method: 'POST', headers, body: requested });
      const { answers } = (await response.json()) as {
        answers: { connections: object; ahead: { p50Ms: number } | null };
      };
      return answers;
    };
    const before = await explained();

    for (let i = 0; i < 40; i += 1) await gateway.call('/');

    assert.deepEqual([before.connections, before.ahead], [{ [origin]: null }, null]);
    const { connections, ahead } = await explained();
    assert.deepEqual(connections, { [origin]: 'kept' });
    assert.ok(ahead === null || ahead.p50Ms < 20, 'on a busy machine times may vary');
  });
});

describe('an instance', () => {
  test('works on one request at a time; the others wait, and are served in the order they came', async t => {
    const hand = byHand();
    const { gateway, upstreams, depth } = await gatewayBefore(t, [hand.script]);
    const [upstream] = upstreams;
    assert.ok(upstream);
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 5; i += 1) {
      calls.push(gateway.call(`/${i}`));
      await until(async () => (await depth()) === i && upstream.requests.length === 1, `${i} wait`);
    }

    for (let done = 1; done <= 5; done += 1) {
      assert.equal(hand.waiting.length, 1);
      hand.release();
      if (done < 5) await until(() => upstream.requests.length === done + 1, 'the next');
    }
    await Promise.all(calls);

    const order = upstream.requests.map(({ head }) => /^GET (\S+)/.exec(head)?.[1]);
    assert.deepEqual(order, ['/0', '/1', '/2', '/3', '/4']);
  });

  test('works on as many as its service says it can', async t => {
    const hand = byHand();
    const { gateway, upstreams, depth } = await gatewayBefore(t, [hand.script], { service: 'concurrency: 3' });

    const calls = Array.from({ length: 5 }, () => gateway.call('/'));
    await until(async () => (await depth()) === 2, 'two wait');
    assert.equal(upstreams[0]?.requests.length, 3);
    for (let i = 0; i < 5; i += 1) {
      await until(() => hand.waiting.length > 0, 'one in hand');
      hand.release();
    }

    assert.deepEqual(
      (await Promise.all(calls)).map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
  });

  test('is still one behind two names', async t => {
    const hand = byHand();
    const upstream = await startUpstream(t, hand.script);
    const gateway = await startGateway(t, {
      services: { one: [upstream.origin], other: [upstream.origin] },
      routes: `
defaults: { timeout: 10s }
services: { one: { health: { interval: 1h } }, other: { health: { interval: 1h } } }
routes: [{ uri: lb://one, predicates: [Path=/one] }, { uri: lb://other, predicates: [Path=/other] }]`,
    });

    const calls = [gateway.call('/one')];
    await until(() => hand.waiting.length === 1, 'the first is in hand');
    calls.push(gateway.call('/other'));
    await until(async () => (await gateway.service('other')).queue.depth === 1, 'the other waits');
    assert.equal(upstream.requests.length, 1);
    hand.release();
    await until(() => hand.waiting.length === 1 && upstream.requests.length === 2, 'the other is in hand');
    hand.release();

    assert.deepEqual(
      (await Promise.all(calls)).map(({ status }) => status),
      [200, 200],
    );
  });
});

describe('the queue', () => {
  test('is bounded in depth and in time, and says when to come back', async t => {
    const hand = byHand();
    const service = 'queue: { depthMax: 1, waitMax: 300ms }';
    const { gateway, depth } = await gatewayBefore(t, [hand.script], { service });
    const first = gateway.call('/');
    await until(() => hand.waiting.length === 1, 'the first is in hand');
    const second = gateway.call('/');
    await until(async () => (await depth()) === 1, 'the second waits');

    const third = await gateway.call('/');
    const late = await second;
    hand.release();

    assert.deepEqual([third.status, third.code], [503, 'QUEUE_FULL']);
    assert.deepEqual([late.status, late.code], [503, 'QUEUE_TIMEOUT']);
    for (const { headers } of [third, late]) assert.match(String(headers['retry-after']), /^[1-9]\d*$/);
    assert.equal((await first).status, 200);
  });

  test('is left at once by callers who hang up: R never hears of them, and nothing of them stays', async t => {
    const hand = byHand();
    const { gateway, upstreams, depth } = await gatewayBefore(t, [hand.script]);
    const first = gateway.call('/first');
    await until(() => hand.waiting.length === 1, 'the first is in hand');
    const gone = Array.from({ length: 20 }, () => beginCall(`${gateway.url}/gone`));
    await until(async () => (await depth()) === 20, 'twenty wait');

    for (const { sent } of gone) sent.destroy();
    await until(async () => (await depth()) === 0, 'no call waits');
    const last = gateway.call('/last');
    await until(async () => (await depth()) === 1, 'the last waits');
    hand.release();
    await until(() => hand.waiting.length === 1, 'the last is in hand');
    hand.release();

    assert.deepEqual([(await first).status, (await last).status], [200, 200]);
    assert.equal(upstreams[0]?.requests.length, 2);
    const left = gateway.requests().filter(line => line['path'] === '/gone');
    assert.deepEqual(
      new Set(left.map(({ status, code }) => `${String(status)} ${String(code)}`)),
      new Set(['499 CALLER_GONE']),
    );
    assert.equal(left.length, 20);
    assert.equal(await gateway.metric('penstock_refusals_total', { code: 'CALLER_GONE' }), 20);
  });
});

describe('callers who wait', () => {
  /** One instance by hand, and callers known by their tokens. */
  async function amongCallers(t: TestContext, queue: string) {
    const hand = byHand();
    const upstream = await startUpstream(t, hand.script);
    const gateway = await startGateway(t, {
      services: { fuel: [upstream.origin] },
      more: "identity: { jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '${env:S}' }] }",
      env: { S: SECRET },
      routes: `
services: { fuel: { health: { interval: 1h }, queue: ${queue} } }
routes:
  - { id: high, uri: lb://fuel, predicates: [Path=/high/**], priority: high }
  - { id: low, uri: lb://fuel, predicates: [Path=/low/**], priority: low, timeout: 250ms }
  - { id: fuel, uri: lb://fuel }`,
    });
    const exp = Math.floor(Date.now() / 1000) + 3_600;
    const send = (caller: string, path: string) => {
      const token = aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub: caller, exp }, hmac(SECRET));
      return gateway.call(path, { headers: { authorization: `Bearer ${token}` } });
    };
    const depth = async () => (await gateway.service('fuel')).queue.depth;
    /** The next call is in hand, and this is its path. */
    const reached = async (count: number) => {
      await until(() => upstream.requests.length === count && hand.waiting.length === 1, `call ${count} is in hand`);
      return /^GET (\S+)/.exec(upstream.requests.at(-1)?.head ?? '')?.[1];
    };
    return { hand, send, depth, reached, gateway };
  }

  test('take turns by who they are, and by priority: R hears of them in that order', async t => {
    const { hand, send, depth, reached } = await amongCallers(t, '{ depthMax: 64 }');
    const calls = [send('greedy', '/first')];
    await reached(1);
    for (const [caller, path] of [
      ...Array.from({ length: 20 }, () => ['greedy', '/greedy'] as const),
      ['bob', '/bob'],
      ['greedy', '/high/greedy'],
    ] as const) {
      calls.push(send(caller, path));
      await until(async () => (await depth()) === calls.length - 1, `${calls.length - 1} wait`);
    }

    const order: (string | undefined)[] = [];
    for (let count = 2; count <= calls.length; count += 1) {
      hand.release();
      order.push(await reached(count));
    }
    hand.release();

    assert.deepEqual(order.slice(0, 4), ['/high/greedy', '/greedy', '/bob', '/greedy']);
    assert.ok((await Promise.all(calls)).every(({ status }) => status === 200));
  });

  test('are refused at once where their turn would come too late, and told when to come again', async t => {
    const { hand, send, reached, gateway } = await amongCallers(t, '{ waitMax: 1m }');
    for (let count = 1; count <= 6; count += 1) {
      const call = send('alice', '/slow');
      await reached(count);
      await setTimeout(250); // R's time: what is learned here
      hand.release();
      await call;
    }
    const calls = [send('alice', '/slow'), send('alice', '/slow'), send('alice', '/slow')];
    await until(async () => (await gateway.service('fuel')).queue.depth === 2, 'two wait');

    const refused = await send('bob', '/low/late'); // its route has 250 ms for it
    const patient = send('bob', '/patient');
    for (let count = 7; count <= 10; count += 1) {
      await reached(count);
      hand.release();
    }

    assert.deepEqual([refused.status, refused.code], [503, 'QUEUE_TIMEOUT']);
    assert.match(refused.text, /The wait would be about [\d.]+ s, longer than this request may take/);
    assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
    const line = gateway.requests().find(({ path }) => path === '/low/late');
    assert.ok(Number(line?.['totalMs']) < 1_000, JSON.stringify(line));
    for (const { status } of await Promise.all([...calls, patient])) assert.equal(status, 200);
  });
});

describe('a permit', () => {
  test('returns when R has answered, not when the caller left', async t => {
    const hand = byHand();
    const { gateway, inUse } = await gatewayBefore(t, [hand.script]);
    const { sent } = beginCall(gateway.url);
    await until(() => hand.waiting.length === 1, 'R works');

    sent.destroy();
    const next = gateway.call('/');
    await until(async () => (await gateway.service('fuel')).permits.abandoned === 1, 'R works for no caller');
    assert.equal((await gateway.service('fuel')).queue.depth, 1);
    hand.release();
    await until(() => hand.waiting.length === 1, 'R works for the next');
    hand.release();

    assert.equal((await next).status, 200);
    await until(async () => (await inUse()) === 0, 'the permit is back');
  });

  test('returns after `hangMax` when a check is answered; an instance that answers none is out', async t => {
    const hand = byHand();
    const service = 'hangMax: 1s, outlier: { ejectFor: 5m }, health: { interval: 200ms, timeout: 300ms }';
    const { gateway, upstreams, inUse } = await gatewayBefore(t, [hand.script, answer('[1]')], {
      service,
      policy: 'timeout: 30s, retry: { attemptTimeout: 500ms }',
    });

    const instance = () => gateway.instance('fuel', `127.0.0.1:${upstreams[0]?.port ?? 0}`);
    upstreams[0]?.playChecks(stall);

    const received = await Promise.all([gateway.call('/'), gateway.call('/')]);
    await until(async () => (await instance()).state === 'ejected', 'it is out');

    assert.deepEqual(
      received.map(({ status }) => status),
      [200, 200],
    );
    assert.deepEqual([(await instance()).why, await inUse()], ['hung', 1]);
    upstreams[0]?.play(answer('[1]'));
    upstreams[0]?.playChecks(answer(''));
    await until(async () => (await inUse()) === 0, 'the permit is back');
  });

  test('is not held by a slow reader of an answer that fits the buffer', async t => {
    const body = Buffer.alloc(32 * 1024 * 1024, 'x'); // more than the kernel takes for one who does not read
    const { gateway, inUse, upstreams } = await gatewayBefore(t, [answer(body)], {
      policy: 'answer: { bufferMax: 64MiB }',
    });
    const reader = await rawCaller(t, gateway.port);
    reader.socket.pause();
    reader.say('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => upstreams[0]?.requests.length === 1, 'R was asked');

    await until(async () => (await inUse()) === 0, 'R is free');
    const other = await gateway.call('/');

    assert.equal(other.body.length, body.length);
    reader.socket.destroy();
    await once(reader.socket, 'close');
  });
});
