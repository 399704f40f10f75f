import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { GatewayError } from '../../gateway/domain/errors.ts';
import { manualClock } from '../support/manual-clock.ts';
import { aCall, endOf } from '../support/requests.ts';

/** A call, and the reasons for which what it waits for was left. */
function waiting() {
  const clock = manualClock();
  const call = aCall({ clock });
  const left: string[] = [];
  call.waitsFor = { leave: ({ code }) => void left.push(code) };
  return { clock, call, left, codeOf: () => endOf(call).failure?.code };
}

describe('a call’s deadline', () => {
  test('is counted from its arrival, and ends what it waits for', () => {
    const { clock, call, left, codeOf } = waiting();
    clock.advance(400);
    call.arm(1_000);

    clock.advance(599);
    assert.equal(codeOf(), undefined);
    clock.advance(1);

    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');
    assert.match(endOf(call).failure?.message ?? '', /within 1000 ms/);
    assert.deepEqual(left, ['DEADLINE_EXCEEDED']);
  });

  test('is over for what has spent its time already', () => {
    const { clock, call, codeOf } = waiting();
    clock.advance(2_000);
    call.arm(1_000);

    clock.advance(1);

    assert.equal(codeOf(), 'DEADLINE_EXCEEDED');
  });

  test('is the last that it was given, and none once it is disarmed', () => {
    const { clock, call, codeOf } = waiting();
    call.arm(1_000);
    call.arm(2_000);
    clock.advance(1_500);
    assert.equal(codeOf(), undefined);

    call.disarm();
    clock.advance(10_000);

    assert.equal(codeOf(), undefined);
  });

  test('is not watched once the reply is over', () => {
    const { clock, call, codeOf } = waiting();
    call.arm(1_000);

    call.over();
    clock.advance(10_000);

    assert.equal(codeOf(), undefined);
  });
});

describe('a call whose caller hangs up', () => {
  test('leaves what it waits for, for that reason and no other', () => {
    const { clock, call, left, codeOf } = waiting();
    call.arm(1_000);

    call.hangUp();
    clock.advance(10_000);

    assert.equal(codeOf(), 'CALLER_GONE');
    assert.deepEqual(left, ['CALLER_GONE']);
  });

  test('ends its reply’s body where that is still poured', () => {
    const { call } = waiting();
    const body = new PassThrough().on('error', () => undefined);
    call.isReplied = true;
    call.poured = body;

    call.hangUp();

    assert.equal(body.destroyed, true);
  });
});

describe('a call that has ended', () => {
  const gone = () => {
    const at = waiting();
    at.call.hangUp();
    return at;
  };

  test('does not go on', () => {
    const { call } = gone();

    call.resume(() => assert.fail('it went on'));
  });

  test('lets go of the body of an answer that comes too late', () => {
    const { call, codeOf } = gone();
    const body = new PassThrough();

    call.answered({ status: 200, fields: [], body, via: null });

    assert.equal(body.destroyed, true);
    assert.equal(codeOf(), 'CALLER_GONE');
  });

  test('takes no other failure, and no interim answer', () => {
    const { call, codeOf } = gone();

    call.fail(new GatewayError('CONNECTION_LOST', 'too late'));
    call.interim(103, []);

    assert.equal(codeOf(), 'CALLER_GONE');
  });
});

test('what is thrown where a call goes on is its failure', () => {
  const { call, codeOf } = waiting();

  call.resume(() => {
    throw new Error('a mistake');
  });

  assert.equal(codeOf(), 'INTERNAL');
});
