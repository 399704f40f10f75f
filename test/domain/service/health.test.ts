import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Permit } from '../../../gateway/domain/service.ts';
import { anEntry, aFinding, aService, type PolicyTraits, type ServiceAtWork } from '../../support/service-at-work.ts';

const entriesOf = (count: number) => ['a', 'b', 'c', 'd', 'e', 'f'].slice(0, count).map(id => anEntry(id));

/** A service that has sent something to each of its instances. */
function aServiceOf(count: number, policy: PolicyTraits = {}) {
  const at = aService({ entries: entriesOf(count), policy });
  for (let i = 0; i < count; i++) at.call();
  return at;
}

/** One call to this instance that does not end within `hangMax`. */
function hang({ service, acquire }: Pick<ServiceAtWork, 'service' | 'acquire'>, id: string): Permit {
  const acquired = [acquire(), acquire()];
  const hung = acquired.find(({ at }) => at === id)?.permit;
  assert.ok(hung);
  for (const { permit } of acquired) {
    if (permit === hung) service.report(hung.instance, aFinding({ outcome: 'hung', status: null, permit: hung }));
    permit?.begin();
    permit?.release();
  }
  return hung;
}

/** Fails so often, each time another request of this caller's. */
function failTimes(times: number, fail: () => void): void {
  for (let i = 0; i < times; i++) fail();
}

describe('ejection', () => {
  test('follows a refused connection at once', () => {
    const { find, state, reported } = aServiceOf(2);

    find('a', { outcome: 'refused' });

    assert.equal(state('a'), 'ejected');
    assert.deepEqual(reported('ejected'), [
      { kind: 'ejected', service: 'fuel', instance: 'a', reason: 'refused', forMs: 30_000 },
    ]);
  });

  test('does not follow a hang, which one caller can bring about, but the next check that fails', () => {
    const { find, state, service, acquire, clock } = aServiceOf(2);
    const permit = hang({ service, acquire }, 'a');
    find('a', { outcome: 'hung', status: null, callerId: 'bob' });
    assert.equal(state('a'), 'in-rotation');

    clock.advance(5_000);
    service.checked(permit.instance.id, false, 'no answer');

    assert.equal(state('a'), 'ejected');
    assert.equal(service.view().instances[0]?.why, 'hung');
  });

  test('does not follow a certificate that does not verify; but that is shown, and told loudly once', () => {
    const { find, state, view, service, reported } = aServiceOf(2);

    failTimes(50, () => find('a', { outcome: 'untrusted', status: null }));
    failTimes(50, () => find('a', { outcome: 'untrusted', status: null, callerId: 'bob' }));

    assert.equal(state('a'), 'in-rotation');
    assert.equal(view('a')?.why, 'untrusted: its certificate does not verify');
    service.untrusted('a', 'it has expired');
    service.untrusted('a', 'it has expired');
    assert.deepEqual([state('a'), view('a')?.why], ['in-rotation', 'untrusted: it has expired']);
    assert.deepEqual(
      reported('notice').map(({ about }) => about['problem']),
      ['its certificate does not verify', 'it has expired'],
    );
    find('a', { outcome: 'ok' });
    assert.equal(view('a')?.why, null);
  });

  for (const outcome of ['lost', 'fault', 'timeout', 'status', 'connect-timeout'] as const) {
    test(`follows ${outcome} as often as failures says, in a row`, () => {
      const { find, state } = aServiceOf(2);

      failTimes(4, () => find('a', { outcome }));
      assert.equal(state('a'), 'in-rotation');
      find('a', { outcome: 'ok' });
      failTimes(4, () => find('a', { outcome }));
      assert.equal(state('a'), 'in-rotation');
      find('a', { outcome });

      assert.equal(state('a'), 'ejected');
    });
  }

  test('does not follow one request that fails again and again', () => {
    const { find, state } = aServiceOf(2);

    const request = {};
    failTimes(20, () => find('a', { outcome: 'lost', request }));

    assert.equal(state('a'), 'in-rotation');
  });

  test('does not follow one caller’s failures while others call, too', () => {
    const { find, call, state } = aServiceOf(2);
    call({ callerId: 'bob' });
    call({ callerId: 'mallory' });

    failTimes(50, () => find('a', { outcome: 'timeout', callerId: 'mallory' }));
    assert.equal(state('a'), 'in-rotation');
    find('a', { outcome: 'timeout', callerId: 'bob' });

    assert.equal(state('a'), 'ejected');
  });

  test('follows the failures of a caller who has been alone lately', () => {
    const { find, call, state, clock } = aServiceOf(2);
    call({ callerId: 'bob' });
    clock.advance(60_001);
    call({ callerId: 'alice' });

    failTimes(5, () => find('a', { outcome: 'timeout' }));

    assert.equal(state('a'), 'ejected');
  });

  test('never follows answers of R’s own, or callers who leave', () => {
    const { find, state } = aServiceOf(2);

    failTimes(50, () => find('a', { outcome: 'ok' }));
    failTimes(50, () => find('a', { outcome: 'abandoned' }));

    assert.equal(state('a'), 'in-rotation');
  });

  test('happens once, however many failures were under way', () => {
    const { find, reported, clock } = aServiceOf(2);

    failTimes(3, () => find('a', { outcome: 'refused' }));
    clock.advance(29_999);

    assert.equal(reported('ejected').length, 1);
  });

  test('sends the work elsewhere', () => {
    const { find, call } = aServiceOf(2);

    find('a', { outcome: 'refused' });

    assert.deepEqual([call(), call(), call()], ['b', 'b', 'b']);
  });
});

