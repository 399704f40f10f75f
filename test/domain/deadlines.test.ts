import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import { manualClock } from '../support/manual-clock.ts';

function watching() {
  const clock = manualClock();
  const deadlines = new Deadlines(clock);
  const over: [name: string, atMs: number][] = [];
  return {
    clock,
    deadlines,
    over,
    /** Something that ends then; what its end brings about, where the test says it. */
    timed: (name: string, endsMs: number, then: () => void = () => undefined) => {
      const onTimeOver = () => {
        over.push([name, clock.nowMs()]);
        then();
      };
      const timed = { endsMs, watchedAt: -1, onTimeOver };
      deadlines.add(timed);
      return timed;
    },
  };
}

describe('deadlines', () => {
  test('are over in the order of their times, in whatever order they were added', () => {
    const { clock, over, timed } = watching();
    timed('b', 200);
    timed('c', 300);
    timed('a', 100);

    clock.advance(300);

    assert.deepEqual(over, [
      ['a', 100],
      ['b', 200],
      ['c', 300],
    ]);
  });

  test('are looked at in steps of 5 ms where they lie close together, and are never over early', () => {
    const { clock, over, timed } = watching();
    for (const [name, endsMs] of [
      ['a', 100],
      ['b', 101],
      ['d', 104],
      ['c', 103],
      ['e', 106],
    ] as const) {
      timed(name, endsMs);
    }

    clock.advance(99);
    assert.equal(over.length, 0);
    clock.advance(100);

    assert.deepEqual(over, [
      ['a', 100],
      ['b', 105],
      ['c', 105],
      ['d', 105],
      ['e', 110],
    ]);
  });

  test('are watched by one timer, however many there are', () => {
    const { clock, timed } = watching();
    for (let i = 0; i < 100; i++) timed(String(i), 1_000 - i);

    assert.equal(clock.alarms, 1);
  });

  test('move, sooner and later, and end once', () => {
    const { clock, deadlines, over, timed } = watching();
    const later = timed('later', 100);
    const sooner = timed('sooner', 500);

    deadlines.move(later, 400);
    deadlines.move(sooner, 50);
    clock.advance(1_000);

    assert.deepEqual(over, [
      ['sooner', 50],
      ['later', 400],
    ]);
    assert.equal(deadlines.size, 0);
  });

  test('that are removed, or moved to never, are not over; to remove what is not watched is harmless', () => {
    const { clock, deadlines, over, timed } = watching();
    const removed = timed('removed', 100);
    const endless = timed('moved to never', 100);
    deadlines.remove(removed);
    deadlines.remove(removed);
    deadlines.move(endless, Infinity);
    timed('never', Infinity);

    assert.equal(deadlines.size, 0);
    clock.advance(10_000);

    assert.deepEqual(over, []);
  });

  test('due at the same look are not over where another’s end removed or moved them', () => {
    const { clock, deadlines, over, timed } = watching();
    timed('before', 50); // the next look is at 55
    timed('first', 52, () => {
      deadlines.remove(removed);
      deadlines.move(moved, 200);
    });
    const removed = timed('removed', 53);
    const moved = timed('moved', 54);

    clock.advance(1_000);

    assert.deepEqual(over, [
      ['before', 50],
      ['first', 55],
      ['moved', 200],
    ]);
  });

  test('may be added by another’s end', () => {
    const { clock, over, timed } = watching();
    timed('first', 50, () => timed('second', 60));

    clock.advance(100);

    assert.deepEqual(over, [
      ['first', 50],
      ['second', 60],
    ]);
  });

  test('leave no timer when they are closed, and nothing is over any more', () => {
    const { clock, deadlines, over, timed } = watching();
    timed('a', 100);

    deadlines.close();
    assert.deepEqual([clock.alarms, deadlines.size], [0, 0]);
    clock.advance(1_000);

    assert.deepEqual(over, []);
  });

  test('count what is watched', () => {
    const { clock, deadlines, timed } = watching();
    const removed = timed('a', 10);
    timed('b', 20);
    timed('c', 30);
    assert.equal(deadlines.size, 3);

    deadlines.remove(removed);
    clock.advance(20);

    assert.equal(deadlines.size, 1);
  });
});
