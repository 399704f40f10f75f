import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createPlaces } from '../../../gateway/domain/service/permits.ts';
import { anEntry, aService, aServicePolicy, wantedBy } from '../../support/builders.ts';
import { learn } from '../../support/work.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('places of a service', () => {
  test('are one at a time at each instance, and the next one waits', async () => {
    const { take, service } = aService();
    const first = await take();
    const second = await take();
    let isServed = false;
    void take().then(() => (isServed = true));
    await setImmediate();

    assert.notEqual(first.instance, second.instance);
    assert.equal(isServed, false);
    assert.deepEqual(service.view().queue, { depth: 1, depthMax: 256 });
    assert.deepEqual(service.view().permits, { inUse: 2, abandoned: 0 });
  });

  test('are handed to the queue before any newcomer', async () => {
    const { take, service } = aService({ entries: [anEntry('a')] });
    const served: string[] = [];
    const permit = await take();
    void take().then(() => served.push('waited'));

    permit.release();
    void take().then(() => served.push('came later'));
    await setImmediate();

    assert.deepEqual(served, ['waited']);
    assert.equal(service.view().queue.depth, 1);
  });

  test('are given first to who came first', async () => {
    const { take } = aService({ entries: [anEntry('a')] });
    const served: number[] = [];
    let permit = await take();
    const waiting = [1, 2, 3].map(async number => {
      const mine = await take();
      served.push(number);
      return mine;
    });

    for (const each of waiting) {
      permit.release();
      permit = await each;
    }

    assert.deepEqual(served, [1, 2, 3]);
  });

  test('are taken back once, however often they are returned', async () => {
    const { take, service } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 0 } });
    const permit = await take();

    permit.release();
    permit.release();

    await take();
    await assert.rejects(take(), { code: 'QUEUE_FULL' });
    assert.equal(service.view().permits.inUse, 1);
  });

  test('follow the roster’s concurrency before the policy’s', async () => {
    const { take } = aService({
      entries: [anEntry('a', { concurrency: 3 })],
      policy: { concurrency: 2, queueDepthMax: 0 },
    });

    await Promise.all([take(), take(), take()]);

    await assert.rejects(take(), { code: 'QUEUE_FULL' });
  });

  test('become more for who waits when the concurrency is raised', async () => {
    const { take, service } = aService({ entries: [anEntry('a')] });
    await take();
    const waiting = take();

    service.adopt(aServicePolicy({ concurrency: 2 }));

    assert.equal((await waiting).instance.id, 'a');
  });

  test('are given first to whoever is not known, then to the instance that is warm, by turns', async () => {
    const { call } = aService({ entries: [anEntry('a'), anEntry('b'), anEntry('c')] });

    const ids: string[] = [];
    for (let i = 0; i < 33; i++) ids.push(await call());

    assert.deepEqual(new Set(ids.slice(0, 3)), new Set(['a', 'b', 'c']));
    assert.match(ids.slice(3).join(''), /^b+a{8}c{8}b+$/);
  });
});

