import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { fetchBriefly, probeHttp, type BriefRequest, type ProbeRequest } from '../../gateway/edges/http-probe.ts';
import { startNode } from '../support/node-server.ts';

const send = (origin: string, more: Partial<BriefRequest> = {}): BriefRequest => ({
  ...{ origin, path: '/ping', timeoutMs: 5_000, sharedSecret: undefined, signal: new AbortController().signal },
  ...more,
});

describe('a probe', () => {
  for (const [status, isWell] of [
    [200, true],
    [204, true],
    [302, true],
    [401, false],
    [404, false],
    [400, false],
    [500, false],
    [503, false],
  ] as const) {
    test(`finds an instance that answers ${status} ${isWell ? 'well' : 'not well'}`, async t => {
      const origin = await startNode(t, (_request, response) => response.writeHead(status).end());

      const found = await probeHttp(send(origin));

      assert.equal(found.isWell, isWell);
      assert.match(found.note, new RegExp(`/ping answered ${status}`));
    });
  }

  for (const [status, isWell] of [
    [200, true],
    [401, true],
    [404, true],
    [405, true],
    [400, false],
    [500, false],
  ] as const) {
    test(`without a written path finds an instance that answers ${status} ${isWell ? 'well' : 'not well'}`, async t => {
      const origin = await startNode(t, (_request, response) => response.writeHead(status).end());
      const request: ProbeRequest = { ...send(origin), path: undefined };

      const found = await probeHttp(request);

      assert.equal(found.isWell, isWell);
      assert.match(found.note, new RegExp(`/ping answered ${status}`));
    });
  }

  test('without a written path does not pass where nothing is answered', async t => {
    const origin = await startNode(t, () => undefined);

    const found = await probeHttp({ ...send(origin, { timeoutMs: 50 }), path: undefined });

    assert.deepEqual(found, { isWell: false, note: '/ping: no answer within 50 ms' });
  });

  test('is over where protocols are switched without being asked', async t => {
    const switching = 'HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
    const origin = await startNode(t, ({ socket }) => socket.write(switching));

    assert.deepEqual(await probeHttp(send(origin)), {
      isWell: false,
      note: '/ping: it answered 101, which was not asked for',
    });
  });

  test('finds no instance well where none listens', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await once(server.close(), 'close');

    const found = await probeHttp(send(`http://127.0.0.1:${port}`));

    assert.equal(found.isWell, false);
    assert.match(found.note, /ECONNREFUSED/);
  });

  test('waits no longer than its time, though bytes come', async t => {
    const origin = await startNode(t, (_request, response) => {
      response.writeHead(200).write('a');
    });

    const found = await probeHttp(send(origin, { timeoutMs: 100 }));

    assert.deepEqual(found, { isWell: false, note: '/ping: no answer within 100 ms' });
  });

  test('ends at once with its signal', async t => {
    const origin = await startNode(t, () => undefined);
    const ending = new AbortController();
    const probing = probeHttp(send(origin, { signal: ending.signal }));

    ending.abort();

    assert.equal((await probing).isWell, false);
  });

  test('comes on a connection of its own, with the shared secret', async t => {
    const seen: unknown[][] = [];
    const origin = await startNode(t, ({ headers, socket }, response) => {
      seen.push([headers['plumber-shared-secret'], headers.connection, socket.remotePort]);
      response.end();
    });

    await probeHttp(send(origin, { sharedSecret: 's3cret' }));
    await probeHttp(send(origin, { sharedSecret: 's3cret' }));

    const [first, second] = seen as [unknown[], unknown[]];
    assert.deepEqual(first.slice(0, 2), ['s3cret', 'close']);
    assert.notEqual(first[2], second[2]);
  });

  test('takes no more than so much of an endless answer', async t => {
    const origin = await startNode(t, (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      };
      response.on('drain', more);
      more();
    });

    const { body } = await fetchBriefly(send(origin));

    assert.ok(body.length > 64 * 1024 && body.length < 1024 * 1024);
  });
});
