import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { beginCall, post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { codeIn, rawCaller, sendAndReceive } from '../support/raw-caller.ts';
import {
  answer,
  bytes,
  bytesThenEnd,
  deadOrigin,
  flood,
  stall,
  startUpstream,
  type Script,
} from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

async function gatewayBefore(t: TestContext, script: Script, policy = '') {
  const upstream = await startUpstream(t, script);
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin], dead: [await deadOrigin()], nobody: ['http://127.0.0.1:1'] },
    listen: 'bodyIdleTimeout: 300ms, headersTimeout: 500ms',
    routes: `
defaults: { timeout: 5s }
services:
  fuel: { health: { interval: 1h }, queue: { waitMax: 1s } }
  dead: { health: { interval: 1h } }
  nobody: { health: { interval: 200ms, timeout: 100ms, fails: 1 }, outlier: { keepMin: 0 } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: [Path=/fuel], body: { max: 1KiB }${policy && `, ${policy}`} }
  - { id: dead, uri: lb://dead, predicates: [Path=/dead] }
  - { id: nobody, uri: lb://nobody, predicates: [Path=/nobody] }
`,
  });
  return { upstream, gateway };
}

describe('every end of a request', () => {
  test('is a problem that says its code, its id and, for vetiver, its message', async t => {
    const { gateway } = await gatewayBefore(t, answer('[1]'));

    const received = await gateway.call('/none', { headers: { 'x-request-id': 'mine' } });

    assert.equal(received.headers['content-type'], 'application/problem+json');
    assert.equal(received.headers['x-request-id'], 'mine');
    const problem = JSON.parse(received.text) as Record<string, unknown>;
    assert.deepEqual([problem['status'], problem['code'], problem['requestId']], [404, 'NO_ROUTE', 'mine']);
    assert.equal(problem['message'], problem['detail']);
    assert.deepEqual(Object.keys(problem).sort(), [
      'code',
      'detail',
      'message',
      'requestId',
      'status',
      'title',
      'type',
    ]);
  });

  test('where nothing listens is CONNECT_FAILED, and SERVICE_UNAVAILABLE where no instance is left', async t => {
    const { gateway } = await gatewayBefore(t, answer('[1]'));
    await until(async () => (await gateway.service('nobody')).instances[0]?.state !== 'in-rotation', 'nobody is left');

    const dead = await gateway.call('/dead');
    const nobody = await gateway.call('/nobody');

    assert.deepEqual([dead.status, dead.code], [502, 'CONNECT_FAILED']);
    assert.deepEqual([nobody.status, nobody.code], [503, 'SERVICE_UNAVAILABLE']);
  });

  test('by the caller’s own body: too large, declared or not, or never sent', async t => {
    const { gateway, upstream } = await gatewayBefore(t, answer('[1]'));
    const head = 'POST /fuel HTTP/1.1\r\nHost: x\r\n';
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;

    const declared = await gateway.call('/fuel', post('x'.repeat(2048)));
    const say = async (text: string) => {
      const caller = await rawCaller(t, gateway.port);
      caller.say(text);
      return codeIn(await caller.receive(/"code":"[A-Z_]+"/));
    };
    const chunked = await say(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`);
    const stalled = await say(`${head}Content-Length: 9\r\n\r\n[1`);
    const unfinished = await say(head);

    assert.deepEqual([declared.status, declared.code], [413, 'BODY_TOO_LARGE']);
    assert.equal(chunked, 'BODY_TOO_LARGE');
    assert.equal(stalled, 'REQUEST_TIMEOUT');
    assert.equal(unfinished, 'REQUEST_TIMEOUT');
    assert.equal(upstream.requests.length, 0, 'a stranger’s body costs R nothing');
  });

  test('where the caller leaves in the middle of the body, R never hears of it', async t => {
    const { gateway, upstream } = await gatewayBefore(t, answer('[1]'));
    const caller = await rawCaller(t, gateway.port);
    caller.say('POST /fuel HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[1');

    caller.socket.destroy();
    const line = await gateway.log.line(({ event }) => event === 'request');

    assert.deepEqual([line['status'], line['code']], [499, 'CALLER_GONE']);
    assert.equal(upstream.requests.length, 0);
  });

  test('where the caller leaves in the middle of a long answer, R is free at once', async t => {
    const { gateway, upstream } = await gatewayBefore(t, flood(1024 * 1024 * 1024), 'answer: { bufferMax: 64KiB }');
    const { sent, answered } = beginCall(`${gateway.url}/fuel`);
    await answered;
    assert.equal((await gateway.service('fuel')).permits.inUse, 1);

    sent.destroy();
    await until(async () => (await gateway.service('fuel')).permits.inUse === 0, 'the permit is back');

    assert.equal((await gateway.log.line(({ event }) => event === 'request'))['code'], 'CALLER_GONE');
    await until(() => upstream.open === 0, 'the connection is closed');
  });

  for (const [name, policy] of [
    ['a call of its own', 'timeout: 1s, retry: { attempts: 1 }'],
    ['a call that others might share', 'timeout: 1s, retry: { attempts: 1 }, pure: true, coalesce: true'],
    ['a call that the cache has no answer to', 'timeout: 1s, retry: { attempts: 1 }, pure: true, cache: { ttl: 1m }'],
  ] as const) {
    test(`before R has answered is told with the instance that had it, and counted: ${name}`, async t => {
      const { gateway, upstream } = await gatewayBefore(t, stall, policy);

      const received = await gateway.call('/fuel', post([1]));
      const line = await gateway.log.line(({ event }) => event === 'request');
      await upstream.stop();

      assert.equal(received.status, 504);
      assert.deepEqual([line['instance'], line['attempts']], [upstream.origin.slice('http://'.length), 1]);
      assert.equal(await gateway.metric('penstock_attempts_total', { outcome: 'timeout' }), 1);
    });
  }

  test('comes at the pace of R, however slowly its answer trickles', async t => {
    const trickle: Script = socket => {
      const pieces = ['HTTP/1.1 200 OK\r\nCont', 'ent-Length: 3\r\n', '\r\n[', '1', ']'];
      const say = () => {
        const piece = pieces.shift();
        if (piece === undefined) return;
        socket.write(piece);
        setTimeout(say, 20);
      };
      say();
    };
    const { gateway } = await gatewayBefore(t, trickle);

    const received = await gateway.call('/fuel');

    assert.deepEqual([received.status, received.text], [200, '[1]']);
  });

  for (const [name, wire, text] of [
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n', '[1]'],
    ['a connection that ends', '\r\n[1]', '[1]'],
    ['no body at all', 'Content-Length: 0\r\n\r\n', ''],
  ] as const) {
    test(`frames for the caller what R framed by ${name}`, async t => {
      const { gateway } = await gatewayBefore(t, bytesThenEnd(`HTTP/1.1 200 OK\r\n${wire}`));

      const received = await gateway.call('/fuel');

      assert.deepEqual([received.text, received.headers['content-length']], [text, String(text.length)]);
    });
  }

  test('does not pass on what R says of its own connection, nor its reason phrase', async t => {
    const fields = 'Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Own: yes\r\n';
    const { gateway } = await gatewayBefore(t, bytes(`HTTP/1.1 422 Dunno\r\n${fields}Content-Length: 2\r\n\r\n{}`));

    const received = await sendAndReceive(
      t,
      gateway.port,
      'GET /fuel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );

    assert.match(received, /^HTTP\/1\.1 422 Unprocessable Entity\r\n/);
    assert.match(received, /\r\nx-own: yes\r\n/i);
    assert.doesNotMatch(received, /x-hop|timeout=5|Dunno/i);
  });
});
