import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ACTIVE_FOR_MS, ActiveCallers } from '../../../gateway/domain/service/outlier.ts';

describe('active callers', () => {
  test('know of one alone that it is alone', () => {
    const callers = new ActiveCallers();
    callers.note('alice', 0);
    callers.note('alice', 10);

    assert.equal(callers.isSole('alice', 10), true);
  });

  test('know of every one that there is another', () => {
    const callers = new ActiveCallers();
    for (const id of ['alice', 'bob', 'carol', 'alice', 'alice']) callers.note(id, 0);

    for (const id of ['alice', 'bob', 'carol', 'somebody']) assert.equal(callers.isSole(id, ACTIVE_FOR_MS), false, id);
  });

  test('forget who has not called for long', () => {
    const callers = new ActiveCallers();
    callers.note('bob', 0);
    callers.note('alice', 1_000);

    assert.equal(callers.isSole('alice', ACTIVE_FOR_MS), false);
    assert.equal(callers.isSole('alice', ACTIVE_FOR_MS + 1), true);
    assert.equal(callers.isSole('bob', ACTIVE_FOR_MS + 1), false);
  });
});
