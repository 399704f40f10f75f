import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PermitRegistry } from '../../../gateway/domain/service/permits.ts';
import { aFinding, anEntry, aService, aServicePolicy } from '../../support/service-at-work.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('permits of a service', () => {
  test('are one at a time at each instance, and the next one waits', () => {
    const { take, service, acquire } = aService();
    const first = take();
    const second = take();
    const third = acquire();

    assert.notEqual(first.instance, second.instance);
    assert.equal(third.waits, true);
    assert.deepEqual(service.view().queue, { depth: 1, depthMax: 256 });
    assert.deepEqual(service.view().permits, { inUse: 2, abandoned: 0 });
  });

  test('are handed to the queue before any newcomer, at once', () => {
    const { take, acquire, service } = aService({ entries: [anEntry('a')] });
    const permit = take();
    const waiting = acquire();

    permit.release();
    const newcomer = acquire();

    assert.deepEqual([waiting.at, newcomer.waits], ['a', true]);
    assert.equal(service.view().queue.depth, 1);
  });

  test('are taken back once, however often they are returned', () => {
    const { take, service } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 0 } });
    const permit = take();

    permit.release();
    permit.release();

    take();
    assert.throws(() => take(), { code: 'QUEUE_FULL' });
    assert.equal(service.view().permits.inUse, 1);
  });

  test('follow the roster’s concurrency before the policy’s', () => {
    const { take } = aService({
      entries: [anEntry('a', { concurrency: 3 })],
      policy: { concurrency: 2, queueDepthMax: 0 },
    });

    for (let i = 0; i < 3; i++) take();

    assert.throws(() => take(), { code: 'QUEUE_FULL' });
  });

  test('become more for the calls that wait when the concurrency is raised', () => {
    const { take, service, acquire } = aService({ entries: [anEntry('a')] });
    take();
    const waiting = acquire();

    service.adopt(aServicePolicy({ concurrency: 2 }));

    assert.equal(waiting.at, 'a');
  });

  test('are given first to an instance that is not known, then to the one that is warm, by turns', () => {
    const { call } = aService({ entries: [anEntry('a'), anEntry('b'), anEntry('c')] });

    const ids: string[] = [];
    for (let i = 0; i < 33; i++) ids.push(call());

    assert.deepEqual(new Set(ids.slice(0, 3)), new Set(['a', 'b', 'c']));
    assert.match(ids.slice(3).join(''), /^b+a{8}c{8}b{8}a/);
  });
});

describe('the queue of a service', () => {
  test('is left at once by a call that gives up, and its room is free', () => {
    const { take, acquire, service, deadlines } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 1 } });
    take();
    const waiting = acquire();

    service.leave(waiting);
    service.leave(waiting);

    assert.equal(service.view().queue.depth, 0);
    assert.equal(deadlines.size, 0);
    assert.deepEqual([waiting.waits, waiting.queued], [true, undefined]); // it is told nothing
    assert.equal(acquire().waits, true);
  });

  test('is not left by a request that has its permit, or waits for another service', () => {
    const [fuel, iris] = [aService({ entries: [anEntry('a')] }), aService({ name: 'iris' })];
    const held = fuel.acquire();
    const waiting = fuel.acquire();

    fuel.service.leave(held);
    iris.service.leave(waiting);

    assert.equal(fuel.service.view().queue.depth, 1);
    assert.equal(fuel.service.view().permits.inUse, 1);
  });

  test('refuses one more than it holds, and says when to come again', () => {
    const at = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 2 } });
    at.warmUp([900, 900, 900, 900, 900]);
    at.take();
    at.acquire();
    at.acquire();

    assert.throws(() => at.take(), { code: 'QUEUE_FULL', status: 503, retryAfterMs: 2_700 });
  });

  test('promises no longer wait than its own bound where nothing is known', () => {
    const { take } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 0, queueWaitMsMax: 4_000 } });
    take();

    assert.throws(() => take(), { code: 'QUEUE_FULL', retryAfterMs: 4_000 });
  });

  test('ends the waiting after waitMax', () => {
    const { take, acquire, clock, service, deadlines } = aService({ entries: [anEntry('a')] });
    const permit = take();
    const waiting = acquire();

    clock.advance(4_999);
    assert.equal(waiting.waits, true);
    clock.advance(1);

    assert.equal(waiting.failure?.code, 'QUEUE_TIMEOUT');
    permit.release();
    assert.equal(service.view().permits.inUse, 0);
    assert.deepEqual([deadlines.size, clock.alarms], [0, 0]);
  });

  test('goes on where one that is told gives its permit straight back', () => {
    const { take, acquire, service } = aService({ entries: [anEntry('a')] });
    const permit = take();
    const gone = Array.from({ length: 100 }, () => acquire({ onPermit: given => given.release() }));
    const last = acquire();

    permit.release();

    assert.ok(gone.every(({ at }) => at === 'a'));
    assert.equal(last.at, 'a');
    assert.equal(service.view().permits.inUse, 1);
  });

  test('is refused whole when the service leaves the configuration', () => {
    const { take, acquire, service, deadlines, permits } = aService({ entries: [anEntry('a')] });
    const permit = take();
    const waiting = acquire();

    service.close();

    assert.equal(waiting.failure?.code, 'SERVICE_UNAVAILABLE');
    assert.throws(() => take(), { code: 'SERVICE_UNAVAILABLE' });
    assert.equal(permits.addresses, 1); // work is in hand
    permit.release();
    assert.equal(permits.addresses, 0);
    assert.equal(deadlines.size, 0);
  });
});

