import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leastLoaded } from '../../../../gateway/domain/service/balance/least-loaded.ts';
import { ring } from '../../../../gateway/domain/service/balance/ring.ts';
import { roundRobin } from '../../../../gateway/domain/service/balance/round-robin.ts';
import { twoChoices } from '../../../../gateway/domain/service/balance/two-choices.ts';
import type { BalancePolicy, Choice } from '../../../../gateway/domain/service/balance/policy.ts';
import type { Instance } from '../../../../gateway/domain/service.ts';
import { isNonEmpty, type NonEmpty } from '../../../../gateway/domain/non-empty.ts';
import { anInstance, instances, scripted, seeded } from '../../../support/service-at-work.ts';

// The promises every policy keeps, written once and asked of each. A new policy joins this list.
const policies = [() => leastLoaded(), () => roundRobin(), () => twoChoices(seeded(1)), () => ring(leastLoaded())];

/** An instance whose numbers a test may set. */
type Changing = { -readonly [Key in keyof Instance]: Instance[Key] };

/** A choice among these. */
const among = (policy: BalancePolicy, candidates: readonly Instance[]): Choice<Instance> => {
  const choice = policy.choice();
  for (const candidate of candidates) choice.add(candidate);
  return choice;
};

/** Picks, and tells that the one it picked was given work. */
const pickFrom = (choice: Choice<Instance>, affinity: string): Instance => {
  const picked = choice.pick(affinity);
  assert.ok(picked);
  choice.served(picked);
  return picked;
};

const picks = (policy: BalancePolicy, candidates: NonEmpty<Instance>, count: number) => {
  const choice = among(policy, candidates);
  return Array.from({ length: count }, (_, i) => pickFrom(choice, `caller-${i}`).id);
};

const share = (picked: readonly string[], id: string) => picked.filter(each => each === id).length / picked.length;

