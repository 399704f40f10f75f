import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { printable } from '../../gateway/domain/printable.ts';

describe('printable text', () => {
  for (const [text, shown] of [
    ['plain – größer 漢字', 'plain – größer 漢字'],
    ['a\nb\tc', 'a\\nb\\tc'],
    ['\u001b[31mred\u0007', '\\u001b[31mred\\u0007'],
    ['left\u202eright\u2028', 'left\\u202eright\\u2028'],
    ['\u0085\u009b', '\\u0085\\u009b'],
  ] as const) {
    test(`shows ${JSON.stringify(text)} on one line`, () => {
      assert.equal(printable(text, 100), shown);
    });
  }

  test('is never longer than its bound, and ends with a whole character', () => {
    assert.equal(printable('abcdef', 4), 'abc…');
    assert.equal(printable('\n\n\n', 4).length, 4);
    assert.equal(printable('ab😀cdef', 4), 'ab…');
  });
});
