import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RouteSpec, Sharing } from '../../../gateway/domain/route.ts';
import {
  RecentWrites,
  RouteCaches,
  type CacheEntry,
  type RouteCache,
} from '../../../gateway/domain/sharing/cache-entries.ts';
import { createMemoryStore } from '../../../gateway/edges/memory-store.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { aRoutePolicy } from '../../support/requests.ts';
import { aCachePolicy, aSharing } from '../../support/sharing.ts';

const FRESHNESS = { bornMs: 0, lifetimeMs: 1_000, staleIfErrorMs: 0, mayBeStale: true };

/** The answer to what R was asked by this target. */
const anEntry = (target: string, requestedMs = 1): CacheEntry => ({
  status: 200,
  fields: [],
  body: Buffer.from('[1]'),
  addedTag: undefined,
  freshness: FRESHNESS,
  target,
  requestedMs,
});

/** A route of `fuel` with a cache, but for what the test cares about. */
function aRoute(traits: Partial<RouteSpec> = {}, sharing: Partial<Sharing> = {}): RouteSpec {
  return {
    ...{ id: 'fuel', order: 0, predicates: [], methods: undefined, paths: [], filters: [], serviceName: 'fuel' },
    policy: aRoutePolicy({ sharing: aSharing({ cache: aCachePolicy(), ...sharing }) }),
    ...traits,
  };
}

function theCaches() {
  const clock = manualClock();
  const caches = new RouteCaches({ createStore: createMemoryStore, clock });
  const of = (route: RouteSpec): RouteCache => caches.of(route, aCachePolicy(route.policy.sharing?.cache));
  return { clock, caches, of };
}

const HTTP: Partial<Sharing> = { cache: aCachePolicy({ ttlMs: 'http' }) };

describe('what routes have stored', () => {
  test('goes on through a reload that leaves their meaning as it is', () => {
    const { caches, of } = theCaches();
    const [before, after] = [aRoute(), aRoute({ order: 7 })];
    caches.adopt([before]);
    of(before).set('k', anEntry('/'));

    caches.adopt([after]);

    assert.notEqual(of(after).get('k'), undefined);
  });

  for (const [name, route] of [
    ['the service', aRoute({ serviceName: 'iris' })],
    ['a filter', aRoute({ filters: [{ name: 'SetStatus', text: 'SetStatus=201' }] })],
    ['the time', aRoute({}, { cache: aCachePolicy({ ttlMs: 1 }) })],
    ['the methods', aRoute({}, { cache: aCachePolicy({ methods: new Set(['GET']) }) })],
    ['what answers vary by', aRoute({}, { varyBy: [{ kind: 'caller' }] })],
  ] as const) {
    test(`is gone when a reload changes ${name}`, () => {
      const { caches, of } = theCaches();
      const before = aRoute();
      caches.adopt([before]);
      of(before).set('k', anEntry('/'));

      caches.adopt([route]);

      assert.equal(of(route).get('k'), undefined);
    });
  }

  test('is not mixed with what a request of an older generation brings', () => {
    const { caches, of } = theCaches();
    const [before, after] = [aRoute(), aRoute({ serviceName: 'iris' })];
    caches.adopt([before]);
    caches.adopt([after]);

    of(before).set('k', anEntry('/'));

    assert.equal(of(after).get('k'), undefined);
    assert.equal(caches.purge('fuel'), 0);
  });

  test('is purged route by route', () => {
    const { caches, of } = theCaches();
    const [fuel, iris] = [aRoute(), aRoute({ id: 'iris' })];
    caches.adopt([fuel, iris]);
    for (const route of [fuel, iris]) of(route).set('k', anEntry('/'));
    of(fuel).set('l', anEntry('/'));

    assert.equal(caches.purge('fuel'), 2);

    assert.equal(of(fuel).get('k'), undefined);
    assert.notEqual(of(iris).get('k'), undefined);
    assert.equal(caches.purge('nobody'), 0);
  });

  test('is not what was asked for sooner and came later', () => {
    const { caches, of } = theCaches();
    const route = aRoute();
    caches.adopt([route]);

    assert.equal(of(route).set('k', anEntry('/', 2)), true);
    assert.equal(of(route).set('k', anEntry('/', 1)), false);
    assert.equal(of(route).set('k', anEntry('/', 3)), true);
  });

  test('does not come back by an answer that was asked for before the purge', () => {
    const { clock, caches, of } = theCaches();
    const route = aRoute();
    caches.adopt([route]);
    of(route);
    const requestedMs = clock.nowMs();
    clock.advance(10);
    caches.purge('fuel');
    clock.advance(10);

    assert.equal(of(route).set('k', anEntry('/', requestedMs)), false);
    assert.equal(of(route).set('k', anEntry('/', clock.nowMs())), true);
  });
});

describe('a write to a target', () => {
  test('is deleted for by every route that follows HTTP and leads to the same service', () => {
    const { caches, of } = theCaches();
    const [read, other, timed, elsewhere] = [
      aRoute({ id: 'read' }, HTTP),
      aRoute({ id: 'other' }, HTTP),
      aRoute({ id: 'timed' }),
      aRoute({ id: 'elsewhere', serviceName: 'iris' }, HTTP),
    ];
    const all = [read, other, timed, elsewhere];
    caches.adopt(all);
    for (const route of all) {
      of(route).set('k', anEntry('/model'));
      of(route).set('l', anEntry('/model'));
      of(route).set('m', anEntry('/else'));
    }

    caches.invalidate('fuel', '/model');

    const found = (route: RouteSpec) => ['k', 'l', 'm'].filter(key => of(route).get(key) !== undefined).join('');
    assert.deepEqual(all.map(found), ['m', 'm', 'klm', 'klm']);
    assert.deepEqual(
      ['fuel', 'iris', 'ozone'].map(name => caches.hasFollowers(name)),
      [true, true, false],
    );
  });

  test('keeps out what was asked for before, of this target alone', () => {
    const { clock, caches, of } = theCaches();
    const route = aRoute({}, HTTP);
    caches.adopt([route]);
    of(route);
    clock.advance(10);
    caches.invalidate('fuel', '/model');

    assert.equal(of(route).set('k', anEntry('/model', 5)), false);
    assert.equal(of(route).set('k', anEntry('/else', 5)), true);
    assert.equal(of(route).set('k', anEntry('/model', 11)), true);
  });

  test('finds only the target that an answer has now', () => {
    const { caches, of } = theCaches();
    const route = aRoute({}, HTTP);
    caches.adopt([route]);
    of(route).set('k', anEntry('/old'));
    of(route).set('k', anEntry('/new'));

    caches.invalidate('fuel', '/old');

    assert.notEqual(of(route).get('k'), undefined);
  });
});

describe('what was written to lately', () => {
  test('is bounded: of what it had to drop it is careful', () => {
    const written = new RecentWrites(2);
    written.add('/a', 1);
    written.add('/b', 2);
    written.add('/a', 3);
    written.add('/c', 4);

    assert.equal(written.isSince('/a', 4), false);
    assert.equal(written.isSince('/a', 3), true);
    assert.equal(written.isSince('/never', 3), false, 'the last one dropped was written to at 2');
    assert.equal(written.isSince('/never', 2), true);
  });
});