for (const create of policies) {
  describe(`every policy: ${create().name}`, () => {
    test('picks a lone candidate', () => {
      const [only] = instances(1);
      const policy = create();

      for (const affinity of ['', 'alice']) {
        assert.equal(among(policy, [only]).pick(affinity), only);
        assert.equal(policy.pick([only], affinity), only);
      }
    });

    test('picks no instance where none is left', () => {
      const [only] = instances(1);
      const choice = among(create(), [only]);
      choice.remove(only);

      assert.deepEqual([choice.size, choice.pick(''), choice.pick('alice')], [0, undefined, undefined]);
    });

    test('leaves no instance idle while all are alike', () => {
      const picked = picks(create(), instances(3), 300);

      assert.deepEqual(new Set(picked), new Set(['r-1', 'r-2', 'r-3']));
    });

    test('leaves no instance idle for requests without an affinity', () => {
      const choice = among(create(), instances(3));

      const picked = Array.from({ length: 300 }, () => pickFrom(choice, '').id);

      assert.deepEqual(new Set(picked), new Set(['r-1', 'r-2', 'r-3']));
    });

    test('leaves no instance idle where each request has its own candidates', () => {
      const [policy, candidates] = [create(), instances(3)];

      const picked = Array.from({ length: 300 }, (_, i) => policy.pick(candidates, `caller-${i}`).id);

      assert.deepEqual(new Set(picked), new Set(['r-1', 'r-2', 'r-3']));
    });

    test('keeps to the instances that are there, in whatever order they come and go', () => {
      const [policy, random] = [create(), seeded(7)];
      const all = instances(40).map(instance => ({ ...instance }));
      policy.adopt?.(all);
      const choice = policy.choice<(typeof all)[number]>();
      const there = new Set<Instance>();

      for (let step = 0; step < 5_000; step++) {
        const one = all[random.below(all.length)];
        assert.ok(one);
        one.inFlight = random.below(3);
        if (random.below(3) === 0) one.weight = 1 + random.below(4);
        const acts = there.has(one) ? (['changed', 'remove'] as const) : (['add', 'add'] as const);
        const act = acts[random.below(2)] ?? 'changed';
        choice[act](one);
        there.delete(one);
        if (act !== 'remove') there.add(one);

        const picked = choice.pick(['', `caller-${step}`][random.below(2)] ?? '');
        if (picked !== undefined) choice.served(picked);
        assert.equal(picked !== undefined && there.has(picked), there.size > 0);
      }
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

    test('keeps to its candidates when others were added', () => {
      const policy = create();
      policy.adopt?.(instances(5));
      const strangers = [anInstance({ id: 'new-1' }), anInstance({ id: 'new-2' })] as const;

      for (let i = 0; i < 20; i++) assert.ok(strangers.includes(policy.pick(strangers, `caller-${i}`)));
    });

    test('has an answer where no instance has any weight', () => {
      const candidates = [anInstance({ id: 'x', weight: 0 }), anInstance({ id: 'y', weight: 0 })] as const;
      const policy = create();
      policy.adopt?.(candidates);
      const choice = among(policy, candidates);

      for (let i = 0; i < 20; i++) assert.ok(candidates.includes(pickFrom(choice, `caller-${i}`)));
    });
  });
}

describe('least-loaded', () => {
  test('prefers the instance with the least work in hand for its weight', () => {
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

  test('takes a difference in latency that may be noise for none', () => {
    const candidates = [anInstance({ id: 'x', latencyMs: 20 }), anInstance({ id: 'y', latencyMs: 35 })] as const;
    const quick = [anInstance({ id: 'x', latencyMs: 0.3 }), anInstance({ id: 'y', latencyMs: 1.2 })] as const;

    assert.equal(share(picks(leastLoaded(), candidates, 160), 'x'), 0.5);
    assert.equal(share(picks(leastLoaded(), quick, 160), 'x'), 0.5);
  });

  test('gives one of unknown latency a try', () => {
    const known = anInstance({ id: 'known', latencyMs: 5 });
    const unknown = anInstance({ id: 'unknown' });

    assert.deepEqual(picks(leastLoaded(), [known, unknown], 1), ['unknown']);
  });

  test('stays with the one that is warm for a turn of eight', () => {
    const eight = (id: string) => Array.from({ length: 8 }, () => id);

    assert.deepEqual(picks(leastLoaded(), instances(2), 24), [...eight('r-1'), ...eight('r-2'), ...eight('r-1')]);
  });

  test('gives each of many equals its turn before any has a second', () => {
    const many = instances(200);

    const turns = picks(leastLoaded(), many, 16 * many.length).filter((_, i) => i % 8 === 0);

    assert.equal(new Set(turns.slice(0, many.length)).size, many.length);
    assert.deepEqual(turns.slice(many.length), turns.slice(0, many.length));
  });

  test('prefers of several that are busy in turn the one that came back last', () => {
    const choice = among(leastLoaded(), instances(3));
    const [first, second] = [pickFrom(choice, ''), pickFrom(choice, '')];
    assert.equal(first, second); // warm
    choice.remove(first); // taken
    const other = pickFrom(choice, '');
    choice.remove(other); // taken as well
    choice.add(first);
    choice.add(other); // given back last

    assert.equal(pickFrom(choice, ''), other);
  });

  test('finds the one idle of many', () => {
    const all = instances(1_000).map(instance => ({ ...instance, inFlight: 1 }));
    const choice = among(leastLoaded(), all);
    const idle = all[777];
    assert.ok(idle);
    idle.inFlight = 0;
    choice.changed(idle);

    assert.equal(choice.pick(''), idle);
  });

  test('counts no pick of one who stands alone as a turn of its equals', () => {
    const heavy = { ...anInstance({ id: 'heavy', weight: 2 }) };
    const [b, c] = [anInstance({ id: 'b' }), anInstance({ id: 'c' })];
    const choice = among(leastLoaded(), [heavy, b, c]);

    const picked = Array.from({ length: 160 }, () => {
      assert.equal(pickFrom(choice, '').id, 'heavy');
      choice.remove(heavy); // taken
      const { id } = pickFrom(choice, '');
      choice.add(heavy); // given back
      return id;
    });

    assert.equal(share(picked, 'b'), 0.5);
  });

  test('looks again at instances without news: a latency is forgotten as time passes', () => {
    const all = instances(100).map((instance): Changing => ({ ...instance, latencyMs: 500 }));
    const quick = all[5];
    const forgotten = all[60];
    assert.ok(quick && forgotten);
    quick.latencyMs = 5;
    const choice = among(leastLoaded(), all);
    assert.equal(choice.pick(''), quick);

    forgotten.latencyMs = undefined;
    const found = Array.from({ length: 40 }, () => choice.pick(''));

    assert.ok(found.includes(forgotten));
  });
});

describe('round-robin', () => {
  test('is as exact among many, of few different weights', () => {
    const candidates = Array.from({ length: 300 }, (_, i) => anInstance({ id: `r-${i}`, weight: 1 + (i % 3) }));
    assert.ok(isNonEmpty(candidates));

    const picked = picks(roundRobin(), candidates, 600);

    const times = new Map<string, number>();
    for (const id of picked) times.set(id, (times.get(id) ?? 0) + 1);
    for (const { id, weight } of candidates) assert.equal(times.get(id), weight, id);
  });

  test('keeps what it owes to an instance that was away', () => {
    const [a, b] = instances(2);
    assert.ok(b);
    const choice = among(roundRobin(), [a, b]);
    assert.equal(pickFrom(choice, ''), a);
    choice.remove(b); // taken before its turn
    for (let i = 0; i < 5; i++) assert.equal(pickFrom(choice, ''), a);
    choice.add(b);

    assert.equal(pickFrom(choice, ''), b);
  });

  test('follows another weight once it is told', () => {
    const [heavy, light] = [{ ...anInstance({ id: 'heavy' }) }, anInstance({ id: 'light' })];
    const choice = among(roundRobin(), [heavy, light]);
    pickFrom(choice, '');
    pickFrom(choice, '');

    heavy.weight = 3;
    choice.changed(heavy);
    const picked = Array.from({ length: 40 }, () => pickFrom(choice, '').id);

    assert.equal(share(picked, 'heavy'), 0.75);
  });

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

  test('takes the average over the instances that are there, and not over those that were', () => {
    const all = instances(3).map((instance): Changing => ({ ...instance }));
    const policy = ring(leastLoaded());
    policy.adopt?.(all);
    const choice = among(policy, all);
    const owner = choice.pick('alice');
    assert.ok(owner);
    for (const each of all) {
      each.inFlight = each === owner ? 1 : 20;
      choice.changed(each);
    }
    assert.equal(choice.pick('alice'), owner);

    for (const other of all.filter(each => each !== owner)) {
      choice.remove(other);
      other.inFlight = 0;
      choice.add(other);
    }

    assert.notEqual(choice.pick('alice'), owner);
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