describe('the bounds of ejection', () => {
  test('one instance is never ejected, and that is said once', () => {
    const { find, state, reported, clock } = aServiceOf(1);

    failTimes(10, () => find('a', { outcome: 'refused' }));

    assert.equal(state('a'), 'in-rotation');
    assert.deepEqual(reported('ejection-withheld'), [
      { kind: 'ejection-withheld', service: 'fuel', instance: 'a', reason: 'refused' },
    ]);
    clock.advance(30_000);
    find('a', { outcome: 'refused' });
    assert.equal(reported('ejection-withheld').length, 2);
  });

  test('of two instances one may be ejected', () => {
    const { find, state } = aServiceOf(2);

    find('a', { outcome: 'refused' });
    find('b', { outcome: 'refused' });

    assert.deepEqual([state('a'), state('b')], ['ejected', 'in-rotation']);
  });

  test('of three instances, at 50 %, one may be ejected', () => {
    const { find, state } = aServiceOf(3);

    for (const id of ['a', 'b', 'c']) find(id, { outcome: 'refused' });

    assert.deepEqual([state('a'), state('b'), state('c')], ['ejected', 'in-rotation', 'in-rotation']);
  });

  test('of three instances, at 100 %, keepMin stay', () => {
    const { find, state } = aServiceOf(3, { outlier: { percentMax: 100 } });

    for (const id of ['a', 'b', 'c']) find(id, { outcome: 'refused' });

    assert.deepEqual([state('a'), state('b'), state('c')], ['ejected', 'ejected', 'in-rotation']);
  });

  test('one may always be ejected where keepMin allows, whatever the share', () => {
    const { find, state } = aServiceOf(3, { outlier: { percentMax: 10 } });

    for (const id of ['a', 'b']) find(id, { outcome: 'refused' });

    assert.deepEqual([state('a'), state('b')], ['ejected', 'in-rotation']);
  });

  test('a keepMin of none lets the last one go', () => {
    const { find, state } = aServiceOf(1, { outlier: { keepMin: 0 } });

    find('a', { outcome: 'refused' });

    assert.equal(state('a'), 'ejected');
  });

  test('an instance that is out for another reason does not count as kept', () => {
    const { find, state, service } = aServiceOf(2);

    service.checked('b', false, 'ping: refused');
    find('a', { outcome: 'refused' });

    assert.deepEqual([state('a'), state('b')], ['in-rotation', 'unhealthy']);
  });

  test('an ejected instance is tried out when otherwise too few are left', () => {
    const { find, state, service } = aServiceOf(2);
    find('a', { outcome: 'refused' });

    service.reconcile([anEntry('a')]);

    assert.equal(state('a'), 'probation');
    find('a', { outcome: 'refused' });
    assert.equal(state('a'), 'probation');
  });
});

