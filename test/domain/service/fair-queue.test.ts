import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  FairQueue,
  FenwickTree,
  ONE_FLOW,
  sequenceNumberOf,
  type Rank,
  type Flow,
  type FlowKey,
  type Queueable,
} from '../../../gateway/domain/service/queue.ts';
import type { Priority } from '../../../gateway/domain/service.ts';
import { seeded } from '../../support/service-at-work.ts';

class Item implements Queueable<Item> {
  readonly name: string;
  readonly priority: Priority;
  readonly flowKey: FlowKey;
  readonly isReturning: boolean;
  number = 0;
  flow: Flow<Item> | undefined = undefined;
  previous: Item | undefined = undefined;
  next: Item | undefined = undefined;
  isLinked = false;

  constructor(name: string, { priority, flowKey, isReturning }: Rank) {
    this.name = name;
    this.priority = priority;
    this.flowKey = flowKey;
    this.isReturning = isReturning;
  }
}

/** A fair queue, and what stands in it by name. */
class Table {
  #ticket = 0;
  readonly queue = new FairQueue<Item>(() => (this.#ticket += 1));
  readonly items = new Map<string, Item>();

  add(name: string, traits: Partial<Rank> = {}): void {
    const item = new Item(name, aNewcomer({ flowKey: name.replace(/\d+$/, ''), ...traits }));
    this.items.set(name, item);
    this.queue.add(item);
  }

  addMany(flowKey: string, count: number, traits: Partial<Rank> = {}): void {
    for (let i = 1; i <= count; i++) this.add(`${flowKey}${i}`, traits);
  }

  leave(name: string): void {
    this.queue.remove(this.itemOf(name));
    this.items.delete(name);
  }

  number(name: string): number {
    return sequenceNumberOf<Item>(this.itemOf(name));
  }

  /** What it serves, in order: all, or so many. */
  serve(count = Infinity, wouldTake: (item: Item) => boolean = () => true): string[] {
    const served: string[] = [];
    while (served.length < count) {
      const item = this.queue.first(wouldTake);
      if (item === undefined) break;
      this.queue.served(item);
      this.items.delete(item.name);
      served.push(item.name);
    }
    return served;
  }

  itemOf(name: string): Item {
    const item = this.items.get(name);
    if (item === undefined) throw new Error(`${name} does not wait`);
    return item;
  }
}

function aNewcomer(traits: Partial<Rank> = {}): Rank {
  return { priority: 'normal', flowKey: 'new', isReturning: false, ...traits };
}

const nameOf = (item: Item | undefined) => item?.name;
const inits = (names: readonly string[]) => names.map(name => name.charAt(0)).join('');

describe('callers', () => {
  test('take turns: ten thousand of one delay a single call of another by one', () => {
    const table = new Table();
    table.addMany('greedy', 10_000);
    table.add('bob');

    assert.deepEqual(table.serve(3), ['greedy1', 'bob', 'greedy2']);
  });

  test('are served in the order in which they came, each its own first come first', () => {
    const table = new Table();
    for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) table.add(name);

    assert.deepEqual(table.serve(), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  });

  test('who have just been served and come again come after those who waited', () => {
    const table = new Table();
    table.addMany('a', 2);
    table.add('b');

    assert.deepEqual(table.serve(1), ['a1']);
    table.add('c');
    table.add('a3');

    assert.deepEqual(table.serve(), ['b', 'a2', 'c', 'a3']);
  });

  test('lose nothing to those of them who leave', () => {
    const table = new Table();
    table.addMany('a', 100);
    table.addMany('b', 2);
    const left = table.itemOf('a1');
    for (let i = 1; i < 100; i++) table.leave(`a${i}`);

    table.queue.remove(left);
    assert.deepEqual(table.serve(), ['a100', 'b1', 'b2']);
    table.addMany('a', 2);
    table.leave('a1');
    table.leave('a2');
    assert.equal(table.queue.length, 0);
    assert.equal(nameOf(table.queue.first(() => true)), undefined);
  });

  test('keep their place while what is offered is nothing for them', () => {
    const table = new Table();
    table.addMany('a', 2);

    assert.deepEqual(
      table.serve(1, () => false),
      [],
    );
    assert.deepEqual(table.serve(), ['a1', 'a2']);
  });
});

describe('priorities', () => {
  test('share the turns as 16 to 4 to 1: the low one gets its share under a constant load of the others', () => {
    const table = new Table();
    table.addMany('h', 1_000, { priority: 'high' });
    table.addMany('n', 1_000);
    table.addMany('l', 1_000, { priority: 'low' });

    const served = inits(table.serve(210));

    const count = (name: string) => served.split(name).length - 1;
    assert.deepEqual([count('h'), count('n'), count('l')], [160, 40, 10]);
    assert.ok(served.indexOf('l') < 21, served);
  });

  test('let a high call pass all others but the one that is next', () => {
    const table = new Table();
    table.addMany('l', 10_000, { priority: 'low' });
    table.serve(7);
    table.add('high', { priority: 'high' });

    assert.ok(table.serve(2).includes('high'));
  });

  test('save nothing up while no call waits', () => {
    const table = new Table();
    table.addMany('h', 500, { priority: 'high' });
    table.serve(400);
    table.addMany('l', 100, { priority: 'low' });

    assert.equal(inits(table.serve(34)).split('l').length - 1, 2);
  });

  test('are outside, and callers inside: none gets more for being low and high at once', () => {
    const table = new Table();
    for (const flowKey of ['x', 'y']) {
      for (let i = 0; i < 50; i++) table.add(`${flowKey}-h${i}`, { flowKey, priority: 'high' });
    }
    table.addMany('x', 50, { priority: 'low' });

    const served = inits(table.serve(34));

    assert.ok(Math.abs(served.split('x').length - served.split('y').length) <= 3, served);
  });
});

describe('a call that an instance failed', () => {
  test('comes before those that were not served yet', () => {
    const table = new Table();
    table.addMany('a', 3);
    table.add('again', { isReturning: true });

    assert.deepEqual(table.serve(2), ['again', 'a1']);
  });

  test('keeps its place while it would not take what is offered, and holds no other up', () => {
    const table = new Table();
    table.add('choosy', { isReturning: true });
    table.addMany('a', 2);

    assert.deepEqual(
      table.serve(1, ({ name }) => name !== 'choosy'),
      ['a1'],
    );
    assert.deepEqual(table.serve(), ['choosy', 'a2']);
  });

  test('of a lower priority does not pass those of a higher', () => {
    const table = new Table();
    table.addMany('h', 3, { priority: 'high' });
    table.add('again', { isReturning: true, priority: 'low' });

    assert.deepEqual(table.serve(1), ['h1']);
  });
});

describe('the sequence number', () => {
  test('is that of the caller, given when it was last served', () => {
    const table = new Table();
    table.addMany('a', 2);
    table.add('b');
    table.serve(1);

    assert.ok(table.number('a2') > table.number('b'));
  });

  test('is one’s own where callers do not take turns', () => {
    const table = new Table();
    table.addMany('a', 2, { flowKey: ONE_FLOW });
    table.add('b', { flowKey: ONE_FLOW });
    table.serve(1);

    assert.ok(table.number('a2') < table.number('b'));
  });
});

describe('what is served before a newcomer', () => {
  test('are one for each other caller, however many wait', () => {
    const table = new Table();
    table.addMany('a', 10_000);
    table.addMany('b', 10);

    assert.equal(table.queue.servedBefore(aNewcomer()), 2);
    assert.equal(table.queue.servedBefore(aNewcomer({ flowKey: 'b' })), 20);
    assert.equal(table.queue.servedBefore(aNewcomer({ flowKey: 'a' })), 10_010);
  });

  test('are foretold to the first of a priority, too: it has saved nothing up, and owes nothing', () => {
    const table = new Table();
    table.add('h1', { priority: 'high' });
    table.addMany('n', 10);
    table.serve(1);

    const foretold = table.queue.servedBefore(aNewcomer({ priority: 'low' }));
    table.add('newcomer', { priority: 'low' });

    assert.deepEqual([foretold, table.serve().indexOf('newcomer')], [4, 4]);
  });

  for (const seed of [3, 5, 8, 13]) {
    test(`are foretold as they then come, in any mixture (seed ${seed})`, () => {
      const random = seeded(seed);
      const priorities = ['high', 'normal', 'low'] as const;
      const someone = () => ({
        priority: priorities[random.below(3)] ?? 'low',
        flowKey: `p${random.below(6)}`,
        isReturning: random.below(10) === 0,
      });
      const table = new Table();
      for (let i = 0; i < 200; i++) {
        table.add(`w${i}`, someone());
        if (random.below(3) === 0) table.serve(1);
      }
      const newcomer = someone();

      const foretold = table.queue.servedBefore(newcomer);
      table.add('newcomer', newcomer);
      const come = table.serve().indexOf('newcomer');

      // Where a caller waits already, it is not looked at how far the round has come: never too many are foretold.
      assert.ok(foretold <= come && come <= foretold * 1.2 + 5, `${foretold} were foretold, ${come} came`);
    });
  }
});

describe('where there is no room', () => {
  test('each caller’s share of it is known, over all priorities', () => {
    const table = new Table();
    table.addMany('a', 3);
    table.add('a4', { priority: 'low' });
    table.add('b1');
    table.leave('a2');
    table.serve(1);

    assert.deepEqual(
      ['a', 'b', 'c'].map(flowKey => table.queue.lengthOf(flowKey)),
      [2, 1, 0],
    );
  });

  test('no call goes for one whose caller would have as much: that would be fairer to none', () => {
    const table = new Table();
    for (const name of ['a', 'b', 'c', 'd']) table.add(name);

    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer())), undefined);
    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer({ priority: 'low' }))), undefined);
  });

  test('priorities have room by their weights, low ones too', () => {
    const table = new Table();
    table.addMany('n', 21);

    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer({ priority: 'high' }))), 'n21');
    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer({ priority: 'low' }))), 'n21');
    table.addMany('l', 5, { priority: 'low' });
    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer({ priority: 'low', flowKey: 'l' }))), undefined);
    assert.equal(nameOf(table.queue.leastEntitled(aNewcomer({ priority: 'low', flowKey: 'other' }))), 'l5');
  });

  test('the greediest are known, whatever came and went (seeded)', () => {
    const random = seeded(21);
    const table = new Table();
    const waiting = new Map<string, string[]>();
    for (let i = 0; i < 3_000; i++) {
      const flowKey = `p${random.below(5)}-`;
      const own = waiting.get(flowKey) ?? [];
      waiting.set(flowKey, own);
      if (random.below(2) === 0) {
        table.add(`${flowKey}${i}`, { flowKey });
        own.push(`${flowKey}${i}`);
      } else if (own.length > 0) {
        table.leave(own.splice(random.below(own.length), 1)[0] ?? '');
      }
      const most = Math.max(...[...waiting.values()].map(({ length }) => length));
      const chosen = nameOf(table.queue.leastEntitled(aNewcomer()));
      if (most < 2) continue;
      const [, of = []] = [...waiting].find(([, names]) => names.at(-1) === chosen) ?? [];
      assert.equal(of.length, most, `${chosen ?? 'none'} is not of the greediest`);
    }
  });
});

test('a Fenwick tree has the sums of its counts, however they were added (seeded)', () => {
  const random = seeded(9);
  const sums = new FenwickTree();
  const counts: number[] = [];

  for (let i = 0; i < 2_000; i++) {
    const index = 1 + random.below(1 + random.below(200));
    const change = random.below(5) - 2;
    counts[index] = (counts[index] ?? 0) + change;
    sums.add(index, change);
    const upTo = random.below(250);
    const sum = counts.slice(0, upTo + 1).reduce((total, count) => total + count, 0);
    assert.equal(sums.upTo(upTo), sum);
  }
});
