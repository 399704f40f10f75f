import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaceQueues, paceCall, type Reservation } from '../../../gateway/domain/admission/pace.ts';
import { GatewayError } from '../../../gateway/domain/errors.ts';
import type { Pace } from '../../../gateway/domain/route.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { aLimit } from '../../support/requests.ts';

/** Calls at these times, each of so many rows: when each passes, or that it is refused and how it stands. */
function paced(
  times: readonly number[],
  { rate = 10, cost = 1, ...pace }: Partial<Pace> & { rate?: number; cost?: number },
) {
  const limit = aLimit(rate, 1000, { pace: { burst: 1, waitMsMax: 2_000, depthMax: 256, ...pace } });
  let doneMs = -Infinity;
  return times.map(nowMs => {
    const stand = paceCall(limit, { doneMs, nowMs, cost });
    ({ doneMs } = stand);
    return stand.isExceeded ? `refused for ${stand.resetsInMs}` : nowMs + stand.waitMs;
  });
}

describe('a pace', () => {
  test('lets one through at once and the rest at equal distances, in order', () => {
    assert.deepEqual(paced([0, 0, 0, 20, 20], {}), [0, 100, 200, 300, 400]);
  });

  test('lets a burst through at once after a pause, and no more than that', () => {
    assert.deepEqual(paced([0, 0, 0, 0, 5_000, 5_000, 5_000, 5_000], { burst: 3 }), [
      ...[0, 0, 0, 100],
      ...[5_000, 5_000, 5_000, 5_100],
    ]);
  });

  test('refuses at once who would wait too long, and says when one would be taken', () => {
    assert.deepEqual(paced([0, 0, 0, 0, 99, 100], { waitMsMax: 200 }), [
      0,
      100,
      200,
      'refused for 100',
      'refused for 1',
      300,
    ]);
  });

  test('refuses one more than may wait', () => {
    assert.deepEqual(paced([0, 0, 0, 0, 40], { depthMax: 2 }), [0, 100, 200, 'refused for 100', 'refused for 60']);
  });

  test('lets no call wait where there is no time or no room for it', () => {
    assert.deepEqual(paced([0, 0, 60, 100], { waitMsMax: 0 }), [0, 'refused for 100', 'refused for 40', 100]);
    assert.deepEqual(paced([0, 0, 100], { depthMax: 0 }), [0, 'refused for 100', 100]);
  });

  test('makes the next wait the longer for a call that costs more, and refuses none for its cost', () => {
    assert.deepEqual(paced([0, 0, 0], { cost: 5 }), [0, 500, 1_000]);
  });

  test('says how many it would still take, those that would wait included', () => {
    const limit = aLimit(10, 1000, { pace: { burst: 2, waitMsMax: 100, depthMax: 256 } });
    let doneMs = -Infinity;
    const stands = [0, 0, 0, 0].map(nowMs => {
      const stand = paceCall(limit, { doneMs, nowMs, cost: 1 });
      ({ doneMs } = stand);
      return [stand.remaining, stand.resetsInMs, stand.isExceeded];
    });

    assert.deepEqual(stands, [
      [2, 100, false],
      [1, 100, false],
      [0, 100, false],
      [0, 100, true],
    ]);
  });

  test('is exact over any time: so many a second and not one more', () => {
    const limit = aLimit(7, 1000, { pace: { burst: 1, waitMsMax: 0, depthMax: 0 } });
    let [doneMs, taken] = [-Infinity, 0];
    for (let nowMs = 0; nowMs < 100_000; nowMs += 0.5) {
      const stand = paceCall(limit, { doneMs, nowMs, cost: 1 });
      if (stand.isExceeded) continue;
      ({ doneMs } = stand);
      taken += 1;
    }

    assert.ok(taken > 690 && taken <= 700, String(taken));
  });
});

describe('calls that wait for their time', () => {
  const gone = new GatewayError('CALLER_GONE', 'gone');

  function queues() {
    const clock = manualClock();
    const all = new PaceQueues(clock);
    const passed: string[] = [];
    let givenBack = 0;
    const wait = (name: string, waitMs: number, more: Partial<Reservation> = {}) =>
      all.wait({ key: 'k', routeId: 'fuel', waitMs, cost: 1, giveBack: cost => (givenBack += cost), ...more }, () =>
        passed.push(`${name} at ${clock.nowMs()}`),
      );
    return { clock, all, passed, wait, givenBack: () => givenBack };
  }

  test('go on at their times, in the order they came', () => {
    const { clock, passed, wait, all } = queues();
    wait('a', 100);
    wait('b', 200);
    wait('other', 150, { key: 'j' });
    assert.deepEqual([...all.waiting()], [['fuel', 3]]);

    clock.advance(1_000);

    assert.deepEqual(passed, ['a at 100', 'other at 150', 'b at 200']);
    assert.deepEqual([...all.waiting()], []);
    assert.equal(clock.alarms, 0);
  });

  test('move up when one before them leaves, and the last reservation is given back', () => {
    const { clock, passed, wait, givenBack } = queues();
    const [, b] = [wait('a', 100), wait('b', 200), wait('c', 300), wait('d', 400)];

    b.leave(gone);
    clock.advance(1_000);

    assert.deepEqual(passed, ['a at 100', 'c at 200', 'd at 300']);
    assert.equal(givenBack(), 1);
  });

  test('leave nothing behind when all leave', () => {
    const { clock, passed, wait, all, givenBack } = queues();
    const waiters = [wait('a', 100), wait('b', 200), wait('c', 300)];

    for (const waiter of waiters) waiter.leave(gone);
    for (const waiter of waiters) waiter.leave(gone); // twice is harmless

    assert.deepEqual([clock.alarms, givenBack(), [...all.waiting()]], [0, 3, []]);
    clock.advance(1_000);
    assert.deepEqual(passed, []);
  });

  test('never go on before their time, though timers count whole milliseconds', () => {
    const { clock, passed, wait } = queues();
    wait('a', 0.4);

    clock.advance(0.3);
    assert.deepEqual(passed, []);
    clock.advance(0.7);

    assert.deepEqual(passed, ['a at 1']);
  });
});
