import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Line } from '../../../gateway/domain/balance/line.ts';
import { hash32 } from '../../../gateway/domain/hash32.ts';

interface Item {
  readonly key: number;
}

const comesBefore = (a: Item, b: Item) => a.key < b.key;

function keysOf(line: Line<Item>): number[] {
  const keys: number[] = [];
  for (let { first } = line; first !== undefined; { first } = line) {
    keys.push(first.key);
    line.shift();
  }
  return keys;
}

describe('line', () => {
  test('keeps its order, whatever comes and goes', () => {
    const line = new Line<Item>(comesBefore);
    const items = Array.from({ length: 500 }, (_, i): Item => ({ key: hash32(`item-${i}`) }));

    for (const item of items) line.add(item);
    const gone = items.filter((_, i) => i % 3 === 0);
    for (const item of gone) line.remove(item);

    const left = items.filter(item => !gone.includes(item)).map(({ key }) => key);
    assert.equal(line.size, left.length);
    assert.deepEqual(
      keysOf(line),
      left.toSorted((a, b) => a - b),
    );
  });

  test('lets alone what does not stand in it', () => {
    const line = new Line<Item>(comesBefore);
    for (const key of [1, 2, 3]) line.add({ key });

    line.remove({ key: 2 });
    line.remove({ key: 9 });

    assert.deepEqual(keysOf(line), [1, 2, 3]);
  });

  test('takes the first out though its order has changed', () => {
    const line = new Line<{ key: number }>(comesBefore);
    const first = { key: 1 };
    line.add(first);
    line.add({ key: 2 });

    first.key = 3;
    line.shift();
    line.add(first);

    assert.deepEqual(keysOf(line), [2, 3]);
  });
});
