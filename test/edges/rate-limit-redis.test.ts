import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { limitName } from '../../gateway/domain/admission/limits.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Limit } from '../../gateway/domain/route.ts';
import { systemClock as clock } from '../../gateway/edges/clock.ts';
import { CounterTable, createLimitCounter } from '../../gateway/edges/express-rate-limit.ts';
import { createSharedCounter } from '../../gateway/edges/rate-limit-redis.ts';
import { connectRedis } from '../../gateway/edges/redis.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { aLimit } from '../support/requests.ts';
import { until } from '../support/until.ts';

/** A gateway's way to count where all do. */
async function aGateway(t: TestContext, { url }: RedisServer, timeoutMs = 2_000) {
  const events: GatewayEvent[] = [];
  const redis = connectRedis({ url, timeoutMs, clock, observe: event => void events.push(event) });
  t.after(() => redis.close());
  const shared = createSharedCounter({ redis, local: createLimitCounter({ table: new CounterTable({ clock }) }) });
  const count = (limit: Limit, key = 'alice', cost = 1) =>
    shared.count({ limit, routeId: 'fuel', prefix: `fuel\n${limitName(limit)}\n` }, key, cost);
  const answers = () =>
    redis.send(['PING']).then(
      () => true,
      () => false,
    );
  await until(answers, 'redis answers');
  return { count, answers, events };
}

const isTaken = (tally: { isExceeded: boolean } | undefined) => tally?.isExceeded === false;

describe('limits that gateways share', () => {
  test('admit together what one would', async t => {
    const server = await startRedis(t);
    const [one, two] = [await aGateway(t, server), await aGateway(t, server)];
    const limit = aLimit(500, 60_000);

    const tallies = await Promise.all(Array.from({ length: 800 }, (_, i) => (i % 3 === 0 ? one : two).count(limit)));

    assert.equal(tallies.filter(isTaken).length, 500);
    assert.equal(tallies[799]?.remaining, 0);
    assert.equal(isTaken(await one.count(limit, 'bob')), true);
  });

  test('count rows whole or not at all, and take back what was not used', async t => {
    const server = await startRedis(t);
    const [one, two] = [await aGateway(t, server), await aGateway(t, server)];
    const limit = aLimit(100, 60_000, { cost: 'rows' });

    const first = await one.count(limit, 'alice', 60);
    assert.deepEqual([first?.isExceeded, first?.remaining], [false, 40]);
    assert.equal(isTaken(await two.count(limit, 'alice', 41)), false);
    first?.giveBack(60);

    await until(async () => isTaken(await two.count(limit, 'alice', 100)), 'all of it is there again');
  });

  test('take back what was counted, even while more come than there is room for', async t => {
    const server = await startRedis(t);
    const gateway = await aGateway(t, server);
    const limit = aLimit(5, 60_000);

    const tallies = await Promise.all(Array.from({ length: 50 }, () => gateway.count(limit)));
    assert.equal(tallies.filter(isTaken).length, 5);
    tallies.find(isTaken)?.giveBack(1);

    await until(async () => isTaken(await gateway.count(limit)), 'the place is there again');
  });

  test('keep one pace, whichever gateway asks for the next place', async t => {
    const server = await startRedis(t);
    const [one, two] = [await aGateway(t, server), await aGateway(t, server)];
    const limit = aLimit(1, 10_000, { by: 'route', pace: { burst: 1, waitMsMax: 25_000, depthMax: 256 } });

    const [first, second, third, fourth] = [
      await one.count(limit),
      await two.count(limit),
      await one.count(limit),
      await two.count(limit),
    ];

    assert.equal(first?.waitMs, 0);
    const waits = [second, third].map(tally => Math.round((tally?.waitMs ?? 0) / 1_000));
    assert.ok(waits[0] === 10 || waits[0] === 9, String(waits));
    assert.ok(Math.abs((third?.waitMs ?? 0) - (second?.waitMs ?? 0) - 10_000) < 5_000);
    assert.equal(fourth?.isExceeded, true);
    third?.giveBack(1);
    await until(async () => isTaken(await two.count(limit)), 'the place that was given back is the next one’s');
  });

  test('do what each limit says while Redis is gone, within a bounded time, and are shared again when it is back', async t => {
    const server = await startRedis(t);
    const gateway = await aGateway(t, server, 200);
    const counting = aLimit(9, 60_000, { onStoreFailure: 'refuse', isEnforced: false });
    const [allow, refuse, local] = (['allow', 'refuse', 'local'] as const).map((onStoreFailure, i) =>
      aLimit(3 + i, 60_000, { onStoreFailure }),
    ) as [Limit, Limit, Limit];
    for (const limit of [allow, refuse, local]) assert.equal(isTaken(await gateway.count(limit)), true);

    await server.kill();
    await until(async () => !(await gateway.answers()), 'it is missed');
    assert.equal(await gateway.count(allow), undefined);
    assert.equal(await gateway.count(counting), undefined, 'what only counts refuses nothing');
    await assert.rejects(gateway.count(refuse), { code: 'LIMITS_UNAVAILABLE', status: 503, retryAfterMs: 1_000 });
    const counted = await Promise.all(Array.from({ length: 7 }, () => gateway.count(local)));
    assert.equal(counted.filter(isTaken).length, 5);
    await server.start();
    await until(gateway.answers, 'it is back');

    assert.equal((await gateway.count(refuse))?.remaining, 3);
    assert.equal((await gateway.count(local))?.remaining, 4);
    server.hang();
    const startedMs = performance.now();
    await assert.rejects(gateway.count(refuse), { code: 'LIMITS_UNAVAILABLE' });
    await Promise.all(Array.from({ length: 100 }, () => assert.rejects(gateway.count(refuse))));
    assert.ok(performance.now() - startedMs < 1_500, 'the others did not wait for it');
    const texts = gateway.events.map(event => (event.kind === 'notice' ? event.text.slice(0, 22) : event.kind));
    assert.deepEqual(texts, ['redis does not answer:', 'redis answers again: l', 'redis does not answer:']);
  });
});
