import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COMPARED_MAX, leastLoaded } from '../../../gateway/domain/balance/least-loaded.ts';
import { ring } from '../../../gateway/domain/balance/ring.ts';
import { roundRobin } from '../../../gateway/domain/balance/round-robin.ts';
import { twoChoices } from '../../../gateway/domain/balance/two-choices.ts';
import type { BalancePolicy } from '../../../gateway/domain/balance/policy.ts';
import type { Instance } from '../../../gateway/domain/instance.ts';
import { isNonEmpty, type NonEmpty } from '../../../gateway/domain/non-empty.ts';
import { anInstance, instances, scripted, seeded } from '../../support/builders.ts';

// The promises every policy keeps, written once and asked of each. A new policy joins this list.
const policies = [() => leastLoaded(), () => roundRobin(), () => twoChoices(seeded(1)), () => ring(leastLoaded())];

const picks = (policy: BalancePolicy, candidates: NonEmpty<Instance>, count: number) =>
  Array.from({ length: count }, (_, i) => policy.pick(candidates, `caller-${i}`).id);

const share = (picked: readonly string[], id: string) => picked.filter(each => each === id).length / picked.length;

for (const create of policies) {
  describe(`every policy: ${create().name}`, () => {
    test('picks a lone candidate', () => {
      const [only] = instances(1);

      assert.equal(create().pick([only], ''), only);
      assert.equal(create().pick([only], 'alice'), only);
    });

    test('leaves no instance idle while all are alike', () => {
      const picked = picks(create(), instances(3), 300);

      assert.deepEqual(new Set(picked), new Set(['r-1', 'r-2', 'r-3']));
    });

    test('leaves no instance idle for requests without an affinity', () => {
      const [policy, candidates] = [create(), instances(3)];

      const picked = Array.from({ length: 300 }, () => policy.pick(candidates, '').id);

      assert.deepEqual(new Set(picked), new Set(['r-1', 'r-2', 'r-3']));
    });

    test('gives each of its equals about the same', () => {
      const candidates = instances(4);
      const policy = create();
      policy.adopt?.(candidates);

      const picked = picks(policy, candidates, 4_000);

      for (const { id } of candidates)
        assert.ok(Math.abs(share(picked, id) - 0.25) < 0.08, `${id} ${share(picked, id)}`);
    });

    test('keeps to its candidates when their number shrinks between picks', () => {
      const policy = create();
      const all = instances(5);
      policy.adopt?.(all);
      for (const count of [5, 4, 3, 2, 1]) {
        const candidates = all.slice(0, count);
        assert.ok(isNonEmpty(candidates));
        for (let i = 0; i < 20; i++) assert.ok(candidates.includes(policy.pick(candidates, `caller-${i}`)));
      }
    });

    test('keeps to its candidates when it was told of others', () => {
      const policy = create();
      policy.adopt?.(instances(5));
      const strangers = [anInstance({ id: 'new-1' }), anInstance({ id: 'new-2' })] as const;

      for (let i = 0; i < 20; i++) assert.ok(strangers.includes(policy.pick(strangers, `caller-${i}`)));
    });

    test('has an answer where nobody has any weight', () => {
      const candidates = [anInstance({ id: 'x', weight: 0 }), anInstance({ id: 'y', weight: 0 })] as const;
      const policy = create();
      policy.adopt?.(candidates);

      for (let i = 0; i < 20; i++) assert.ok(candidates.includes(policy.pick(candidates, `caller-${i}`)));
    });
  });
}

describe('least-loaded', () => {
  test('prefers whoever has the least work in hand for its weight', () => {
    const strong = anInstance({ id: 'strong', weight: 4, inFlight: 2 });
    const weak = anInstance({ id: 'weak', weight: 1, inFlight: 0 });

    assert.deepEqual(picks(leastLoaded(), [weak, strong], 3), ['strong', 'strong', 'strong']);
  });

  test('prefers the quicker of two with the same load', () => {
    const slow = anInstance({ id: 'slow', latencyMs: 80 });
    const quick = anInstance({ id: 'quick', latencyMs: 20 });

    assert.deepEqual(picks(leastLoaded(), [slow, quick], 3), ['quick', 'quick', 'quick']);
  });

  test('lets load weigh more than latency', () => {
    const slow = anInstance({ id: 'slow', latencyMs: 900 });
    const quick = anInstance({ id: 'quick', latencyMs: 1, inFlight: 1 });

    assert.deepEqual(picks(leastLoaded(), [quick, slow], 2), ['slow', 'slow']);
  });

  test('takes a difference in latency that may be noise for none, and takes turns', () => {
    const candidates = [anInstance({ id: 'x', latencyMs: 20 }), anInstance({ id: 'y', latencyMs: 35 })] as const;
    const quick = [anInstance({ id: 'x', latencyMs: 0.3 }), anInstance({ id: 'y', latencyMs: 1.2 })] as const;

    assert.deepEqual(picks(leastLoaded(), candidates, 4), ['x', 'y', 'x', 'y']);
    assert.deepEqual(picks(leastLoaded(), quick, 4), ['x', 'y', 'x', 'y']);
  });

  test('gives one of unknown latency a try', () => {
    const known = anInstance({ id: 'known', latencyMs: 5 });
    const unknown = anInstance({ id: 'unknown' });

    assert.equal(leastLoaded().pick([known, unknown], '').id, 'unknown');
  });

  test('compares a bounded number of many, another each time, until all had their turn', () => {
    const many = instances(COMPARED_MAX * 3);

    const picked = picks(leastLoaded(), many, many.length);

    assert.equal(new Set(picked).size, many.length);
  });
});

