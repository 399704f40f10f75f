import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RouteSpec, Sharing } from '../../../../gateway/domain/route.ts';
import { createLatelyWritten } from '../../../../gateway/domain/sharing/cache/lately-written.ts';
import { createMemories } from '../../../../gateway/domain/sharing/cache/memories.ts';
import type { Memory } from '../../../../gateway/domain/sharing/cache/memory.ts';
import type { Remembered } from '../../../../gateway/domain/sharing/cache/remembered.ts';
import { createMemoryStore } from '../../../../gateway/edges/memory-store.ts';
import { manualClock } from '../../../support/manual-clock.ts';
import { aRoutePolicy } from '../../../support/requests.ts';
import { aCachePolicy, aSharing } from '../../../support/sharing.ts';

const TERM = { bornMs: 0, freshMs: 1_000, staleIfErrorMs: 0, mayBeStale: true };

/** The answer to what R was asked by this target. */
const remembered = (target: string, askedMs = 1): Remembered => ({
  status: 200,
  rawHeaders: [],
  body: Buffer.from('[1]'),
  tag: undefined,
  term: TERM,
  target,
  askedMs,
});

/** A route of `fuel` that remembers, but for what the test cares about. */
function aRoute(traits: Partial<RouteSpec> = {}, sharing: Partial<Sharing> = {}): RouteSpec {
  return {
    ...{ id: 'fuel', order: 0, predicates: [], methods: undefined, paths: [], filters: [], serviceName: 'fuel' },
    policy: aRoutePolicy({ sharing: aSharing({ cache: aCachePolicy(), ...sharing }) }),
    ...traits,
  };
}

function theMemories() {
  const clock = manualClock();
  const memories = createMemories({ createStore: createMemoryStore, clock });
  const of = (route: RouteSpec): Memory => memories.of(route, aCachePolicy(route.policy.sharing?.cache));
  return { clock, memories, of };
}

const HTTP: Partial<Sharing> = { cache: aCachePolicy({ ttlMs: 'http' }) };

describe('what routes remember', () => {
  test('goes on through a reload that leaves their meaning as it is', () => {
    const { memories, of } = theMemories();
    const [before, after] = [aRoute(), aRoute({ order: 7 })];
    memories.adopt([before]);
    of(before).keep('k', remembered('/'));

    memories.adopt([after]);

    assert.notEqual(of(after).find('k'), undefined);
  });

  for (const [name, route] of [
    ['the service', aRoute({ serviceName: 'iris' })],
    ['a filter', aRoute({ filters: [{ name: 'SetStatus', text: 'SetStatus=201' }] })],
    ['the time', aRoute({}, { cache: aCachePolicy({ ttlMs: 1 }) })],
    ['the methods', aRoute({}, { cache: aCachePolicy({ methods: new Set(['GET']) }) })],
    ['what answers vary by', aRoute({}, { varyBy: [{ kind: 'caller' }] })],
  ] as const) {
    test(`is forgotten when a reload changes ${name}`, () => {
      const { memories, of } = theMemories();
      const before = aRoute();
      memories.adopt([before]);
      of(before).keep('k', remembered('/'));

      memories.adopt([route]);

      assert.equal(of(route).find('k'), undefined);
    });
  }

  test('is not mixed with what a request of an older generation brings', () => {
    const { memories, of } = theMemories();
    const [before, after] = [aRoute(), aRoute({ serviceName: 'iris' })];
    memories.adopt([before]);
    memories.adopt([after]);

    of(before).keep('k', remembered('/'));

    assert.equal(of(after).find('k'), undefined);
    assert.equal(memories.purge('fuel'), 0);
  });

  test('is purged route by route', () => {
    const { memories, of } = theMemories();
    const [fuel, iris] = [aRoute(), aRoute({ id: 'iris' })];
    memories.adopt([fuel, iris]);
    for (const route of [fuel, iris]) of(route).keep('k', remembered('/'));
    of(fuel).keep('l', remembered('/'));

    assert.equal(memories.purge('fuel'), 2);

    assert.equal(of(fuel).find('k'), undefined);
    assert.notEqual(of(iris).find('k'), undefined);
    assert.equal(memories.purge('nobody'), 0);
  });

  test('is not what was asked for sooner and came later', () => {
    const { memories, of } = theMemories();
    const route = aRoute();
    memories.adopt([route]);

    assert.equal(of(route).keep('k', remembered('/', 2)), true);
    assert.equal(of(route).keep('k', remembered('/', 1)), false);
    assert.equal(of(route).keep('k', remembered('/', 3)), true);
  });

  test('does not come back by an answer that was asked for before the purge', () => {
    const { clock, memories, of } = theMemories();
    const route = aRoute();
    memories.adopt([route]);
    of(route);
    const askedMs = clock.nowMs();
    clock.advance(10);
    memories.purge('fuel');
    clock.advance(10);

    assert.equal(of(route).keep('k', remembered('/', askedMs)), false);
    assert.equal(of(route).keep('k', remembered('/', clock.nowMs())), true);
  });
});

describe('a write to a target', () => {
  test('makes every route that follows HTTP and leads to the same service forget it', () => {
    const { memories, of } = theMemories();
    const [read, other, timed, elsewhere] = [
      aRoute({ id: 'read' }, HTTP),
      aRoute({ id: 'other' }, HTTP),
      aRoute({ id: 'timed' }),
      aRoute({ id: 'elsewhere', serviceName: 'iris' }, HTTP),
    ];
    const all = [read, other, timed, elsewhere];
    memories.adopt(all);
    for (const route of all) {
      of(route).keep('k', remembered('/model'));
      of(route).keep('l', remembered('/model'));
      of(route).keep('m', remembered('/else'));
    }

    memories.written('fuel', '/model');

    const found = (route: RouteSpec) => ['k', 'l', 'm'].filter(key => of(route).find(key) !== undefined).join('');
    assert.deepEqual(all.map(found), ['m', 'm', 'klm', 'klm']);
    assert.deepEqual(
      ['fuel', 'iris', 'ozone'].map(name => memories.isWriteOfUse(name)),
      [true, true, false],
    );
  });

  test('keeps out what was asked for before, of this target alone', () => {
    const { clock, memories, of } = theMemories();
    const route = aRoute({}, HTTP);
    memories.adopt([route]);
    of(route);
    clock.advance(10);
    memories.written('fuel', '/model');

    assert.equal(of(route).keep('k', remembered('/model', 5)), false);
    assert.equal(of(route).keep('k', remembered('/else', 5)), true);
    assert.equal(of(route).keep('k', remembered('/model', 11)), true);
  });

  test('finds only the target that an answer has now', () => {
    const { memories, of } = theMemories();
    const route = aRoute({}, HTTP);
    memories.adopt([route]);
    of(route).keep('k', remembered('/old'));
    of(route).keep('k', remembered('/new'));

    memories.written('fuel', '/old');

    assert.notEqual(of(route).find('k'), undefined);
  });
});

describe('what was written to lately', () => {
  test('is bounded: of what it had to forget it is careful', () => {
    const written = createLatelyWritten(2);
    written.note('/a', 1);
    written.note('/b', 2);
    written.note('/a', 3);
    written.note('/c', 4);

    assert.equal(written.isSince('/a', 4), false);
    assert.equal(written.isSince('/a', 3), true);
    assert.equal(written.isSince('/never', 3), false, 'the last one forgotten was written to at 2');
    assert.equal(written.isSince('/never', 2), true);
  });
});