describe('a call that has tried an instance', () => {
  const both = [anEntry('a'), anEntry('b')];

  test('is sent to another', () => {
    const { take, service } = aService({ entries: both });
    const first = take();
    first.release();

    const second = take({ tried: [first.instance] });

    assert.notEqual(second.instance.id, first.instance.id);
    assert.equal(service.view().permits.inUse, 1);
  });

  test('waits for another that is busy rather than take it again', () => {
    const { take, acquire } = aService({ entries: both });
    const [one, other] = [take(), take()];
    one.release();
    const waiting = acquire({ tried: [one.instance] });

    other.release();

    assert.equal(waiting.permit?.instance, other.instance);
  });

  test('does not keep others from taking it', () => {
    const { take, service, acquire } = aService({ entries: both });
    const [one] = [take(), take()];
    acquire({ tried: [one.instance] });
    const newcomer = acquire();

    one.release();

    assert.equal(newcomer.permit?.instance, one.instance);
    assert.equal(service.view().queue.depth, 1);
  });

  test('takes it again where there is no other', () => {
    const { take } = aService({ entries: [anEntry('a')] });
    const first = take();
    first.release();

    assert.equal(take({ tried: [first.instance] }).instance, first.instance);
  });

  test('takes it again once the other is out of rotation', () => {
    const { take, service, acquire } = aService({ entries: both });
    const [one, other] = [take(), take()];
    one.release();
    const waiting = acquire({ tried: [one.instance] });

    service.report(other.instance, aFinding({ callerId: 'bob', outcome: 'refused' }));

    assert.equal(waiting.permit?.instance, one.instance);
  });

  test('takes it again rather than be refused when the time in the queue is over', () => {
    const { take, clock, acquire } = aService({ entries: both });
    const [one] = [take(), take()];
    one.release();
    const waiting = acquire({ tried: [one.instance] });

    clock.advance(5_000);

    assert.equal(waiting.permit?.instance, one.instance);
  });
});

describe('a service without an instance in rotation', () => {
  test('refuses newcomers at once', () => {
    const { take, clock } = aService({ entries: [] });

    assert.throws(() => take(), { code: 'SERVICE_UNAVAILABLE', retryAfterMs: undefined });
    assert.equal(clock.alarms, 0);
  });

  test('says when an ejection ends', () => {
    const { take, call, clock } = aService({
      entries: [anEntry('a')],
      policy: { outlier: { keepMin: 0 } },
    });
    call({ outcome: 'refused' });
    clock.advance(10_000);

    assert.throws(() => take(), { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 20_000 });
  });

  test('lets calls that wait wait on: an instance may come back', () => {
    const { take, service, clock, acquire } = aService({ entries: [anEntry('a')] });
    const permit = take();
    const waiting = acquire();
    const late = acquire();

    service.reconcile([]);
    permit.release();
    assert.throws(() => take(), { code: 'SERVICE_UNAVAILABLE' });
    service.reconcile([anEntry('b')]);

    assert.equal(waiting.at, 'b');
    service.reconcile([]);
    clock.advance(5_000);
    assert.equal(late.failure?.code, 'SERVICE_UNAVAILABLE');
  });
});