describe('round-robin', () => {
  test('spreads the turns of the heavier out', () => {
    const candidates = [anInstance({ id: 'a', weight: 5 }), anInstance({ id: 'b' }), anInstance({ id: 'c' })] as const;

    assert.deepEqual(picks(roundRobin(), candidates, 7), ['a', 'a', 'b', 'a', 'c', 'a', 'a']);
  });
});

describe('two-choices', () => {
  const idle = anInstance({ id: 'idle' });
  const busy = anInstance({ id: 'busy', inFlight: 3 });

  test('keeps the less loaded of the two it draws', () => {
    assert.equal(twoChoices(scripted(0)).pick([busy, idle], '').id, 'idle');
    assert.equal(twoChoices(scripted(1)).pick([busy, idle], '').id, 'idle');
  });

  test('weighs load against weight', () => {
    const strong = anInstance({ id: 'strong', weight: 4, inFlight: 2 });
    const weak = anInstance({ id: 'weak', weight: 1, inFlight: 0 });

    assert.equal(twoChoices(scripted(0)).pick([weak, strong], '').id, 'strong');
  });
});

describe('hash', () => {
  const keys = Array.from({ length: 2_000 }, (_, i) => `caller-${i}`);
  const owners = (policy: BalancePolicy, candidates: NonEmpty<Instance>) =>
    new Map(keys.map(key => [key, policy.pick(candidates, key).id]));

  test('sends equal affinities to the same instance, whatever stands in which order', () => {
    const all = instances(5);
    const [one, two] = [ring(leastLoaded()), ring(leastLoaded())];
    one.adopt?.(all);
    two.adopt?.([...all].reverse());
    const reversed = [...all].reverse();
    assert.ok(isNonEmpty(reversed));

    assert.deepEqual(owners(one, all), owners(two, reversed));
  });

  test('moves only the share of an instance that goes, and brings it back with it', () => {
    const all = instances(5);
    const [gone, ...rest] = all;
    assert.ok(isNonEmpty(rest));
    const policy = ring(leastLoaded());
    policy.adopt?.(all);
    const before = owners(policy, all);

    const during = owners(policy, rest); // out for a while, but listed
    policy.adopt?.(rest);
    const after = owners(policy, rest);

    for (const key of keys.filter(each => before.get(each) !== gone.id)) {
      assert.equal(during.get(key), before.get(key));
      assert.equal(after.get(key), before.get(key));
    }
    policy.adopt?.(all);
    assert.deepEqual(owners(policy, all), before);
  });

  test('gives a share that follows the weight', () => {
    const candidates = [anInstance({ id: 'heavy', weight: 3 }), anInstance({ id: 'light' })] as const;
    const policy = ring(leastLoaded());
    policy.adopt?.(candidates);

    const heavy = share(picks(policy, candidates, 4_000), 'heavy');

    assert.ok(Math.abs(heavy - 0.75) < 0.08, String(heavy));
  });

  test('sends on what would be too much for one', () => {
    const all = instances(3);
    const policy = ring(leastLoaded());
    policy.adopt?.(all);
    const owner = policy.pick(all, 'alice');
    const loaded = all.map(each => ({ ...each, inFlight: each === owner ? 10 : 1 }));
    assert.ok(isNonEmpty(loaded));
    policy.adopt?.(loaded);

    assert.notEqual(policy.pick(loaded, 'alice').id, owner.id);
  });

  test('leaves an affinity where it is while its load is near the average', () => {
    const all = instances(3);
    const policy = ring(leastLoaded());
    policy.adopt?.(all);
    const owner = policy.pick(all, 'alice');
    const loaded = all.map(each => ({ ...each, inFlight: 4 }));
    assert.ok(isNonEmpty(loaded));
    policy.adopt?.(loaded);

    assert.equal(policy.pick(loaded, 'alice').id, owner.id);
  });
});
