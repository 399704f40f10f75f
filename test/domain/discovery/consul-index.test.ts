import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIndex, stepIndex } from '../../../gateway/domain/discovery/consul-index.ts';

describe('the index of a blocking query', () => {
  for (const [what, last, told, ask, hasGoneBack] of [
    ['starts with what is told first', undefined, 7n, 7n, false],
    ['goes on with what is told', 7n, 9n, 9n, false],
    ['stays where nothing changed', 7n, 7n, 7n, false],
    ['is reset where it went back', 9n, 7n, 0n, true],
    ['is never below 1, which would not block', undefined, 0n, 1n, false],
    ['is reset where Consul falls back to 0', 5n, 0n, 0n, true],
  ] as const) {
    test(what, () => {
      assert.deepEqual(stepIndex(last, told), { ask, hasGoneBack });
    });
  }

  for (const text of [undefined, '', '-1', '1.5', 'x', '9'.repeat(21), ['7']]) {
    test(`is none in ${JSON.stringify(text)}`, () => {
      assert.equal(parseIndex(text), undefined);
    });
  }

  test('holds what a double cannot', () => {
    assert.equal(parseIndex('18446744073709551615'), 18446744073709551615n);
  });
});