describe('probation', () => {
  test('is ended by a stream as well, of which there is one at a time', () => {
    const { service, state, find, clock } = aServiceOf(2);
    find('a', { outcome: 'refused' });
    clock.advance(30_000);
    const stream = () => service.acquireStream({ affinity: '', callerId: 'alice' }).instance.id;

    const first = [stream(), stream(), stream(), stream()];
    find('a', { outcome: 'ok' });

    assert.deepEqual(first.toSorted(), ['a', 'b', 'b', 'b']);
    assert.equal(state('a'), 'in-rotation');
  });

  test('follows an ejection, and is ended by one good answer', () => {
    const { find, state, clock, reported, call } = aServiceOf(2);
    find('a', { outcome: 'refused' });

    clock.advance(29_999);
    assert.equal(state('a'), 'ejected');
    clock.advance(1);
    assert.equal(state('a'), 'probation');
    call();
    call();

    assert.equal(state('a'), 'in-rotation');
    assert.equal(reported('probation').length, 1);
    assert.deepEqual(reported('readmitted'), [
      { kind: 'readmitted', service: 'fuel', instance: 'a', reason: 'a good answer' },
    ]);
    assert.equal(clock.alarms, 0);
  });

  test('is one request at a time, whatever the concurrency', () => {
    const { find, take, acquire, clock, service } = aServiceOf(1, { concurrency: 4, outlier: { keepMin: 0 } });
    find('a', { outcome: 'refused' });
    clock.advance(30_000);
    const attempt = take();
    const waiting = [acquire(), acquire()];

    assert.equal(service.view().queue.depth, 2);
    service.report(attempt.instance, aFinding());
    attempt.release();

    assert.equal(waiting.filter(({ permit }) => permit !== undefined).length, 2);
  });

  test('ends in a longer ejection when the trial fails, up to a bound', () => {
    const { find, clock, reported } = aServiceOf(2, { outlier: { ejectForMsMax: 75_000 } });

    for (const waitMs of [30_000, 60_000, 75_000, 75_000]) {
      find('a', { outcome: 'lost' });
      find('a', { outcome: 'refused' });
      clock.advance(waitMs);
    }

    assert.deepEqual(
      reported('ejected').map(({ forMs }) => forMs),
      [30_000, 60_000, 75_000, 75_000],
    );
  });

  test('is forgotten step by step while the instance is well', () => {
    const { find, clock, reported } = aServiceOf(2);
    find('a', { outcome: 'refused' });
    clock.advance(30_000);
    find('a', { outcome: 'refused' });
    clock.advance(60_000);
    find('a', { outcome: 'ok' });

    clock.advance(30_000); // one step
    find('a', { outcome: 'refused' });
    clock.advance(60_000);
    find('a', { outcome: 'ok' });
    clock.advance(300_000); // all of them
    find('a', { outcome: 'refused' });

    assert.deepEqual(
      reported('ejected').map(({ forMs }) => forMs),
      [30_000, 60_000, 60_000, 30_000],
    );
  });

  test('begins early when a check shows that the instance is back', () => {
    const { find, state, service } = aServiceOf(2);
    find('a', { outcome: 'refused' });

    service.checked('a', true, '');

    assert.equal(state('a'), 'probation');
  });

  test('does not begin early when a check cannot show it: the instance answered all along, but wrongly', () => {
    const { find, state, service } = aServiceOf(2);
    failTimes(5, () => find('a', { outcome: 'fault' }));

    service.checked('a', true, '');

    assert.equal(state('a'), 'ejected');
  });
});

describe('orders by hand', () => {
  test('eject until readmitted, even the last, and say what that leaves', () => {
    const { service, state, reported, clock, take } = aServiceOf(1);

    assert.equal(service.command('a', 'eject'), true);
    clock.advance(3_600_000);
    service.checked('a', true, '');

    assert.equal(state('a'), 'ejected');
    assert.equal(reported('notice').at(-1)?.level, 'warn');
    assert.throws(() => take(), { code: 'SERVICE_UNAVAILABLE', retryAfterMs: undefined });
    service.command('a', 'readmit');
    assert.equal(state('a'), 'in-rotation');
    assert.equal(reported('readmitted').at(-1)?.reason, 'by hand');
  });

  test('drain: what is in hand is finished, nothing new is begun', () => {
    const { service, state, take } = aServiceOf(2);
    const permit = take();

    service.command(permit.instance.id, 'drain');

    assert.equal(state(permit.instance.id), 'draining');
    permit.release();
    const other = take();
    assert.notEqual(other.instance.id, permit.instance.id);
  });

  test('outlive a change of roster', () => {
    const { service, state } = aServiceOf(2);
    service.command('a', 'drain');

    service.reconcile([anEntry('a', { weight: 3 }), anEntry('b')]);

    assert.equal(state('a'), 'draining');
  });

  test('tell when there is no such instance', () => {
    const { service } = aServiceOf(1);

    assert.equal(service.command('nobody', 'eject'), false);
  });

  test('readmit one that was ejected for its failures', () => {
    const { service, state, find } = aServiceOf(2);
    find('a', { outcome: 'refused' });

    service.command('a', 'readmit');

    assert.equal(state('a'), 'in-rotation');
  });
});

