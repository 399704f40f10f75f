import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { crowd } from '../../bench/load/crowd.ts';
import { quantile, type Turn } from '../../bench/load/load.ts';
import { mixed } from '../../bench/load/mixed.ts';
import { listen } from '../support/node-server.ts';

/** A turn at a server of the test's own, which ends with the test. */
async function aRun(t: TestContext, answer: RequestListener, connections: number): Promise<Turn> {
  const address = `127.0.0.1:${await listen(t, createServer(answer))}`;
  return {
    ...{ front: { addresses: [address], prefix: '/api', process: undefined }, path: '/predict', instances: [address] },
    ...{ isClosedByCallers: false, connections, seconds: 1, seed: 7, core: undefined },
    tokenOf: subject => `token-of-${subject}`,
  };
}

describe('a mix of slow and fast calls', () => {
  test('is told apart, each kind by its own times', async t => {
    const seen = { fast: 0, slow: 0 };
    const SLOW_MS = 150;
    const turn = await aRun(
      t,
      ({ url }, response) => {
        const kind = url === '/api/slow' ? 'slow' : 'fast';
        seen[kind] += 1;
        setTimeout(() => response.end('{}'), kind === 'slow' ? SLOW_MS : 0);
      },
      4,
    );

    const figures = await mixed({ fast: '/fast', slow: '/slow', slowEvery: 10 })(turn);

    assert.equal(figures.requests, seen.fast + seen.slow);
    assert.equal(seen.slow, Math.floor(figures.requests / 10));
    assert.ok((figures.slowP50Ms ?? 0) >= SLOW_MS - 1, JSON.stringify(figures));
    assert.ok(figures.p50Ms < (figures.slowP50Ms ?? 0), JSON.stringify(figures)); // a busy machine delays both
    assert.ok(figures.durationMs >= 1_000);
  });

  test('counts refusals and broken calls apart from good ones', async t => {
    let calls = 0;
    const turn = await aRun(
      t,
      (request, response) => {
        calls += 1;
        if (calls % 3 === 0) request.socket.destroy();
        else response.writeHead(calls % 3 === 1 ? 200 : 503).end();
      },
      1,
    );

    const { requests, refused, broken } = await mixed({ fast: '/', slow: '/', slowEvery: Infinity })(turn);

    assert.ok(broken > 0 && refused > 0);
    assert.equal(requests + broken, calls);
    assert.equal(refused, Math.floor((calls + 1) / 3));
  });
});

describe('a crowd that asks the same at once', () => {
  test('comes as so many callers, each with a token of their own, and is counted at R', async t => {
    const asked: (string | undefined)[] = [];
    const turn = await aRun(
      t,
      (request, response) => {
        if (request.url === '/asked') return void response.end(JSON.stringify({ asked: asked.length }));
        asked.push(request.headers.authorization);
        response.end('[1]');
      },
      150,
    );

    const figures = await crowd(seed => ({ body: `[{"seed":${seed}}]` }))(turn);

    assert.deepEqual([figures.requests, figures.reached, figures.refused, figures.broken], [150, 150, 0, 0]);
    assert.equal(new Set(asked).size, 150);
    assert.ok(figures.p50Ms <= figures.p99Ms && figures.p99Ms <= figures.durationMs, JSON.stringify(figures));
  });

  test('counts who was refused and who got no answer', async t => {
    let calls = 0;
    const turn = await aRun(
      t,
      (request, response) => {
        if (request.url === '/asked') return void response.end('{"asked":0}');
        calls += 1;
        if (calls === 1) request.socket.destroy();
        else response.writeHead(calls === 2 ? 503 : 200).end();
      },
      5,
    );

    const { refused, broken } = await crowd(() => ({ body: '[]' }))(turn);

    assert.deepEqual([refused, broken], [1, 1]);
  });

  test('fails where the same question is answered differently', async t => {
    let calls = 0;
    const turn = await aRun(
      t,
      ({ url }, response) => void response.end(url === '/asked' ? '{"asked":0}' : String((calls += 1))),
      2,
    );

    await assert.rejects(crowd(() => ({ body: '[]' }))(turn), /answered differently/);
  });
});

test('a quantile is the value below which the share lies', () => {
  assert.equal(quantile([1, 2, 3, 4], 0.5), 3);
  assert.equal(quantile([1, 2, 3, 4], 1), 4);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});
