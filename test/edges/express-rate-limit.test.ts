import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestTraits } from '../support/requests.ts';
import { Schemes } from '../../gateway/domain/admission/scheme.ts';
import { createCounterTable } from '../../gateway/edges/counter-store.ts';
import { createLimitCounter } from '../../gateway/edges/express-rate-limit.ts';
import { createAdmit } from '../../gateway/stages/admit.ts';
import type { Matched } from '../../gateway/domain/call.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aLimit, aMatched } from '../support/requests.ts';

function aCounter() {
  const clock = manualClock();
  const table = createCounterTable({ clock, keysMax: 1024 });
  const countLimit = createLimitCounter({ table, clock });
  const admit = createAdmit({ schemes: new Schemes([]), countLimit });
  return { clock, countLimit, admit: (call: Matched) => admit(call, () => undefined) };
}

const { route } = aMatched();

describe('counting with express-rate-limit', () => {
  test('lets through what the limit says, and not one more, until the window ends', () => {
    const { clock, countLimit } = aCounter();
    const limit = aLimit(3, 1000);
    const next = () => countLimit(route, limit, 'alice');

    assert.deepEqual(next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false });
    clock.advance(250);
    assert.deepEqual(next(), { limit, remaining: 1, resetsInMs: 750, isExceeded: false });
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: false });
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 750, isExceeded: true });
    clock.advance(749);
    assert.deepEqual(next(), { limit, remaining: 0, resetsInMs: 1, isExceeded: true });
    clock.advance(1);
    assert.deepEqual(next(), { limit, remaining: 2, resetsInMs: 1000, isExceeded: false });
  });

  test('never says that a window ends later than it does', () => {
    const { clock, countLimit } = aCounter();
    clock.advance(0.4);

    const { resetsInMs } = countLimit(route, aLimit(3, 60_000), 'alice');

    assert.equal(resetsInMs, 60_000);
  });

  test('counts callers, limits and routes apart', () => {
    const { countLimit } = aCounter();
    const [perSecond, perMinute] = [aLimit(5, 1000), aLimit(5, 60_000)];
    const other = aMatched({ routeId: 'iris' }).route;

    const tallies = [
      countLimit(route, perSecond, 'alice'),
      countLimit(route, perSecond, 'bob'),
      countLimit(route, perMinute, 'alice'),
      countLimit(other, perSecond, 'alice'),
    ];

    assert.deepEqual(
      tallies.map(({ remaining }) => remaining),
      [4, 4, 4, 4],
    );
  });

  test('goes on counting through a reload that leaves the limit as it was', () => {
    const { countLimit } = aCounter();
    countLimit(route, aLimit(5, 1000), 'alice');

    const reloaded = countLimit(aMatched().route, aLimit(5, 1000), 'alice');
    const changed = countLimit(aMatched().route, aLimit(6, 1000), 'alice');

    assert.equal(reloaded.remaining, 3);
    assert.equal(changed.remaining, 5);
  });

  test('counts requests that come at once one by one', () => {
    const { countLimit } = aCounter();
    const limit = aLimit(10, 1000);

    const tallies = Array.from({ length: 25 }, () => countLimit(route, limit, 'alice'));

    assert.equal(tallies.filter(({ isExceeded }) => isExceeded).length, 15);
  });
});

describe('a limited route', () => {
  const traits: RequestTraits = { policy: { limits: [aLimit(2, 60_000, 'route'), aLimit(1, 1500, 'ip')] } };

  test('tells what is left, and when to come back, to the second', () => {
    const { clock, admit } = aCounter();
    const first = aMatched(traits);
    admit(first);
    clock.advance(600);
    const second = aMatched(traits);
    assert.throws(() => admit(second), { code: 'RATE_LIMITED', retryAfterMs: 900 });
    clock.advance(900);
    const third = aMatched(traits);
    admit(third);

    assert.deepEqual(first.replyFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=2, "2-per-1m-by-route";r=1;t=60'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2, "2-per-1m-by-route";q=2;w=60'],
    ]);
    assert.deepEqual(second.replyFields, [
      ...['RateLimit', '"1-per-1500ms-by-ip";r=0;t=1'],
      ...['RateLimit-Policy', '"1-per-1500ms-by-ip";q=1;w=2'],
    ]);
    assert.match(third.replyFields[1] ?? '', /"2-per-1m-by-route";r=0;t=59/);
  });
});
