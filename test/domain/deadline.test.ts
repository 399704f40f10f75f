import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDeadline } from '../../gateway/domain/deadline.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import { manualClock } from '../support/manual-clock.ts';

function aDeadline() {
  const clock = manualClock();
  const deadline = createDeadline(clock);
  return { clock, deadline, codeOf: () => (deadline.signal.reason as GatewayError | undefined)?.code };
}

describe('a deadline', () => {
  test('rings when the time is spent, counted from when the request came in', () => {
    const { clock, deadline, codeOf } = aDeadline();
    clock.advance(400);
    deadline.arm(1_000);
    const { signal } = deadline;

    clock.advance(599);
    assert.deepEqual([signal.aborted, deadline.remainingMs()], [false, 1]);
    clock.advance(1);

    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');
    assert.match(String(signal.reason), /within 1000 ms/);
    assert.equal(clock.alarms, 0);
  });

  test('sets no alarm before somebody asks for its signal', () => {
    const { clock, deadline } = aDeadline();

    deadline.arm(1_000);
    assert.equal(clock.alarms, 0);
    assert.equal(deadline.signal.aborted, false);

    assert.equal(clock.alarms, 1);
  });

  test('has rung for who asks when the time is spent already', () => {
    const { clock, deadline, codeOf } = aDeadline();
    deadline.arm(1_000);

    clock.advance(1_000);

    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');
    assert.equal(clock.alarms, 0);
  });

  test('says that the caller is gone to who asks before, and to who asks after', () => {
    for (const isAskedBefore of [true, false]) {
      const { clock, deadline, codeOf } = aDeadline();
      deadline.arm(1_000);
      if (isAskedBefore) assert.equal(deadline.signal.aborted, false);

      deadline.hangUp();

      assert.equal(codeOf(), 'CALLER_GONE');
      assert.equal(clock.alarms, 0);
    }
  });

  test('gives the first reason and no other', () => {
    const { clock, deadline, codeOf } = aDeadline();
    deadline.arm(1_000);
    clock.advance(1_000);
    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');

    deadline.hangUp();

    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');
  });

  test('follows the last budget it was given, and none once it is disarmed', () => {
    const { clock, deadline } = aDeadline();
    const { signal } = deadline;
    deadline.arm(1_000);
    deadline.arm(2_000);
    assert.equal(clock.alarms, 1);
    clock.advance(1_500);
    assert.equal(deadline.remainingMs(), 500);

    deadline.disarm();
    clock.advance(10_000);

    assert.deepEqual([signal.aborted, deadline.remainingMs(), clock.alarms], [false, Infinity, 0]);
  });

  test('is silent when the reply is over, even for who asks then', () => {
    const { clock, deadline } = aDeadline();
    deadline.arm(1_000);

    deadline.end();
    clock.advance(10_000);

    assert.deepEqual([deadline.signal.aborted, clock.alarms], [false, 0]);
  });
});
