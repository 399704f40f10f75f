import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Permit } from '../../../gateway/domain/service.ts';
import { PermitRegistry } from '../../../gateway/domain/service/permits.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { anEntry, aFinding, aService, seeded, type PolicyTraits } from '../../support/service-at-work.ts';

const STEADY = Array.from({ length: 40 }, () => 10);

/** One instance that has learned how long calls take, and works on alice's since now. */
function aBusy(durationsMs: readonly number[] = STEADY, policy: PolicyTraits = {}) {
  const at = aService({ entries: [anEntry('a')], policy: { ahead: 'auto', ...policy } });
  at.warmUp(durationsMs);
  const present = at.take();
  present.begin();
  return { ...at, present };
}

describe('a call sent ahead', () => {
  test('is sent a moment before the present one should be done', () => {
    const { acquire, clock, reported, service } = aBusy();
    const waiting = acquire({ callerId: 'bob' });

    clock.advance(7.9);
    assert.equal(waiting.waits, true);
    clock.advance(0.1);

    assert.deepEqual([waiting.at, waiting.permit?.isAhead], ['a', true]);
    assert.deepEqual(reported('sent-ahead'), [{ kind: 'sent-ahead', service: 'fuel' }]);
    assert.equal(service.view().permits.inUse, 2);
    assert.equal(service.view().instances[0]?.inFlight, 2);
  });

  test('is sent early enough for the quicker calls of a route', () => {
    const { acquire, clock } = aBusy(Array.from({ length: 40 }, (_, i) => 8 + (i % 5)));
    const waiting = acquire({ callerId: 'bob' });

    clock.advance(5.9);
    assert.equal(waiting.waits, true);
    clock.advance(0.1);

    assert.equal(waiting.at, 'a');
  });

  test('is sent though it came only while R was at work', () => {
    const { acquire, clock } = aBusy();
    clock.advance(5);

    const waiting = acquire({ callerId: 'bob' });
    clock.advance(3);

    assert.equal(waiting.at, 'a');
  });

  test('is one and no more, and becomes the present one when that ends', () => {
    const { acquire, clock, present, service } = aBusy();
    const bob = acquire({ callerId: 'bob' });
    const [carol, dave] = [acquire({ callerId: 'carol' }), acquire({ callerId: 'dave' })];
    clock.advance(9);
    bob.permit?.begin();
    assert.deepEqual([bob.at, carol.waits], ['a', true]);

    clock.advance(1);
    present.release();
    assert.deepEqual([carol.waits, service.view().permits.inUse], [true, 1]);
    assert.equal(bob.permit?.sinceMs, clock.nowMs()); // R can have begun now

    clock.advance(8);
    assert.deepEqual([carol.at, carol.permit?.isAhead, dave.waits], ['a', true, true]);
    clock.advance(2);
    bob.permit.release();
    carol.permit?.release();
    assert.deepEqual([dave.at, dave.permit?.isAhead], ['a', false]);
    dave.permit?.release();
    assert.equal(service.view().permits.inUse, 0);
  });

  test('is not followed by another when it ends first', () => {
    const { acquire, clock, present, service } = aBusy();
    const [bob, carol] = [acquire({ callerId: 'bob' }), acquire({ callerId: 'carol' })];
    clock.advance(8);

    bob.permit?.release();
    assert.deepEqual([carol.waits, service.view().permits.inUse], [true, 1]);
    present.release();

    assert.deepEqual([carol.at, carol.permit?.isAhead], ['a', false]);
  });

  test('is none of the same caller while another waits', () => {
    const { acquire, clock } = aBusy(STEADY, { isFair: false });
    const again = acquire({ callerId: 'alice' });
    const bob = acquire({ callerId: 'bob' });

    clock.advance(9);

    assert.deepEqual([again.waits, bob.waits], [true, true]);
  });

  test('is one of the same caller where no other waits', () => {
    const { acquire, clock } = aBusy();
    const again = acquire({ callerId: 'alice' });

    clock.advance(8);

    assert.equal(again.at, 'a');
  });

  test('is taken up by another where it is given back at once', () => {
    const { acquire, clock, present, service } = aBusy();
    acquire({ callerId: 'bob', onPermit: permit => permit.release() });
    const carol = acquire({ callerId: 'carol' });
    clock.advance(9);

    present.release();

    assert.equal(carol.at, 'a');
    assert.equal(service.view().permits.inUse, 1);
  });
});

