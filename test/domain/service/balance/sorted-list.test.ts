import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SortedList } from '../../../../gateway/domain/service/balance/round-robin.ts';
import { hash32 } from '../../../../gateway/domain/hash32.ts';

interface Item {
  readonly key: number;
}

const comesBefore = (a: Item, b: Item) => a.key < b.key;

function keysOf(list: SortedList<Item>): number[] {
  const keys: number[] = [];
  for (let { first } = list; first !== undefined; { first } = list) {
    keys.push(first.key);
    list.shift();
  }
  return keys;
}

describe('a sorted list', () => {
  test('keeps its order, whatever comes and goes', () => {
    const list = new SortedList<Item>(comesBefore);
    const items = Array.from({ length: 500 }, (_, i): Item => ({ key: hash32(`item-${i}`) }));

    for (const item of items) list.add(item);
    const gone = items.filter((_, i) => i % 3 === 0);
    for (const item of gone) list.remove(item);

    const left = items.filter(item => !gone.includes(item)).map(({ key }) => key);
    assert.equal(list.size, left.length);
    assert.deepEqual(
      keysOf(list),
      left.toSorted((a, b) => a - b),
    );
  });

  test('lets alone what does not stand in it', () => {
    const list = new SortedList<Item>(comesBefore);
    for (const key of [1, 2, 3]) list.add({ key });

    list.remove({ key: 2 });
    list.remove({ key: 9 });

    assert.deepEqual(keysOf(list), [1, 2, 3]);
  });

  test('takes the first out though its order has changed', () => {
    const list = new SortedList<{ key: number }>(comesBefore);
    const first = { key: 1 };
    list.add(first);
    list.add({ key: 2 });

    first.key = 3;
    list.shift();
    list.add(first);

    assert.deepEqual(keysOf(list), [2, 3]);
  });
});