describe('the queue of a service', () => {
  test('is left at once by who gives up, and frees their room', async () => {
    const { take, service, clock } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 1 } });
    const caller = new AbortController();
    await take();
    const waiting = take({ signal: caller.signal });

    caller.abort(new Error('gone'));

    await assert.rejects(waiting, { message: 'gone' });
    assert.equal(service.view().queue.depth, 0);
    assert.equal(clock.alarms, 0);
  });

  test('does not admit who has given up already', async () => {
    const { take, service } = aService();

    await assert.rejects(take({ signal: AbortSignal.abort(new Error('gone')) }), { message: 'gone' });
    assert.equal(service.view().permits.inUse, 0);
  });

  test('refuses one more than it holds, and says when to come again', async () => {
    const at = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 2 } });
    await learn(at, [900, 900, 900, 900, 900]);
    await at.take();
    void at.take();
    void at.take();

    await assert.rejects(at.take(), { code: 'QUEUE_FULL', status: 503, retryAfterMs: 2_700 });
  });

  test('promises no longer wait than its own bound where nothing is known', async () => {
    const { take } = aService({ entries: [anEntry('a')], policy: { queueDepthMax: 0, queueWaitMsMax: 4_000 } });
    await take();

    await assert.rejects(take(), { code: 'QUEUE_FULL', retryAfterMs: 4_000 });
  });

  test('ends the waiting after waitMax', async () => {
    const { take, clock, service } = aService({ entries: [anEntry('a')] });
    const permit = await take();
    const refused = assert.rejects(take(), { code: 'QUEUE_TIMEOUT' });

    clock.advance(5_000);

    await refused;
    permit.release();
    assert.equal(service.view().permits.inUse, 0);
    assert.equal(clock.alarms, 0);
  });

  test('hands over what was freed while somebody’s signal was about to abort, and loses nothing', async () => {
    const { take, service } = aService({ entries: [anEntry('a')] });
    const caller = new AbortController();
    const permit = await take();
    const waiting = take({ signal: caller.signal });

    permit.release();
    caller.abort(new Error('too late'));
    (await waiting).release();

    assert.equal(service.view().permits.inUse, 0);
  });

  test('is refused whole when the service leaves the configuration', async () => {
    const { take, service, clock, places } = aService({ entries: [anEntry('a')] });
    const permit = await take();
    const refused = assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE' });

    service.close();

    await refused;
    await assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE' });
    assert.equal(places.addresses, 1); // work is in hand
    permit.release();
    assert.equal(places.addresses, 0);
    assert.equal(clock.alarms, 0);
  });
});

describe('who has tried an instance', () => {
  const both = [anEntry('a'), anEntry('b')];

  test('is sent to another', async () => {
    const { take, service } = aService({ entries: both });
    const first = await take();
    first.release();

    const second = await take({ tried: [first.instance] });

    assert.notEqual(second.instance.id, first.instance.id);
    assert.equal(service.view().permits.inUse, 1);
  });

  test('waits for another that is busy rather than take it again', async () => {
    const { take } = aService({ entries: both });
    const [one, other] = [await take(), await take()];
    one.release();
    const waiting = take({ tried: [one.instance] });
    await setImmediate();

    other.release();

    assert.equal((await waiting).instance, other.instance);
  });

  test('does not keep others from taking it', async () => {
    const { take, service } = aService({ entries: both });
    const [one] = [await take(), await take()];
    void take({ tried: [one.instance] });
    const newcomer = take();

    one.release();

    assert.equal((await newcomer).instance, one.instance);
    assert.equal(service.view().queue.depth, 1);
  });

  test('takes it again where there is no other', async () => {
    const { take } = aService({ entries: [anEntry('a')] });
    const first = await take();
    first.release();

    assert.equal((await take({ tried: [first.instance] })).instance, first.instance);
  });

  test('takes it again once the other is out of rotation', async () => {
    const { take, service } = aService({ entries: both });
    const [one, other] = [await take(), await take()];
    one.release();
    const waiting = take({ tried: [one.instance] });

    service.report(other.instance, { request: {}, callerId: 'bob', outcome: 'refused', durationMs: 0 });

    assert.equal((await waiting).instance, one.instance);
  });

  test('takes it again rather than be refused when the time in the queue is over', async () => {
    const { take, clock } = aService({ entries: both });
    const [one] = [await take(), await take()];
    one.release();
    const waiting = take({ tried: [one.instance] });

    clock.advance(5_000);

    assert.equal((await waiting).instance, one.instance);
  });
});

describe('a service without anyone in rotation', () => {
  test('refuses newcomers at once', async () => {
    const { take, clock } = aService({ entries: [] });

    await assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE', retryAfterMs: undefined });
    assert.equal(clock.alarms, 0);
  });

  test('says when an ejection ends', async () => {
    const { take, call, clock } = aService({
      entries: [anEntry('a')],
      policy: { outlier: { keepMin: 0 } },
    });
    await call({ outcome: 'refused' });
    clock.advance(10_000);

    await assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 20_000 });
  });

  test('lets who waits wait on: an instance may come back', async () => {
    const { take, service, clock } = aService({ entries: [anEntry('a')] });
    const permit = await take();
    const waiting = take();
    const late = assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE' });

    service.reconcile([]);
    permit.release();
    await assert.rejects(take(), { code: 'SERVICE_UNAVAILABLE' });
    service.reconcile([anEntry('b')]);

    assert.equal((await waiting).instance.id, 'b');
    service.reconcile([]);
    clock.advance(5_000);
    await late;
  });
});

