import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { GatewayError } from '../../../gateway/domain/errors.ts';
import type { Permit } from '../../../gateway/domain/exchange.ts';
import { createPlaces } from '../../../gateway/domain/service/permits.ts';
import type { PlaceWanted } from '../../../gateway/domain/service.ts';
import { anEntry, aService, aServicePolicy, type PolicyTraits, type ServiceAtWork } from '../../support/builders.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { learn } from '../../support/work.ts';

const ONE = [anEntry('a')];

/** What became of those who asked, by name. */
class Asked {
  readonly #at: Pick<ServiceAtWork, 'take'>;
  readonly served: string[] = [];
  readonly refused: string[] = [];
  readonly errors: GatewayError[] = [];
  readonly permits: Permit[] = [];

  constructor(at: Pick<ServiceAtWork, 'take'>) {
    this.#at = at;
  }

  ask(name: string, wanted: Partial<PlaceWanted> = {}): void {
    this.#at.take({ callerId: name.replace(/\d+$/, ''), ...wanted }).then(
      permit => {
        this.served.push(name);
        this.permits.push(permit);
      },
      (error: unknown) => {
        this.refused.push(name);
        this.errors.push(error as GatewayError);
      },
    );
  }

  askMany(caller: string, count: number, wanted: Partial<PlaceWanted> = {}): void {
    for (let i = 1; i <= count; i++) this.ask(`${caller}${i}`, wanted);
  }

  /** Lets so many be served, one after the other. */
  async serve(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.permits.shift()?.release();
      await setImmediate();
    }
  }
}

async function aBusyService(policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  const asked = new Asked(at);
  asked.ask('first');
  await setImmediate();
  return { ...at, asked };
}

describe('callers who wait', () => {
  test('take turns: one with ten thousand waiting delays another by one turn', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 20_000 });
    asked.askMany('greedy', 10_000);
    asked.ask('bob');

    await asked.serve(3);

    assert.deepEqual(asked.served, ['first', 'greedy1', 'bob', 'greedy2']);
  });

  test('are served as they came where the service is not fair', async () => {
    const { asked } = await aBusyService({ isFair: false });
    asked.askMany('greedy', 3);
    asked.ask('bob');

    await asked.serve(4);

    assert.deepEqual(asked.served, ['first', 'greedy1', 'greedy2', 'greedy3', 'bob']);
  });

  test('of a high priority come first, and those of a low one in the end', async () => {
    const { asked } = await aBusyService();
    asked.askMany('l', 1, { priority: 'low' });
    asked.askMany('n', 2);
    asked.askMany('h', 2, { priority: 'high' });

    await asked.serve(5);

    assert.deepEqual(asked.served, ['first', 'h1', 'h2', 'n1', 'n2', 'l1']);
  });

  test('take turns across the services that share an instance, too', async () => {
    const places = createPlaces();
    const clock = manualClock();
    const shared = { origin: 'http://r.test:8000' };
    const fuel = aService({ places, clock, entries: [anEntry('a', shared)], policy: { queueDepthMax: 20_000 } });
    const iris = aService({ places, clock, name: 'iris', entries: [anEntry('x', shared)] });
    const asked = new Asked(fuel);
    asked.askMany('greedy', 1_000);
    await setImmediate();
    const other = new Asked(iris);
    other.ask('bob');

    await asked.serve(2);

    assert.deepEqual([asked.served, other.served], [['greedy1', 'greedy2'], ['bob']]);
  });

  test('keep their turns when the policy changes under them', async () => {
    const { asked, service } = await aBusyService();
    asked.askMany('a', 2);
    asked.ask('b1');
    service.adopt(aServicePolicy({ isFair: false }));
    asked.askMany('c', 2);
    asked.ask('b2');

    await asked.serve(6);

    assert.deepEqual(asked.served, ['first', 'a1', 'b1', 'c1', 'a2', 'c2', 'b2']);
  });

  test('come before the others when an instance failed them', async () => {
    const at = aService();
    const [one, other] = [await at.take(), await at.take()];
    const asked = new Asked(at);
    asked.askMany('a', 2);
    asked.ask('again', { tried: [one.instance] });

    one.release();
    await setImmediate();
    assert.deepEqual(asked.served, ['a1']); // it waits for the other, and holds nobody up
    other.release();
    await setImmediate();

    assert.deepEqual(asked.served, ['a1', 'again']);
  });
});