describe('what checks say', () => {
  const critical = (id: string) => anEntry(id, { health: 'critical', healthNote: 'ping: timed out' });

  test('takes an idle instance out, and back', () => {
    const { service, state, reported } = aServiceOf(2);

    service.reconcile([critical('a'), anEntry('b')]);
    assert.equal(state('a'), 'unhealthy');
    assert.equal(service.view().instances[0]?.why, 'ping: timed out');
    service.reconcile([anEntry('a'), anEntry('b')]);

    assert.equal(state('a'), 'in-rotation');
    assert.deepEqual(
      reported('instance-health').map(({ isWell, note }) => [isWell, note]),
      [
        [false, 'ping: timed out'],
        [true, ''],
      ],
    );
  });

  test('leaves one in rotation that merely warns, and drains one under maintenance', () => {
    const { service, state } = aServiceOf(2);

    service.reconcile([
      anEntry('a', { health: 'warning' }),
      anEntry('b', { health: 'maintenance', healthNote: 'R 4.5' }),
    ]);

    assert.deepEqual([state('a'), state('b')], ['in-rotation', 'draining']);
    assert.equal(service.view().instances[1]?.why, 'R 4.5');
  });

  test('does not take out one that works for us: busy is not dead', () => {
    const { service, state, take, clock } = aServiceOf(1);
    const permit = take();

    service.reconcile([critical('a')]);
    clock.advance(20_000);

    assert.equal(state('a'), 'busy-unchecked');
    service.report(permit.instance, aFinding());
    permit.release();
    assert.equal(state('a'), 'busy-unchecked'); // the answer it just gave proves more than the check
    clock.advance(10_001);
    assert.equal(state('a'), 'unhealthy');
  });

  test('hands its place on to who waits when a busy one has answered well', () => {
    const { service, take, acquire } = aServiceOf(1);
    const permit = take();
    const waiting = acquire();
    service.reconcile([critical('a')]);

    service.report(permit.instance, aFinding());
    permit.release();

    assert.equal(waiting.at, 'a');
  });

  test('takes a busy one out as soon as it ends without a good answer', () => {
    const { service, state, take, clock } = aServiceOf(1);
    const permit = take();
    clock.advance(1);
    service.reconcile([critical('a')]);
    service.report(permit.instance, aFinding({ outcome: 'lost' }));

    permit.release();

    assert.equal(state('a'), 'unhealthy');
  });

  test('takes a busy one out after hangMax, however busy', () => {
    const { service, state, take, clock } = aServiceOf(1);
    take();
    service.reconcile([critical('a')]);

    clock.advance(119_999);
    assert.equal(state('a'), 'busy-unchecked');
    clock.advance(1);

    assert.equal(state('a'), 'unhealthy');
  });

  test('does not take out one that answers when no caller waits any more', () => {
    const { service, state, take, clock } = aServiceOf(1);
    const permit = take();
    permit.begin();
    service.reconcile([critical('a')]);
    permit.abandon();
    clock.advance(60_000);

    permit.prove();
    permit.release();

    assert.equal(state('a'), 'busy-unchecked');
    clock.advance(10_001);
    assert.equal(state('a'), 'unhealthy');
  });

  test('keeps one that answers well, though under full load no check of the roster’s ever passes', () => {
    const { service, state, take, acquire, clock } = aServiceOf(1);
    let permit = take();
    service.reconcile([critical('a')]);

    for (let i = 0; i < 10; i++) {
      for (let second = 0; second < 20; second++) {
        clock.advance(second < 19 ? 1_000 : 999);
        service.reconcile([critical('a')]);
      }
      assert.equal(state('a'), 'busy-unchecked');
      const next = acquire();
      service.report(permit.instance, aFinding({ durationMs: 20_000 }));
      permit.release();
      assert.ok(next.permit);
      permit = next.permit;
    }

    clock.advance(120_000); // and then it hangs
    assert.equal(state('a'), 'unhealthy');
  });

  test('is two facts: ours does not undo the roster’s', () => {
    const { service, state } = aServiceOf(2);
    service.reconcile([critical('a'), anEntry('b')]);
    service.checked('a', false, 'ping: 500');

    service.checked('a', true, '');
    assert.equal(state('a'), 'unhealthy');
    service.reconcile([anEntry('a'), anEntry('b')]);

    assert.equal(state('a'), 'in-rotation');
  });

  test('of ours counts no more than a good answer', () => {
    const { service, state, take } = aServiceOf(1);
    const permit = take();
    service.checked('a', false, 'ping: timed out');

    service.report(permit.instance, aFinding());
    permit.release();

    assert.equal(state('a'), 'in-rotation');
  });
});

