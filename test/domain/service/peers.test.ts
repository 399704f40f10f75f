import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { preferences, type CommonAddress } from '../../../gateway/domain/service/peers.ts';
import { seeded } from '../../support/service-at-work.ts';

const addresses = (count: number, permits = 1): CommonAddress[] =>
  Array.from({ length: count }, (_, i) => ({ origin: `http://10.0.${count}.${i}:8000`, permits }));

const gateways = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `penstock-10.1.0.${from + i}-8080`);

/** Permits of those that prefer each gateway. */
function sharesOf(
  preferred: ReadonlyMap<string, string>,
  shared: readonly CommonAddress[],
  all: readonly string[],
): number[] {
  return all.map(gateway =>
    shared.reduce((sum, { origin, permits }) => sum + (preferred.get(origin) === gateway ? permits : 0), 0),
  );
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = seeded(seed);
  return items
    .map(item => ({ item, at: random.below(1_000_000) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

describe('which gateway an instance prefers', () => {
  test('is as even as it can be, for any number of instances and gateways', () => {
    for (let instanceCount = 0; instanceCount <= 24; instanceCount++) {
      for (let gatewayCount = 1; gatewayCount <= 6; gatewayCount++) {
        const [shared, all] = [addresses(instanceCount), gateways(gatewayCount, instanceCount)];

        const preferred = preferences(shared, all);

        const shares = sharesOf(preferred, shared, all);
        assert.equal(preferred.size, instanceCount, 'each instance prefers a gateway');
        assert.ok(
          Math.max(...shares) - Math.min(...shares) <= 1,
          `${instanceCount} among ${gatewayCount}: ${shares.join()}`,
        );
      }
    }
  });

  test('is the same for all who know the same, in whatever order they know it', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const [shared, all] = [addresses(11), gateways(3, seed)];

      const [here, there] = [preferences(shared, all), preferences(shuffled(shared, seed), shuffled(all, seed))];

      assert.deepEqual(new Map([...there].sort()), new Map([...here].sort()));
    }
  });

  test('weighs an instance by what it works on at once', () => {
    const all = gateways(2);
    const shared = [...addresses(4), { origin: 'http://10.0.9.9:8000', permits: 4 }];

    const shares = sharesOf(preferences(shared, all), shared, all);

    assert.deepEqual(shares, [4, 4]);
  });

  test('changes for few when a gateway goes: for its own, and a few of the others’', () => {
    let moved = 0;
    const [rounds, instanceCount] = [100, 20];
    for (let round = 0; round < rounds; round++) {
      const [shared, all] = [addresses(instanceCount), gateways(4, round)];
      const [before, after] = [preferences(shared, all), preferences(shared, all.slice(1))];
      for (const { origin } of shared) {
        if (before.get(origin) !== all[0] && before.get(origin) !== after.get(origin)) moved += 1;
      }
    }

    assert.ok(moved / rounds <= 2, `${moved / rounds} of ${instanceCount} moved for no reason of their own`);
  });

  test('changes for few when an instance goes', () => {
    let moved = 0;
    const [rounds, instanceCount] = [100, 20];
    for (let round = 0; round < rounds; round++) {
      const [shared, all] = [addresses(instanceCount), gateways(4, round)];
      const [before, after] = [preferences(shared, all), preferences(shared.slice(1), all)];
      for (const { origin } of shared.slice(1)) if (before.get(origin) !== after.get(origin)) moved += 1;
    }

    assert.ok(moved / rounds <= 3.5, `${moved / rounds} of ${instanceCount} moved`);
  });

  test('is none where there is no gateway', () => {
    assert.equal(preferences(addresses(3), []).size, 0);
  });

  test('counts a gateway once, though it be named twice', () => {
    const [shared, all] = [addresses(4), gateways(2)];

    assert.deepEqual(preferences(shared, [...all, ...all]), preferences(shared, all));
  });
});