describe('callers of services that share an instance', () => {
  test('come before the others’ when an instance failed them', async () => {
    const places = createPlaces();
    const shared = { origin: 'http://r.test:8000' };
    const fuel = aService({ places, entries: [anEntry('a', shared), anEntry('b')] });
    const iris = aService({ places, name: 'iris', entries: [anEntry('x', shared)] });
    const permits = [await fuel.take(), await fuel.take()];
    const [atShared, atOwn] = permits.sort((one, other) => (one.instance.id < other.instance.id ? -1 : 1));
    assert.ok(atShared !== undefined && atOwn !== undefined);
    const [others, asked] = [new Asked(iris), new Asked(fuel)];
    others.ask('bob');
    asked.ask('again', { tried: [atOwn.instance] });

    atShared.release();
    await setImmediate();

    assert.deepEqual([asked.served, others.served], [['again'], []]);
  });
});

describe('a full queue', () => {
  test('has room for one of whom fewer wait: the greediest caller’s newest goes', async () => {
    const { asked, service } = await aBusyService({ queueDepthMax: 10 });
    asked.askMany('greedy', 12);
    asked.ask('bob');
    await setImmediate();

    assert.deepEqual(asked.refused, ['greedy11', 'greedy12', 'greedy10']);
    assert.ok(asked.errors.every(({ code, retryAfterMs }) => code === 'QUEUE_FULL' && retryAfterMs === 5_000));
    assert.equal(service.view().queue.depth, 10);
    await asked.serve(2);
    assert.deepEqual(asked.served, ['first', 'greedy1', 'bob']);
  });

  test('is shared evenly by those who fill it, however they come', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 12 });
    asked.askMany('a', 30);
    asked.askMany('b', 30);
    asked.askMany('c', 30);

    await asked.serve(12);

    const counts = ['a', 'b', 'c'].map(name => asked.served.filter(served => served.startsWith(name)).length);
    assert.deepEqual(counts, [4, 4, 4]);
  });

  test('refuses the newcomer where all have one waiting', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 3 });
    for (const name of ['a', 'b', 'c', 'd']) asked.ask(name);
    await setImmediate();

    assert.deepEqual(asked.refused, ['d']);
  });

  test('refuses the newcomer where callers do not take turns', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 3, isFair: false });
    asked.askMany('a', 3);
    asked.ask('bob');
    await setImmediate();

    assert.deepEqual(asked.refused, ['bob']);
  });

  test('has room for a high priority, and keeps some for a low one', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 10 });
    asked.askMany('n', 10);
    asked.ask('high', { priority: 'high' });
    asked.ask('low', { priority: 'low' });
    await setImmediate();

    assert.deepEqual(asked.refused, ['n10', 'n9']);
  });

  test('holds nobody at all where it has no room', async () => {
    const { asked } = await aBusyService({ queueDepthMax: 0 });
    asked.ask('bob', { priority: 'high' });
    await setImmediate();

    assert.deepEqual(asked.refused, ['bob']);
  });

  test('leaves nothing behind of those who had to go', async () => {
    const { asked, clock, service } = await aBusyService({ queueDepthMax: 2 });
    asked.askMany('greedy', 2);
    asked.ask('bob');
    await asked.serve(3);

    assert.equal(service.view().queue.depth, 0);
    assert.equal(clock.alarms, 0);
    assert.equal(service.view().permits.inUse, 0);
  });
});

/** A service of one instance that has answered a hundred calls, each within so long, and now works on one more. */
async function aKnownService(durationMs: number, policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  await learn(
    at,
    Array.from({ length: 100 }, () => durationMs),
  );
  const asked = new Asked(at);
  asked.ask('first');
  await setImmediate();
  asked.permits[0]?.begin();
  return { ...at, asked };
}

