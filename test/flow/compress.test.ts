import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { brotliDecompressSync, createGunzip, gunzipSync } from 'node:zlib';
import { isCompressible } from '../../gateway/domain/http/content-coding.ts';
import { createCompressor } from '../../gateway/edges/zlib.ts';
import { beginCall } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { listen } from '../support/node-server.ts';

const text = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ i, name: 'a row of an answer' })));

async function startCompressing(t: TestContext) {
  const open: ServerResponse[] = [];
  const instance = createServer((req, res) => {
    const type = { 'Content-Type': 'application/json', ETag: '"v1"', 'Alt-Svc': 'h3=":443"' };
    if (req.url === '/cookie') res.writeHead(200, { ...type, 'Set-Cookie': 'a=1' }).end(text);
    else if (req.url === '/kept') res.writeHead(200, { ...type, 'Cache-Control': 'public, No-Transform' }).end(text);
    else if (req.url === '/long') {
      res.writeHead(200, type).write(text.slice(0, 9_000));
      open.push(res);
    } else res.writeHead(200, type).end(text);
  });
  const port = await listen(t, instance);
  const gateway = await startGateway(t, {
    services: { a: [`http://127.0.0.1:${port}`] },
    routes: `
services: { a: { health: { interval: 1h } } }
routes:
  - { id: plain, uri: lb://a, predicates: ['Path=/plain/**'], filters: [StripPrefix=1] }
  - { id: small, uri: lb://a, predicates: ['Path=/long'], compress: true, answer: { bufferMax: 4KiB } }
  - { id: rest, uri: lb://a, predicates: ['Path=/**'], compress: true }
`,
  });
  return { gateway, open };
}

describe('compress', () => {
  test('codes an answer as the caller likes it, and says so', async t => {
    const { gateway } = await startCompressing(t);
    const requested = (accepted: string) => gateway.call('/x', { headers: { 'accept-encoding': accepted } });

    const [brotli, gzip, plain] = [await requested('br, gzip'), await requested('gzip'), await requested('identity')];

    assert.equal(brotliDecompressSync(brotli.body).toString(), text);
    assert.equal(gunzipSync(gzip.body).toString(), text);
    assert.equal(plain.text, text);
    assert.deepEqual(
      [brotli, gzip, plain].map(({ headers }) => headers['content-encoding']),
      ['br', 'gzip', undefined],
    );
    assert.deepEqual(
      [brotli, gzip, plain].map(({ headers }) => headers.etag),
      ['W/"v1"', 'W/"v1"', '"v1"'],
    );
    assert.ok([brotli, gzip, plain].every(({ headers }) => headers.vary === 'Accept-Encoding'));
    assert.equal(brotli.headers['content-length'], String(brotli.body.length));
    assert.ok(brotli.body.length < text.length / 5);
  });

  test('leaves as it is what has a cookie or must not be changed, and every answer of a route that does not say so', async t => {
    const { gateway } = await startCompressing(t);

    for (const path of ['/cookie', '/kept', '/plain/x']) {
      const { headers, text: received } = await gateway.call(path, { headers: { 'accept-encoding': 'gzip' } });
      assert.deepEqual([headers['content-encoding'], headers.vary, received], [undefined, undefined, text], path);
    }
  });

  test('is for text, and neither for events nor for messages of gRPC', () => {
    const isCoded = (type: string) =>
      isCompressible({ status: 200, fields: ['Content-Type', type], body: Buffer.alloc(5_000), via: null });

    assert.deepEqual(
      ['application/json', 'text/csv; charset=utf-8', 'text/event-stream', 'application/grpc+json', 'image/png'].map(
        isCoded,
      ),
      [true, true, false, false, false],
    );
  });

  test('lets each piece of a long answer out as it comes, and hides no cut', async t => {
    const { gateway, open } = await startCompressing(t);
    const answer = await beginCall(`${gateway.url}/long`, { headers: { 'accept-encoding': 'gzip' } }).answered;
    const reader = answer.pipe(createGunzip());
    reader.on('error', () => undefined);
    let received = '';
    while (received.length < 9_000) received += ((await once(reader, 'data')) as [Buffer])[0].toString();
    const cut = once(answer, 'error');

    open[0]?.destroy();

    assert.equal(answer.headers['content-encoding'], 'gzip');
    assert.equal(received, text.slice(0, 9_000));
    await cut;
  });

  test('passes on no other way to the instance', async t => {
    const { gateway } = await startCompressing(t);

    assert.equal((await gateway.call('/plain/x')).headers['alt-svc'], undefined);
  });

  test('is not waited for: beyond what is compressed at once, there is no room', async () => {
    const compressor = createCompressor(1);

    const coded = compressor.whole(Buffer.from(text), 'gzip');
    assert.equal(compressor.hasRoom(), false);
    await coded;

    assert.equal(compressor.hasRoom(), true);
  });
});
