import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedMap } from '../../gateway/domain/bounded-map.ts';

test('a bounded map drops what was set the longest ago, and says so', () => {
  const dropped: [string, number][] = [];
  const map = new BoundedMap<string, number>(2, (key, value) => dropped.push([key, value]));

  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);

  assert.deepEqual(
    [...map],
    [
      ['a', 3],
      ['c', 4],
    ],
  );
  assert.deepEqual(dropped, [['b', 2]]);
});
