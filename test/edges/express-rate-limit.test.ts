import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestTraits } from '../support/requests.ts';
import { createCounterTable } from '../../gateway/edges/counter-store.ts';
import { createLimitCounter } from '../../gateway/edges/express-rate-limit.ts';
import { createAdmit } from '../../gateway/stages/admit.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aLimit, aMatched } from '../support/requests.ts';

function aCounter() {
  const clock = manualClock();
  const table = createCounterTable({ clock, keysMax: 1024 });
  const limits = createLimitCounter({ table, clock });
  const admit = createAdmit({ verifyToken: () => ({ kind: 'refused', fault: 'malformed' }), limits });
  return { clock, limits, admit };
}

const { route } = aMatched();

describe('counting with express-rate-limit', () => {
  test('lets through what the limit says, and not one more, until the window ends', async () => {
    const { clock, limits } = aCounter();
    const limit = aLimit(3, 1000);
    const next = () => limits.count(route, limit, 'alice');

    assert.deepEqual(await next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false });
    clock.advance(250);
    assert.deepEqual(await next(), { limit, remaining: 1, resetsInMs: 750, isExceeded: false });
    assert.deepEqual(await next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: false });
    assert.deepEqual(await next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: true });
    clock.advance(749);
    assert.deepEqual(await next(), { limit, remaining: 0, resetsInMs: 1, isExceeded: true });
    clock.advance(1);
    assert.deepEqual(await next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false });
  });

  test('never says that a window ends later than it does', async () => {
    const { clock, limits } = aCounter();
    clock.advance(0.4);

    const { resetsInMs } = await limits.count(route, aLimit(3, 60_000), 'alice');

    assert.equal(resetsInMs, 60_000);
  });

  test('counts callers, limits and routes apart', async () => {
    const { limits } = aCounter();
    const [perSecond, perMinute] = [aLimit(5, 1000), aLimit(5, 60_000)];
    const other = aMatched({ routeId: 'iris' }).route;

    const tallies = [
      await limits.count(route, perSecond, 'alice'),
      await limits.count(route, perSecond, 'bob'),
      await limits.count(route, perMinute, 'alice'),
      await limits.count(other, perSecond, 'alice'),
    ];

    assert.deepEqual(
      tallies.map(({ remaining }) => remaining),
      [4, 4, 4, 4],
    );
  });

  test('goes on counting through a reload that leaves the limit as it was', async () => {
    const { limits } = aCounter();
    await limits.count(route, aLimit(5, 1000), 'alice');

    const reloaded = await limits.count(aMatched().route, aLimit(5, 1000), 'alice');
    const changed = await limits.count(aMatched().route, aLimit(6, 1000), 'alice');

    assert.equal(reloaded.remaining, 3);
    assert.equal(changed.remaining, 5);
  });

  test('counts requests that come at once one by one', async () => {
    const { limits } = aCounter();
    const limit = aLimit(10, 1000);

    const tallies = await Promise.all(Array.from({ length: 25 }, () => limits.count(route, limit, 'alice')));

    assert.equal(tallies.filter(({ isExceeded }) => isExceeded).length, 15);
  });
});

describe('a limited route', () => {
  const traits: RequestTraits = { policy: { limits: [aLimit(2, 60_000, 'route'), aLimit(1, 1500, 'ip')] } };

  test('tells what is left, and when to come back, to the second', async () => {
    const { clock, admit } = aCounter();
    const first = aMatched(traits);
    await admit(first);
    clock.advance(600);
    const second = aMatched(traits);
    await assert.rejects(admit(second), { code: 'RATE_LIMITED', retryAfterMs: 900 });
    clock.advance(900);
    const third = aMatched(traits);
    await admit(third);

    assert.deepEqual(first.notes.owedFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=2, "2-per-1m-by-route";r=1;t=60'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2, "2-per-1m-by-route";q=2;w=60'],
    ]);
    assert.deepEqual(second.notes.owedFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=1'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2'],
    ]);
    assert.match(third.notes.owedFields[1] ?? '', /"2-per-1m-by-route";r=0;t=59/);
  });
});