describe('one R behind two names', () => {
  const shared = { origin: 'http://r.test:8000' };

  test('is still one R', async () => {
    const places = createPlaces();
    const fuel = aService({ places, entries: [anEntry('a', shared)], policy: { queueDepthMax: 0 } });
    const iris = aService({ places, name: 'iris', entries: [anEntry('x', shared)], policy: { queueDepthMax: 0 } });
    const permit = await fuel.take();

    await assert.rejects(iris.take(), { code: 'QUEUE_FULL' });
    permit.release();
    assert.equal((await iris.take()).instance.id, 'x');
    await assert.rejects(fuel.take(), { code: 'QUEUE_FULL' });
  });

  test('goes to whoever has waited longest, under whichever name', async () => {
    const places = createPlaces();
    const clock = manualClock();
    const fuel = aService({ places, clock, entries: [anEntry('a', shared)] });
    const iris = aService({ places, clock, name: 'iris', entries: [anEntry('x', shared)] });
    const served: string[] = [];
    let permit = await fuel.take();
    const waiting = [iris, fuel, iris].map(async ({ take, service }) => {
      const mine = await take();
      served.push(service.name);
      return mine;
    });

    for (const each of waiting) {
      permit.release();
      permit = await each;
    }

    assert.deepEqual(served, ['iris', 'fuel', 'iris']);
  });

  test('has the smaller number of permits where the services disagree', async () => {
    const places = createPlaces();
    const fuel = aService({ places, entries: [anEntry('a', shared)], policy: { concurrency: 4, queueDepthMax: 0 } });
    const iris = aService({ places, name: 'iris', entries: [anEntry('x', shared)], policy: { concurrency: 2 } });
    await fuel.take();
    await fuel.take();

    await assert.rejects(fuel.take(), { code: 'QUEUE_FULL' });

    iris.service.reconcile([]);
    await fuel.take();
  });

  test('is let go of when nobody lists it and nothing is in hand', async () => {
    const vacant: string[] = [];
    const places = createPlaces({ onVacant: origin => vacant.push(origin) });
    const fuel = aService({ places, entries: [anEntry('a', shared)] });
    const iris = aService({ places, name: 'iris', entries: [anEntry('x', shared)] });
    const permit = await fuel.take();

    fuel.service.reconcile([]);
    iris.service.reconcile([]);
    assert.deepEqual(vacant, []);
    permit.release();

    assert.deepEqual(vacant, [shared.origin]);
    assert.equal(places.addresses, 0);
  });
});

describe('streams', () => {
  test('are counted beside the permits, and given back once', () => {
    const { service } = aService({ entries: [anEntry('a')], policy: { streamsMax: 2 } });
    const places = [service.board(wantedBy()), service.board(wantedBy())];

    assert.throws(() => service.board(wantedBy()), { code: 'SERVICE_UNAVAILABLE' });
    assert.deepEqual(service.view().permits, { inUse: 0, abandoned: 0 });
    assert.equal(service.view().instances[0]?.streams, 2);
    places[0]?.release();
    places[0]?.release();
    assert.equal(service.view().instances[0]?.streams, 1);
    service.board(wantedBy());
  });

  test('are spread over the instances', () => {
    const { service } = aService();

    const ids = [1, 2, 3, 4].map(() => service.board(wantedBy()).instance.id);

    assert.equal(ids.filter(id => id === 'a').length, 2);
  });

  test('go to an instance whose permit is out, too', async () => {
    const { service, take } = aService({ entries: [anEntry('a')] });
    await take();

    assert.equal(service.board(wantedBy()).instance.id, 'a');
  });

  test('are refused where nobody is in rotation', () => {
    const { service } = aService({ entries: [] });

    assert.throws(() => service.board(wantedBy()), { code: 'SERVICE_UNAVAILABLE' });
  });
});

describe('who has left while R still computes', () => {
  test('is counted until the place is given back', async () => {
    const { service, take } = aService({ entries: [anEntry('a')] });
    const permit = await take();
    permit.begin();

    permit.abandon();
    permit.abandon();

    assert.deepEqual(service.view().permits, { inUse: 1, abandoned: 1 });
    permit.release();
    permit.abandon();
    assert.deepEqual(service.view().permits, { inUse: 0, abandoned: 0 });
  });
});