describe('a call that hangs', () => {
  test('holds its permit until a check passes, and nothing more', () => {
    const at = aServiceOf(2);
    hang(at, 'a');

    assert.deepEqual(at.service.view().permits, { inUse: 1, abandoned: 1 });
    assert.deepEqual([at.take().instance.id, at.acquire().waits], ['b', true]);
    at.service.checked('a', true, '');

    assert.deepEqual(at.service.view().permits, { inUse: 2, abandoned: 0 }); // handed to the call that waits
  });

  test('gives its permit back when the instance leaves, is readmitted by hand, or answers', () => {
    for (const end of [
      (at: ServiceAtWork) => at.service.reconcile([anEntry('b')]),
      (at: ServiceAtWork) => void at.service.command('a', 'readmit'),
      (at: ServiceAtWork) => at.find('a', {}),
      (at: ServiceAtWork) => at.service.close(),
    ]) {
      const at = aServiceOf(2);
      hang(at, 'a');

      end(at);

      assert.deepEqual(at.service.view().permits, { inUse: 0, abandoned: 0 });
    }
  });

  test('leaves an instance out until a check passes, whatever time goes by', () => {
    const at = aServiceOf(2);
    hang(at, 'a');
    at.service.checked('a', false, 'no answer');

    at.clock.advance(300_000);
    assert.deepEqual([at.take().instance.id, at.acquire().waits], ['b', true]);
    at.service.checked('a', true, '');

    assert.equal(at.state('a'), 'probation');
  });

  test('of a lone instance ejects nothing, and shows why', () => {
    const at = aServiceOf(1);
    const permit = at.take();
    permit.begin();
    at.service.report(permit.instance, aFinding({ outcome: 'hung', status: null, permit }));
    permit.release();

    at.service.checked('a', false, 'no answer within 2000 ms');

    assert.deepEqual([at.state('a'), at.view('a')?.why], ['busy-unchecked', 'no answer within 2000 ms']);
    assert.equal(at.reported('ejection-withheld').length, 1);
  });
});

describe('slow start', () => {
  const slow = { slowStartMs: 10_000, concurrency: 64 };

  test('is not for the first roster', () => {
    const { state } = aServiceOf(2, slow);

    assert.deepEqual([state('a'), state('b')], ['in-rotation', 'in-rotation']);
  });

  test('lets a newcomer’s weight grow with time', () => {
    const { service, state, clock } = aServiceOf(1, slow);
    service.reconcile([anEntry('a'), anEntry('n', { weight: 4 })]);
    const weights = [2_500, 2_500, 4_000].map(waitMs => {
      clock.advance(waitMs);
      return weightOf(service, 'n');
    });

    assert.equal(state('n'), 'slow-start');
    assert.deepEqual(weights, [1, 2, 3.6]);
    clock.advance(1_000);
    assert.equal(state('n'), 'in-rotation');
    assert.equal(clock.alarms, 0);
  });

  test('is for instances that were readmitted, and for those that recovered', () => {
    const { service, state, find, clock } = aServiceOf(3, slow);
    find('a', { outcome: 'refused' });
    service.checked('b', false, 'ping');
    clock.advance(30_000);
    find('a', { outcome: 'ok' });
    service.checked('b', true, '');

    assert.deepEqual([state('a'), state('b'), state('c')], ['slow-start', 'slow-start', 'in-rotation']);
  });

  /** The weight as policies see it. */
  function weightOf(service: ReturnType<typeof aService>['service'], id: string): number {
    for (let i = 0; i < 64; i++) {
      const place = service.acquireStream({ affinity: '', callerId: 'alice' });
      place.release();
      if (place.instance.id === id) return place.instance.weight;
    }
    throw new Error(`${id} is never chosen`);
  }
});

