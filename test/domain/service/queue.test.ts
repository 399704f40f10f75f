import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GatewayError } from '../../../gateway/domain/errors.ts';
import type { Permit } from '../../../gateway/domain/service.ts';
import { PermitRegistry } from '../../../gateway/domain/service/permits.ts';
import { manualClock } from '../../support/manual-clock.ts';
import {
  anEntry,
  aService,
  aServicePolicy,
  type PolicyTraits,
  type RequestTraits,
  type ServiceAtWork,
} from '../../support/service-at-work.ts';

const ONE = [anEntry('a')];

/** What became of those that asked, by name. */
class Asked {
  readonly #at: Pick<ServiceAtWork, 'ask' | 'clock'>;
  readonly served: string[] = [];
  readonly refused: string[] = [];
  readonly errors: GatewayError[] = [];
  readonly permits: Permit[] = [];

  constructor(at: Pick<ServiceAtWork, 'ask' | 'clock'>) {
    this.#at = at;
  }

  ask(name: string, { remainingMs = 30_000, ...traits }: RequestTraits & { readonly remainingMs?: number } = {}): void {
    const asked = this.#at.ask({
      callerId: name.replace(/\d+$/, ''),
      usefulUntilMs: this.#at.clock.nowMs() + remainingMs,
      ...traits,
      onPermit: permit => {
        this.served.push(name);
        this.permits.push(permit);
      },
      onRefused: failure => {
        this.refused.push(name);
        this.errors.push(failure);
      },
    });
    if (!asked.waits) assert.equal(asked.queued, undefined);
  }

  askMany(caller: string, count: number, traits: Parameters<Asked['ask']>[1] = {}): void {
    for (let i = 1; i <= count; i++) this.ask(`${caller}${i}`, traits);
  }

  /** Lets so many be served, one after the other. */
  serve(count: number): void {
    for (let i = 0; i < count; i++) this.permits.shift()?.release();
  }
}

function aBusyService(policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  const asked = new Asked(at);
  asked.ask('first');
  return { ...at, asked };
}

describe('callers who wait', () => {
  test('take turns: one with ten thousand waiting delays another by one turn', () => {
    const { asked } = aBusyService({ queueDepthMax: 20_000 });
    asked.askMany('greedy', 10_000);
    asked.ask('bob');

    asked.serve(3);

    assert.deepEqual(asked.served, ['first', 'greedy1', 'bob', 'greedy2']);
  });

  test('are served as they came where the service is not fair', () => {
    const { asked } = aBusyService({ isFair: false });
    asked.askMany('greedy', 3);
    asked.ask('bob');

    asked.serve(4);

    assert.deepEqual(asked.served, ['first', 'greedy1', 'greedy2', 'greedy3', 'bob']);
  });

  test('of a high priority come first, and those of a low one in the end', () => {
    const { asked } = aBusyService();
    asked.askMany('l', 1, { priority: 'low' });
    asked.askMany('n', 2);
    asked.askMany('h', 2, { priority: 'high' });

    asked.serve(5);

    assert.deepEqual(asked.served, ['first', 'h1', 'h2', 'n1', 'n2', 'l1']);
  });

  test('take turns across the services that share an instance, too', () => {
    const permits = new PermitRegistry();
    const clock = manualClock();
    const shared = { origin: 'http://r.test:8000' };
    const fuel = aService({ permits, clock, entries: [anEntry('a', shared)], policy: { queueDepthMax: 20_000 } });
    const iris = aService({ permits, clock, name: 'iris', entries: [anEntry('x', shared)] });
    const asked = new Asked(fuel);
    asked.askMany('greedy', 1_000);
    const other = new Asked(iris);
    other.ask('bob');

    asked.serve(2);

    assert.deepEqual([asked.served, other.served], [['greedy1', 'greedy2'], ['bob']]);
  });

  test('keep their turns when the policy changes under them', () => {
    const { asked, service } = aBusyService();
    asked.askMany('a', 2);
    asked.ask('b1');
    service.adopt(aServicePolicy({ isFair: false }));
    asked.askMany('c', 2);
    asked.ask('b2');

    asked.serve(6);

    assert.deepEqual(asked.served, ['first', 'a1', 'b1', 'c1', 'a2', 'c2', 'b2']);
  });

  test('come before the others when an instance failed them', () => {
    const at = aService();
    const [one, other] = [at.take(), at.take()];
    const asked = new Asked(at);
    asked.askMany('a', 2);
    asked.ask('again', { tried: [one.instance] });

    one.release();
    assert.deepEqual(asked.served, ['a1']); // it waits for the other, and holds nobody up
    other.release();

    assert.deepEqual(asked.served, ['a1', 'again']);
  });
});

