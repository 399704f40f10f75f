import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BalanceSpec } from '../../../gateway/domain/service.ts';
import { anEntry, aService, type ServiceAtWork } from '../../support/service-at-work.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const GATEWAYS = ['g-1', 'g-2'];

const POLICIES: readonly BalanceSpec[] = [
  { policy: 'least-loaded' },
  { policy: 'round-robin' },
  { policy: 'two-choices' },
  { policy: 'hash', by: { kind: 'caller' }, strict: false },
];

/** A service of four instances before which two gateways stand; this one is `self`. */
function aShared(balance: BalanceSpec = { policy: 'least-loaded' }, self = 'g-1'): ServiceAtWork {
  const made = aService({ policy: { balance }, entries: NAMES.map(name => anEntry(name)) });
  made.service.meet({ self, gateways: GATEWAYS });
  return made;
}

const idsPreferring = ({ service }: ServiceAtWork, gateway: string | null) =>
  service
    .view()
    .instances.filter(({ preferredBy }) => preferredBy === gateway)
    .map(({ id }) => id);

for (const balance of POLICIES) {
  describe(`before instances of several gateways, ${balance.policy}`, () => {
    test('takes its own first, and others’ only when all its own are taken', () => {
      const shared = aShared(balance);
      const own = idsPreferring(shared, 'g-1');
      assert.equal(own.length, 2);

      const taken: string[] = [];
      for (let i = 0; i < 4; i++) taken.push(shared.take({ affinity: `caller-${i}` }).instance.id);

      assert.deepEqual(new Set(taken.slice(0, 2)), new Set(own));
      assert.deepEqual(new Set(taken.slice(2)), new Set(idsPreferring(shared, 'g-2')));
    });

    test('comes back to its own as soon as one is free', () => {
      const shared = aShared(balance);
      const [first] = [shared.take({ affinity: 'x' }), shared.take({ affinity: 'y' })];
      shared.take({ affinity: 'z' });
      first.release();

      assert.equal(shared.take({ affinity: 'z' }).instance.id, first.instance.id);
    });
  });
}

describe('which gateway comes first', () => {
  test('is the same on both sides: what is not own here is own there', () => {
    const [here, there] = [aShared(), aShared({ policy: 'least-loaded' }, 'g-2')];

    for (const gateway of GATEWAYS) assert.deepEqual(idsPreferring(here, gateway), idsPreferring(there, gateway));
  });

  test('is none where a gateway is alone, or not among those listed', () => {
    const shared = aShared();
    for (const gateways of [['g-1'], [], ['g-2', 'g-3']]) {
      shared.service.meet({ self: 'g-1', gateways: GATEWAYS });
      shared.service.meet({ self: 'g-1', gateways });

      assert.deepEqual(idsPreferring(shared, null), NAMES);
    }
  });

  test('does not concern what it started itself', () => {
    const { service } = aService({ entries: NAMES.map(name => anEntry(name, { source: 'local' })) });
    service.meet({ self: 'g-1', gateways: GATEWAYS });

    assert.ok(service.view().instances.every(({ preferredBy }) => preferredBy === null));
  });

  test('is settled anew when instances come', () => {
    const shared = aShared();
    const more = [...NAMES, 'e', 'f'].map(name => anEntry(name));

    shared.service.reconcile(more);

    assert.deepEqual(
      GATEWAYS.map(gateway => idsPreferring(shared, gateway).length),
      [3, 3],
    );
  });

  test('does not keep a request from an instance it has not tried, whosever that is', () => {
    const shared = aShared();
    const own = [shared.take(), shared.take()];
    const tried = own.map(({ instance }) => instance);
    for (const permit of own) permit.release();

    const { instance } = shared.take({ tried });

    assert.ok(idsPreferring(shared, 'g-2').includes(instance.id));
    assert.ok(tried.includes(shared.take().instance), 'nothing stands aside any longer');
  });

  test('serves who waits from whichever becomes free first', () => {
    const shared = aShared();
    const permits = [];
    for (let i = 0; i < 4; i++) permits.push(shared.take());
    const others = permits.find(({ instance }) => idsPreferring(shared, 'g-2').includes(instance.id));
    const waiting = shared.acquire();

    others?.release();

    assert.equal(waiting.at, others?.instance.id);
  });

  test('turns to all when the other gateway goes, while work is in hand', () => {
    const shared = aShared();
    const first = shared.take();

    shared.service.meet({ self: 'g-1', gateways: ['g-1'] });
    const rest = [shared.take(), shared.take(), shared.take()];

    assert.deepEqual(new Set([first, ...rest].map(({ instance }) => instance.id)), new Set(NAMES));
  });

  test('takes another’s at once where its own are out of rotation', () => {
    const shared = aShared();
    for (const id of idsPreferring(shared, 'g-1')) shared.service.command(id, 'eject');

    assert.ok(idsPreferring(shared, 'g-2').includes(shared.take().instance.id));
  });
});
