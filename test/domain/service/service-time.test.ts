import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ServiceTime } from '../../../gateway/domain/service/forecast.ts';
import { seeded } from '../../support/service-at-work.ts';

function recorded(durationsMs: readonly number[]) {
  const time = new ServiceTime();
  for (const durationMs of durationsMs) time.note(durationMs, 0);
  return time.isKnown(0) ? time : undefined;
}

const many = (count: number, durationMs: number) => Array.from({ length: count }, () => durationMs);

describe('how long calls take', () => {
  test('is not known from a few of them', () => {
    assert.equal(recorded(many(4, 100)), undefined);
    assert.equal(recorded(many(5, 100))?.meanMs, 100);
  });

  test('is forgotten ten minutes after the last', () => {
    const time = new ServiceTime();
    for (const durationMs of many(100, 50)) time.note(durationMs, 1_000);

    assert.equal(time.isKnown(601_000) && time.meanMs, 50);
    assert.equal(time.isKnown(601_001), false);
    time.note(7, 700_000);
    assert.equal(time.isKnown(700_000), false);
  });

  test('is at least little less than the mean where all are alike', () => {
    const times = recorded(many(100, 300));

    assert.equal(times?.leastMs(1), 270);
    assert.equal(times.leastMs(10), 2_700);
    assert.equal(times.leastMs(0), 0);
  });

  test('is less sure the fewer have been seen', () => {
    const [few, more] = [recorded(many(5, 300)), recorded(many(50, 300))];

    assert.ok(few !== undefined && more !== undefined);
    assert.ok(few.leastMs(10) < more.leastMs(10) - 500);
  });

  test('is nothing sure after one slow call among fast ones', () => {
    const times = recorded([...many(60, 3), 30_000]);

    assert.equal(times?.leastMs(1), 0);
    assert.equal(times.leastMs(100), 0);
  });

  test('of a mixture of 3 and 300 ms is sure for many calls, not for few', () => {
    const random = seeded(4);
    const mixed = Array.from({ length: 1_000 }, () => (random.below(10) === 0 ? 300 : 3));
    const times = recorded(mixed);

    assert.ok(times !== undefined);
    assert.ok(times.meanMs > 15 && times.meanMs < 60, `${times.meanMs} ms`);
    assert.equal(times.leastMs(9), 0);
    const least = times.leastMs(1_000);
    assert.ok(least > 5_000 && least < 500 * times.meanMs, `${least} ms of ${times.meanMs} each`);
  });

  test('follows a service that became slower, or faster, within some hundred calls', () => {
    const slower = recorded([...many(1_000, 3), ...many(300, 300)]);
    const faster = recorded([...many(1_000, 300), ...many(300, 3)]);

    assert.ok((slower?.meanMs ?? 0) > 250);
    assert.ok((faster?.meanMs ?? 0) < 30);
  });
});