describe('callers of services that share an instance', () => {
  test('come before the others’ when an instance failed them', () => {
    const permits = new PermitRegistry();
    const shared = { origin: 'http://r.test:8000' };
    const fuel = aService({ permits, entries: [anEntry('a', shared), anEntry('b')] });
    const iris = aService({ permits, name: 'iris', entries: [anEntry('x', shared)] });
    const taken = [fuel.take(), fuel.take()];
    const [atShared, atOwn] = taken.sort((one, other) => (one.instance.id < other.instance.id ? -1 : 1));
    assert.ok(atShared !== undefined && atOwn !== undefined);
    const [others, asked] = [new Asked(iris), new Asked(fuel)];
    others.ask('bob');
    asked.ask('again', { tried: [atOwn.instance] });

    atShared.release();

    assert.deepEqual([asked.served, others.served], [['again'], []]);
  });
});

describe('a full queue', () => {
  test('has room for one of whom fewer wait: the greediest caller’s newest goes', () => {
    const { asked, service } = aBusyService({ queueDepthMax: 10 });
    asked.askMany('greedy', 12);
    asked.ask('bob');

    assert.deepEqual(asked.refused, ['greedy11', 'greedy12', 'greedy10']);
    assert.ok(asked.errors.every(({ code, retryAfterMs }) => code === 'QUEUE_FULL' && retryAfterMs === 5_000));
    assert.equal(service.view().queue.depth, 10);
    asked.serve(2);
    assert.deepEqual(asked.served, ['first', 'greedy1', 'bob']);
  });

  test('is shared evenly by those who fill it, however they come', () => {
    const { asked } = aBusyService({ queueDepthMax: 12 });
    asked.askMany('a', 30);
    asked.askMany('b', 30);
    asked.askMany('c', 30);

    asked.serve(12);

    const counts = ['a', 'b', 'c'].map(name => asked.served.filter(served => served.startsWith(name)).length);
    assert.deepEqual(counts, [4, 4, 4]);
  });

  test('refuses the newcomer where all have one waiting', () => {
    const { asked } = aBusyService({ queueDepthMax: 3 });
    for (const name of ['a', 'b', 'c', 'd']) asked.ask(name);

    assert.deepEqual(asked.refused, ['d']);
  });

  test('refuses the newcomer where callers do not take turns', () => {
    const { asked } = aBusyService({ queueDepthMax: 3, isFair: false });
    asked.askMany('a', 3);
    asked.ask('bob');

    assert.deepEqual(asked.refused, ['bob']);
  });

  test('has room for a high priority, and keeps some for a low one', () => {
    const { asked } = aBusyService({ queueDepthMax: 10 });
    asked.askMany('n', 10);
    asked.ask('high', { priority: 'high' });
    asked.ask('low', { priority: 'low' });

    assert.deepEqual(asked.refused, ['n10', 'n9']);
  });

  test('holds nobody at all where it has no room', () => {
    const { asked } = aBusyService({ queueDepthMax: 0 });
    asked.ask('bob', { priority: 'high' });

    assert.deepEqual(asked.refused, ['bob']);
  });

  test('leaves nothing behind of those who had to go', () => {
    const { asked, deadlines, service } = aBusyService({ queueDepthMax: 2 });
    asked.askMany('greedy', 2);
    asked.ask('bob');
    asked.serve(3);

    assert.equal(service.view().queue.depth, 0);
    assert.equal(deadlines.size, 0);
    assert.equal(service.view().permits.inUse, 0);
  });
});

/** A service of one instance that has answered a hundred calls, each within so long, and now works on one more. */
function aKnownService(durationMs: number, policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  at.learn(Array.from({ length: 100 }, () => durationMs));
  const asked = new Asked(at);
  asked.ask('first');
  asked.permits[0]?.begin();
  return { ...at, asked };
}

