import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

const KiB = 1_024;

async function gatewayBefore(t: TestContext) {
  const upstream = await startUpstream(t, answer('[1]', { fields: 'Content-Type: application/json\r\n' }));
  const routes = `
services: { fuel: { health: { interval: 1h } } }
routes:
  - { id: shared, uri: lb://fuel, predicates: ['Path=/shared'], pure: true, coalesce: true, cache: { ttl: 1h } }
  - { id: stream, uri: lb://fuel, predicates: ['Path=/stream'], stream: true }
  - { id: fuel, uri: lb://fuel, body: { max: 64KiB } }
`;
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, routes });
  const send = (coding: string, body: Buffer, path = '/predict') =>
    gateway.call(path, {
      method: 'POST',
      headers: { 'content-encoding': coding, 'content-digest': 'sha-256=:x:' },
      body,
    });
  return { upstream, send };
}

describe('a body that comes compressed', () => {
  test('is unpacked for R, which is told nothing of it', async t => {
    const { upstream, send } = await gatewayBefore(t);
    const body = Buffer.from(JSON.stringify([{ wt: 2.5 }]));

    for (const [coding, packed] of [
      ['gzip', gzipSync(body)],
      ['X-GZIP', gzipSync(body)],
      ['br', brotliCompressSync(body)],
      ['identity', body],
    ] as const) {
      assert.equal((await send(coding, packed)).status, 200, coding);
      const sent = upstream.requests.at(-1);
      assert.deepEqual(sent?.body, body, coding);
      if (coding !== 'identity') assert.doesNotMatch(sent.head, /content-(encoding|digest)/i);
      assert.match(sent.head, new RegExp(`content-length: ${body.length}\r`, 'i'));
    }
  });

  test('tells R of no coding where it is empty', async t => {
    const { upstream, send } = await gatewayBefore(t);

    assert.equal((await send('br', Buffer.alloc(0))).status, 200);
    assert.equal((await send('deflate', Buffer.alloc(0))).code, 'UNSUPPORTED_MEDIA_TYPE');

    assert.deepEqual(
      upstream.requests.map(({ head }) => /content-(?:encoding|digest)/i.test(head)),
      [false],
    );
  });

  test('is the same call as what it was made of', async t => {
    const { upstream, send } = await gatewayBefore(t);

    await send('gzip', gzipSync('[{"wt":2.5}]'), '/shared');
    await send('br', brotliCompressSync('[{ "wt": 2.5 }]'), '/shared');

    assert.equal(upstream.requests.length, 1);
  });

  test('is 413 as soon as it unpacks to more than the route takes', async t => {
    const { upstream, send } = await gatewayBefore(t);

    assert.equal((await send('gzip', gzipSync(Buffer.alloc(64 * KiB)))).status, 200);
    assert.equal((await send('gzip', gzipSync(Buffer.alloc(64 * KiB + 1)))).code, 'BODY_TOO_LARGE');
    assert.equal((await send('gzip', gzipSync(Buffer.alloc(4 * KiB * KiB)))).code, 'BODY_TOO_LARGE');
    assert.equal((await send('br', brotliCompressSync(Buffer.alloc(4 * KiB * KiB)))).code, 'BODY_TOO_LARGE');
    assert.equal(upstream.requests.length, 1);
  });

  test('is 400 where it is not what it is said to be', async t => {
    const { upstream, send } = await gatewayBefore(t);

    for (const body of [Buffer.from('[1]'), gzipSync('[1]').subarray(0, 15)]) {
      assert.equal((await send('gzip', body)).code, 'BAD_REQUEST');
    }
    assert.equal((await send('br', Buffer.from('[1]'))).code, 'BAD_REQUEST');
    assert.equal(upstream.requests.length, 0);
  });

  test('is 415 in another coding, in several, and on a stream, and R never sees it', async t => {
    const { upstream, send } = await gatewayBefore(t);

    for (const coding of ['deflate', 'zstd', 'gzip, br', 'compress']) {
      const received = await send(coding, deflateSync('[1]'));
      assert.deepEqual(
        [received.status, received.code, received.headers['accept-encoding']],
        [415, 'UNSUPPORTED_MEDIA_TYPE', 'gzip, br'],
      );
    }
    const streamed = await send('gzip', gzipSync('[1]'), '/stream');
    assert.deepEqual([streamed.code, streamed.headers['accept-encoding']], ['UNSUPPORTED_MEDIA_TYPE', 'identity']);
    assert.equal(upstream.requests.length, 0);
  });
});