describe('one R behind two names', () => {
  const shared = { origin: 'http://r.test:8000' };

  test('is still one R', () => {
    const permits = new PermitRegistry();
    const fuel = aService({ permits, entries: [anEntry('a', shared)], policy: { queueDepthMax: 0 } });
    const iris = aService({ permits, name: 'iris', entries: [anEntry('x', shared)], policy: { queueDepthMax: 0 } });
    const permit = fuel.take();

    assert.throws(() => iris.take(), { code: 'QUEUE_FULL' });
    permit.release();
    assert.equal(iris.take().instance.id, 'x');
    assert.throws(() => fuel.take(), { code: 'QUEUE_FULL' });
  });

  test('goes to the call that has waited longest, under whichever name', () => {
    const permits = new PermitRegistry();
    const clock = manualClock();
    const fuel = aService({ permits, clock, entries: [anEntry('a', shared)] });
    const iris = aService({ permits, clock, name: 'iris', entries: [anEntry('x', shared)] });
    const permit = fuel.take();
    const waiting = [iris, fuel, iris].map(({ acquire }) => acquire());

    permit.release();
    for (const [index, each] of waiting.entries()) {
      assert.equal(waiting.filter(({ waits }) => waits).length, 2 - index);
      each.permit?.release();
    }
  });

  test('has the smaller number of permits where the services disagree', () => {
    const permits = new PermitRegistry();
    const fuel = aService({ permits, entries: [anEntry('a', shared)], policy: { concurrency: 4, queueDepthMax: 0 } });
    const iris = aService({ permits, name: 'iris', entries: [anEntry('x', shared)], policy: { concurrency: 2 } });
    fuel.take();
    fuel.take();

    assert.throws(() => fuel.take(), { code: 'QUEUE_FULL' });

    iris.service.reconcile([]);
    fuel.take();
  });

  test('is let go of when no source lists it and nothing is in hand', () => {
    const vacant: string[] = [];
    const permits = new PermitRegistry({ onVacant: origin => vacant.push(origin) });
    const fuel = aService({ permits, entries: [anEntry('a', shared)] });
    const iris = aService({ permits, name: 'iris', entries: [anEntry('x', shared)] });
    const permit = fuel.take();

    fuel.service.reconcile([]);
    iris.service.reconcile([]);
    assert.deepEqual(vacant, []);
    permit.release();

    assert.deepEqual(vacant, [shared.origin]);
    assert.equal(permits.addresses, 0);
  });
});

describe('streams', () => {
  test('are counted beside the permits, and given back once', () => {
    const { service } = aService({ entries: [anEntry('a')], policy: { streamsMax: 2 } });
    const permits = [
      service.acquireStream({ affinity: '', callerId: 'alice' }),
      service.acquireStream({ affinity: '', callerId: 'alice' }),
    ];

    assert.throws(() => service.acquireStream({ affinity: '', callerId: 'alice' }), { code: 'SERVICE_UNAVAILABLE' });
    assert.deepEqual(service.view().permits, { inUse: 0, abandoned: 0 });
    assert.equal(service.view().instances[0]?.streams, 2);
    permits[0]?.release();
    permits[0]?.release();
    assert.equal(service.view().instances[0]?.streams, 1);
    service.acquireStream({ affinity: '', callerId: 'alice' });
  });

  test('are spread over the instances', () => {
    const { service } = aService();

    const ids = [1, 2, 3, 4].map(() => service.acquireStream({ affinity: '', callerId: 'alice' }).instance.id);

    assert.equal(ids.filter(id => id === 'a').length, 2);
  });

  test('go to an instance whose permit is out, too', () => {
    const { service, take } = aService({ entries: [anEntry('a')] });
    take();

    assert.equal(service.acquireStream({ affinity: '', callerId: 'alice' }).instance.id, 'a');
  });

  test('are refused where no instance is in rotation', () => {
    const { service } = aService({ entries: [] });

    assert.throws(() => service.acquireStream({ affinity: '', callerId: 'alice' }), { code: 'SERVICE_UNAVAILABLE' });
  });
});

describe('a caller who has left while R still computes', () => {
  test('is counted until the place is given back', () => {
    const { service, take } = aService({ entries: [anEntry('a')] });
    const permit = take();
    permit.begin();

    permit.abandon();
    permit.abandon();

    assert.deepEqual(service.view().permits, { inUse: 1, abandoned: 1 });
    permit.release();
    permit.abandon();
    assert.deepEqual(service.view().permits, { inUse: 0, abandoned: 0 });
  });
});