describe('a change of roster', () => {
  test('keeps what was learned of the instances that stay', () => {
    const { service, state, find, call } = aServiceOf(2);
    call({ durationMs: 42 });
    find('a', { outcome: 'refused' });
    const before = service.view().instances.map(({ latencyMs, requests, failures }) => [latencyMs, requests, failures]);

    service.reconcile([anEntry('b', { weight: 2 }), anEntry('c'), anEntry('a')]);

    assert.equal(state('a'), 'ejected');
    const after = service.view().instances.filter(({ id }) => id !== 'c');
    assert.deepEqual(
      after.map(({ latencyMs, requests, failures }) => [latencyMs, requests, failures]),
      before,
    );
    assert.equal(after.find(({ id }) => id === 'b')?.weight, 2);
  });

  test('lets instances that leave finish their work, and tells when they are gone', () => {
    const { service, take, reported, state } = aServiceOf(1);
    const permit = take();
    const stream = service.acquireStream({ affinity: '', callerId: 'alice' });

    service.reconcile([]);

    assert.equal(state('a'), 'draining');
    permit.release();
    assert.equal(reported('instance-left').length, 0);
    stream.release();
    assert.deepEqual(reported('instance-left'), [{ kind: 'instance-left', service: 'fuel', instance: 'a' }]);
    assert.deepEqual(service.view().instances, []);
  });

  test('takes one back that returns while it drains', () => {
    const { service, take, reported, state } = aServiceOf(1);
    const permit = take();

    service.reconcile([]);
    service.reconcile([anEntry('a')]);

    assert.equal(state('a'), 'in-rotation');
    permit.release();
    assert.equal(take().instance, permit.instance);
    assert.equal(reported('instance-left').length, 0);
    assert.equal(reported('instance-joined').length, 1);
  });

  test('tells newcomers apart from those that only move: an order stays with the name, permits with the address', () => {
    const { service, take, state, find } = aServiceOf(2);
    const [one, other] = [take(), take()];
    const [a, b] = one.instance.id === 'a' ? [one, other] : [other, one];
    find('a', { outcome: 'refused' });
    service.command('b', 'drain');

    service.reconcile([
      anEntry('a', { origin: 'http://elsewhere.test:1' }),
      anEntry('b', { origin: 'http://elsewhere.test:2' }),
    ]);

    const states = service.view().instances.map(view => [view.address, view.state]);
    assert.deepEqual(states, [
      ['http://elsewhere.test:1', 'probation'], // what it did at the old address is kept, and tried out
      ['http://elsewhere.test:2', 'draining'],
      ['http://a.test:8000', 'draining'],
      ['http://b.test:8000', 'draining'],
    ]);
    a.release();
    b.release();
    assert.equal(service.view().instances.length, 2);
    assert.equal(state('a'), 'probation');
  });

  test('keeps instances of one id but of two sources apart', () => {
    const { service } = aServiceOf(1);

    service.reconcile([anEntry('a'), anEntry('a', { source: 'consul', origin: 'http://other.test:1' })]);

    assert.equal(service.view().instances.length, 2);
  });

  test('keeps nothing of a service without instances', () => {
    const { service, permits, clock, find } = aServiceOf(2);
    find('a', { outcome: 'refused' });

    service.reconcile([]);

    assert.equal(permits.addresses, 0);
    assert.equal(clock.alarms, 0);
  });
});

describe('what operators see', () => {
  test('is the state, why, and until when', () => {
    const { service, find, clock } = aServiceOf(2);
    clock.setWallMs(Date.UTC(2026, 5, 1, 12));
    find('a', { outcome: 'refused' });

    const [a] = service.view().instances;

    assert.deepEqual(a, {
      id: 'a',
      address: 'http://a.test:8000',
      source: 'static',
      version: null,
      weight: 1,
      state: 'ejected',
      why: 'refused',
      until: '2026-06-01T12:00:30.000Z',
      inFlight: 0,
      streams: 0,
      abandoned: 0,
      latencyMs: 2,
      requests: 1,
      failures: 1,
      preferredBy: null,
    });
  });
});