describe('no call is sent ahead', () => {
  const varying = Array.from({ length: 64 }, (_, i) => (i % 5 === 0 ? 30 : 5));

  for (const [name, durationsMs, policy] of [
    ['where times vary', varying, {}],
    ['where half of the calls are quick', STEADY.map((ms, i) => (i % 2 === 0 ? 1 : ms)), {}],
    ['where calls are long', STEADY.map(() => 25), {}],
    ['where few have been seen', STEADY.slice(0, 20), {}],
    ['where the service does not want it', STEADY, { ahead: 'off' }],
    ['where the instance takes two at once', STEADY, { concurrency: 2 }],
  ] as [string, number[], PolicyTraits][]) {
    test(name, () => {
      const { acquire, clock, present, reported } = aBusy(durationsMs, policy);
      const others: (Permit | undefined)[] = policy.concurrency === 2 ? [acquire({ callerId: 'carol' }).permit] : [];
      const waiting = acquire({ callerId: 'bob' });

      clock.advance(100);

      assert.equal(waiting.waits, true);
      assert.equal(reported('sent-ahead').length, 0);
      for (const permit of [present, ...others]) permit?.release();
    });
  }

  test('behind one that has taken longer than usual', () => {
    const { acquire, clock } = aBusy();
    clock.advance(11);

    const waiting = acquire({ callerId: 'bob' });
    clock.advance(100);

    assert.equal(waiting.waits, true);
  });

  test('to an instance that failed it, on another route, or in doubt', () => {
    const failed = aBusy();
    const both = [anEntry('a'), anEntry('b')];
    failed.service.reconcile(both);
    failed.take();
    const again = failed.acquire({ callerId: 'bob', tried: [failed.present.instance] });
    failed.clock.advance(9);
    assert.equal(again.waits, true);

    const doubted = aBusy();
    const waiting = doubted.acquire({ callerId: 'bob' });
    doubted.service.checked('a', false, 'no answer');
    doubted.clock.advance(9);
    assert.equal(waiting.waits, true);

    const other = aService({ entries: [anEntry('a')], policy: { ahead: 'auto' } });
    other.warmUp(STEADY);
    other.take({ routeId: 'train' }).begin();
    const behind = other.acquire({ callerId: 'bob' });
    other.clock.advance(9);
    assert.equal(behind.waits, true);
  });

  test('to an instance that another service lists as well', () => {
    const [clock, permits] = [manualClock(), new PermitRegistry()];
    const traits = { clock, permits, entries: [anEntry('a')], policy: { ahead: 'auto' } as const };
    const fuel = aService(traits);
    aService({ ...traits, name: 'iris' });
    fuel.warmUp(STEADY);
    fuel.take().begin();

    const waiting = fuel.acquire({ callerId: 'bob' });
    clock.advance(9);

    assert.equal(waiting.waits, true);
  });

  test('after errors, which are quick: they teach nothing', () => {
    const at = aService({ entries: [anEntry('a')], policy: { ahead: 'auto' } });
    for (let i = 0; i < 40; i++) {
      const permit = at.take();
      permit.begin();
      at.clock.advance(10);
      at.service.report(permit.instance, aFinding({ status: 400, permit }));
      permit.release();
    }
    at.take().begin();

    const waiting = at.acquire({ callerId: 'bob' });
    at.clock.advance(9);

    assert.equal(waiting.waits, true);
  });

  test('and nothing is left behind when the service closes', () => {
    const { acquire, clock, service, present, deadlines } = aBusy();
    acquire({ callerId: 'bob' });

    service.close();
    present.release();
    clock.advance(5_000);

    assert.deepEqual([deadlines.size, clock.alarms], [0, 0]);
  });
});

test('permits sent ahead are neither lost nor given twice, and R has less to wait for (seeded)', () => {
  /** Eight callers before two instances that do one thing after the other, each within 8 to 12 ms, a way of 1 ms off. */
  const run = (ahead: 'auto' | 'off') => {
    const random = seeded(5);
    const at = aService({ policy: { ahead } });
    const freeAtMs = new Map<string, number>();
    const inHand = new Map<string, number>();
    let done = 0;
    const send = (callerId: string) => {
      const acquired = at.acquire({
        callerId,
        onPermit: permit => {
          const { id } = permit.instance;
          inHand.set(id, (inHand.get(id) ?? 0) + 1);
          assert.ok((inHand.get(id) ?? 0) <= (ahead === 'auto' ? 2 : 1));
          permit.begin();
          const beginsMs = Math.max(at.clock.nowMs() + 1, freeAtMs.get(id) ?? 0);
          const endsMs = beginsMs + 8 + random.below(5);
          freeAtMs.set(id, endsMs);
          at.clock.after(endsMs + 1 - at.clock.nowMs(), () => {
            inHand.set(id, (inHand.get(id) ?? 0) - 1);
            done += 1;
            at.service.report(permit.instance, aFinding({ callerId, permit, durationMs: 10 }));
            permit.release();
            send(callerId);
          });
        },
      });
      if (!acquired.waits || random.below(20) > 0) return;
      at.service.leave(acquired);
      at.clock.after(5, () => send(callerId));
    };
    for (let i = 0; i < 8; i++) send(`caller-${i}`);
    at.clock.advance(20_000);
    at.service.reconcile([]);
    at.service.close();
    at.clock.advance(1_000);
    assert.deepEqual([at.service.view().permits.inUse, at.permits.addresses, at.deadlines.size], [0, 0, 0]);
    return done;
  };

  const [off, auto] = [run('off'), run('auto')];

  assert.ok(auto > off * 1.08, `${auto} calls done, ${off} without`);
});