describe('who would wait in vain', () => {
  test('is refused at once, and told when the wait will be bearable', () => {
    const { asked, clock } = aKnownService(1_000, { queueWaitMsMax: 60_000 });
    asked.askMany('a', 20, { remainingMs: 60_000 });
    asked.ask('a-late', { callerId: 'a', remainingMs: 10_000 });

    const [error] = asked.errors;
    assert.deepEqual(asked.refused, ['a-late']);
    assert.equal(error?.code, 'QUEUE_TIMEOUT');
    assert.equal(error.status, 503);
    assert.match(error.detail, /^The wait would be about 21 s, longer than this request may take\.$/);
    // 21 s of work come first, and 9.1 are bearable: its own answer takes 0.9 at least.
    assert.equal(Math.round(error.retryAfterMs ?? 0), 11_900);
    clock.advance(11_900 - 900);
    asked.serve(12); // as long as the wait was to take
    asked.ask('a-again', { callerId: 'a', remainingMs: 10_000 });
    assert.equal(asked.refused.length, 1);
  });

  test('is refused when the queue’s own bound is too short, too', () => {
    const { asked } = aKnownService(1_000);
    asked.askMany('a', 10, { remainingMs: Infinity });

    assert.deepEqual(asked.refused, ['a6', 'a7', 'a8', 'a9', 'a10']);
  });

  test('is refused though nobody waits, where what is in hand takes longer', () => {
    const { asked, clock } = aKnownService(20_000, { queueWaitMsMax: 30_000 });
    asked.ask('hasty', { remainingMs: 10_000 });
    asked.ask('patient', { remainingMs: 60_000 });
    assert.deepEqual(asked.refused, ['hasty']);

    clock.advance(15_000);
    asked.ask('later', { callerId: 'patient', priority: 'high', remainingMs: 30_000 });

    assert.deepEqual(asked.refused, ['hasty']);
  });

  test('is not told by what an instance out of rotation still works on', () => {
    const at = aService();
    at.learn(Array.from({ length: 100 }, () => 1_000));
    const old = at.take();
    at.clock.advance(900);
    at.take();
    at.service.command(old.instance.id, 'drain');
    const asked = new Asked(at);
    asked.ask('hasty', { remainingMs: 1_200 });

    assert.deepEqual(asked.refused, ['hasty']);
  });

  test('counts the time of its own answer', () => {
    const { asked } = aKnownService(3_000, { queueWaitMsMax: 10_000 });
    asked.ask('tight', { remainingMs: 5_000 });
    asked.ask('enough', { remainingMs: 6_000 });

    assert.deepEqual(asked.refused, ['tight']);
  });

  test('is not one whose turn comes soon, however many of another wait', () => {
    const { asked } = aKnownService(1_000, { queueDepthMax: 20_000, queueWaitMsMax: 3_600_000 });
    asked.askMany('greedy', 1_000, { remainingMs: Infinity });
    asked.ask('bob', { remainingMs: 5_000 });
    asked.ask('greedy-too', { callerId: 'greedy', remainingMs: 5_000 });
    asked.ask('carol', { remainingMs: 5_000, priority: 'high' });

    assert.deepEqual(asked.refused, ['greedy-too']);
  });

  test('shares the places of all instances in rotation', () => {
    const at = aService({ entries: [anEntry('a'), anEntry('b'), anEntry('c', { concurrency: 2 })] });
    at.learn(Array.from({ length: 100 }, () => 1_000));
    const asked = new Asked(at);
    asked.askMany('a', 4 + 20, { remainingMs: Infinity });
    assert.deepEqual(asked.refused, []);

    at.service.command('c', 'eject');
    asked.ask('b', { remainingMs: Infinity });
    asked.ask('a25', { remainingMs: Infinity });

    assert.deepEqual(asked.refused, ['a25']); // those who wait already stay
  });

  test('is nobody while too little is known', () => {
    const at = aService({ entries: ONE });
    at.learn([4_000, 4_000, 4_000, 4_000]);
    const asked = new Asked(at);
    asked.askMany('a', 50, { remainingMs: 1_000 });

    assert.deepEqual(asked.refused, []);
  });

  test('is nobody after one slow call', () => {
    const at = aService({ entries: ONE });
    at.learn([...Array.from({ length: 50 }, () => 3), 60_000]);
    const asked = new Asked(at);
    asked.askMany('a', 50, { remainingMs: 1_000 });

    assert.deepEqual(asked.refused, []);
  });

  test('is nobody behind a few calls of which all may be fast', () => {
    const at = aService({ entries: ONE });
    const mixed = Array.from({ length: 200 }, (_, i) => (i % 10 === 0 ? 300 : 3));
    at.learn(mixed);
    const asked = new Asked(at);
    asked.askMany('a', 9, { remainingMs: 150 });
    assert.equal(asked.refused.length, 0);

    asked.askMany('b', 200, { remainingMs: 10_000 });
    asked.ask('b', { remainingMs: 300 });
    assert.equal(asked.refused.at(-1), 'b');
  });

  test('is nobody while an instance is free', () => {
    const at = aService();
    at.learn(Array.from({ length: 100 }, () => 20_000));

    assert.ok(at.ask({ usefulUntilMs: at.clock.nowMs() + 1 }).permit);
  });

  test('is learned from R that computes for callers who left, and not from what was never sent', () => {
    const at = aService({ entries: ONE });
    for (let i = 0; i < 20; i++) {
      const permit = at.take();
      if (i % 2 === 0) permit.begin();
      permit.abandon();
      if (i % 2 === 0) at.clock.advance(8_000);
      permit.release();
    }
    const asked = new Asked(at);
    asked.ask('first');
    asked.ask('second', { remainingMs: 4_000 });

    assert.deepEqual(asked.refused, ['second']);
  });
});