describe('who would wait in vain', () => {
  test('is refused at once, and told when the wait will be bearable', async () => {
    const { asked, clock } = await aKnownService(1_000, { queueWaitMsMax: 60_000 });
    asked.askMany('a', 20, { remainingMs: 60_000 });
    asked.ask('a-late', { callerId: 'a', remainingMs: 10_000 });
    await setImmediate();

    const [error] = asked.errors;
    assert.deepEqual(asked.refused, ['a-late']);
    assert.equal(error?.code, 'QUEUE_TIMEOUT');
    assert.equal(error.status, 503);
    assert.match(error.detail, /^The wait would be about 21 s, longer than this request may take\.$/);
    // 21 s of work come first, and 9.1 are bearable: its own answer takes 0.9 at least.
    assert.equal(Math.round(error.retryAfterMs ?? 0), 11_900);
    clock.advance(11_900 - 900);
    await asked.serve(12); // as long as the wait was to take
    asked.ask('a-again', { callerId: 'a', remainingMs: 10_000 });
    await setImmediate();
    assert.equal(asked.refused.length, 1);
  });

  test('is refused when the queue’s own bound is too short, too', async () => {
    const { asked } = await aKnownService(1_000);
    asked.askMany('a', 10, { remainingMs: Infinity });
    await setImmediate();

    assert.deepEqual(asked.refused, ['a6', 'a7', 'a8', 'a9', 'a10']);
  });

  test('is refused though nobody waits, where what is in hand takes longer', async () => {
    const { asked, clock } = await aKnownService(20_000, { queueWaitMsMax: 30_000 });
    asked.ask('hasty', { remainingMs: 10_000 });
    asked.ask('patient', { remainingMs: 60_000 });
    await setImmediate();
    assert.deepEqual(asked.refused, ['hasty']);

    clock.advance(15_000);
    asked.ask('later', { callerId: 'patient', priority: 'high', remainingMs: 30_000 });
    await setImmediate();

    assert.deepEqual(asked.refused, ['hasty']);
  });

  test('is not told by what an instance out of rotation still works on', async () => {
    const at = aService();
    await learn(
      at,
      Array.from({ length: 100 }, () => 1_000),
    );
    const old = await at.take();
    at.clock.advance(900);
    await at.take();
    at.service.command(old.instance.id, 'drain');
    const asked = new Asked(at);
    asked.ask('hasty', { remainingMs: 1_200 });
    await setImmediate();

    assert.deepEqual(asked.refused, ['hasty']);
  });

  test('counts the time of its own answer', async () => {
    const { asked } = await aKnownService(3_000, { queueWaitMsMax: 10_000 });
    asked.ask('tight', { remainingMs: 5_000 });
    asked.ask('enough', { remainingMs: 6_000 });
    await setImmediate();

    assert.deepEqual(asked.refused, ['tight']);
  });

  test('is not one whose turn comes soon, however many of another wait', async () => {
    const { asked } = await aKnownService(1_000, { queueDepthMax: 20_000, queueWaitMsMax: 3_600_000 });
    asked.askMany('greedy', 1_000, { remainingMs: Infinity });
    asked.ask('bob', { remainingMs: 5_000 });
    asked.ask('greedy-too', { callerId: 'greedy', remainingMs: 5_000 });
    asked.ask('carol', { remainingMs: 5_000, priority: 'high' });
    await setImmediate();

    assert.deepEqual(asked.refused, ['greedy-too']);
  });

  test('shares the places of all instances in rotation', async () => {
    const at = aService({ entries: [anEntry('a'), anEntry('b'), anEntry('c', { concurrency: 2 })] });
    await learn(
      at,
      Array.from({ length: 100 }, () => 1_000),
    );
    const asked = new Asked(at);
    asked.askMany('a', 4 + 20, { remainingMs: Infinity });
    await setImmediate();
    assert.deepEqual(asked.refused, []);

    at.service.command('c', 'eject');
    asked.ask('b', { remainingMs: Infinity });
    asked.ask('a25', { remainingMs: Infinity });
    await setImmediate();

    assert.deepEqual(asked.refused, ['a25']); // those who wait already stay
  });

  test('is nobody while too little is known', async () => {
    const at = aService({ entries: ONE });
    await learn(at, [4_000, 4_000, 4_000, 4_000]);
    const asked = new Asked(at);
    asked.askMany('a', 50, { remainingMs: 1_000 });
    await setImmediate();

    assert.deepEqual(asked.refused, []);
  });

  test('is nobody after one slow call', async () => {
    const at = aService({ entries: ONE });
    await learn(at, [...Array.from({ length: 50 }, () => 3), 60_000]);
    const asked = new Asked(at);
    asked.askMany('a', 50, { remainingMs: 1_000 });
    await setImmediate();

    assert.deepEqual(asked.refused, []);
  });

  test('is nobody behind a few calls of which all may be fast', async () => {
    const at = aService({ entries: ONE });
    const mixed = Array.from({ length: 200 }, (_, i) => (i % 10 === 0 ? 300 : 3));
    await learn(at, mixed);
    const asked = new Asked(at);
    asked.askMany('a', 9, { remainingMs: 150 });
    await setImmediate();
    assert.equal(asked.refused.length, 0);

    asked.askMany('b', 200, { remainingMs: 10_000 });
    asked.ask('b', { remainingMs: 300 });
    await setImmediate();
    assert.equal(asked.refused.at(-1), 'b');
  });

  test('is nobody while an instance is free', async () => {
    const at = aService();
    await learn(
      at,
      Array.from({ length: 100 }, () => 20_000),
    );

    await at.take({ remainingMs: 1 });
  });

  test('is learned from R that computes for callers who left, and not from what was never sent', async () => {
    const at = aService({ entries: ONE });
    for (let i = 0; i < 20; i++) {
      const permit = await at.take();
      if (i % 2 === 0) permit.begin();
      permit.abandon();
      if (i % 2 === 0) at.clock.advance(8_000);
      permit.release();
    }
    const asked = new Asked(at);
    asked.ask('first');
    asked.ask('second', { remainingMs: 4_000 });
    await setImmediate();

    assert.deepEqual(asked.refused, ['second']);
  });
});
