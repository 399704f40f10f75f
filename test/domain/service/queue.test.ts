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

/** What became of the calls, by name. */
class Acquiring {
  readonly #at: Pick<ServiceAtWork, 'acquire' | 'clock'>;
  readonly served: string[] = [];
  readonly refused: string[] = [];
  readonly errors: GatewayError[] = [];
  readonly permits: Permit[] = [];

  constructor(at: Pick<ServiceAtWork, 'acquire' | 'clock'>) {
    this.#at = at;
  }

  acquire(
    name: string,
    { remainingMs = 30_000, ...traits }: RequestTraits & { readonly remainingMs?: number } = {},
  ): void {
    const acquiring = this.#at.acquire({
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
    if (!acquiring.waits) assert.equal(acquiring.queued, undefined);
  }

  acquireMany(caller: string, count: number, traits: Parameters<Acquiring['acquire']>[1] = {}): void {
    for (let i = 1; i <= count; i++) this.acquire(`${caller}${i}`, traits);
  }

  /** Lets so many be served, one after the other. */
  serve(count: number): void {
    for (let i = 0; i < count; i++) this.permits.shift()?.release();
  }
}

function aBusyService(policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  const acquiring = new Acquiring(at);
  acquiring.acquire('first');
  return { ...at, acquiring };
}

describe('callers who wait', () => {
  test('are served as they came where the service is not fair', () => {
    const { acquiring } = aBusyService({ isFair: false });
    acquiring.acquireMany('greedy', 3);
    acquiring.acquire('bob');

    acquiring.serve(4);

    assert.deepEqual(acquiring.served, ['first', 'greedy1', 'greedy2', 'greedy3', 'bob']);
  });

  test('take turns across the services that share an instance, too', () => {
    const permits = new PermitRegistry();
    const clock = manualClock();
    const shared = { origin: 'http://r.test:8000' };
    const fuel = aService({ permits, clock, entries: [anEntry('a', shared)], policy: { queueDepthMax: 20_000 } });
    const iris = aService({ permits, clock, name: 'iris', entries: [anEntry('x', shared)] });
    const acquiring = new Acquiring(fuel);
    acquiring.acquireMany('greedy', 1_000);
    const other = new Acquiring(iris);
    other.acquire('bob');

    acquiring.serve(2);

    assert.deepEqual([acquiring.served, other.served], [['greedy1', 'greedy2'], ['bob']]);
  });

  test('keep their turns when the policy changes under them', () => {
    const { acquiring, service } = aBusyService();
    acquiring.acquireMany('a', 2);
    acquiring.acquire('b1');
    service.adopt(aServicePolicy({ isFair: false }));
    acquiring.acquireMany('c', 2);
    acquiring.acquire('b2');

    acquiring.serve(6);

    assert.deepEqual(acquiring.served, ['first', 'a1', 'b1', 'c1', 'a2', 'c2', 'b2']);
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
    const [others, acquiring] = [new Acquiring(iris), new Acquiring(fuel)];
    others.acquire('bob');
    acquiring.acquire('again', { tried: [atOwn.instance] });

    atShared.release();

    assert.deepEqual([acquiring.served, others.served], [['again'], []]);
  });
});

describe('a full queue', () => {
  test('has room for one of whom fewer wait: the greediest caller’s newest goes', () => {
    const { acquiring, service } = aBusyService({ queueDepthMax: 10 });
    acquiring.acquireMany('greedy', 12);
    acquiring.acquire('bob');

    assert.deepEqual(acquiring.refused, ['greedy11', 'greedy12', 'greedy10']);
    assert.ok(acquiring.errors.every(({ code, retryAfterMs }) => code === 'QUEUE_FULL' && retryAfterMs === 5_000));
    assert.equal(service.view().queue.depth, 10);
    acquiring.serve(2);
    assert.deepEqual(acquiring.served, ['first', 'greedy1', 'bob']);
  });
});

/** A service of one instance that has answered a hundred calls, each within so long, and now works on one more. */
function aKnownService(durationMs: number, policy: PolicyTraits = {}) {
  const at = aService({ entries: ONE, policy });
  at.warmUp(Array.from({ length: 100 }, () => durationMs));
  const acquiring = new Acquiring(at);
  acquiring.acquire('first');
  acquiring.permits[0]?.begin();
  return { ...at, acquiring };
}

describe('a call that would wait in vain', () => {
  test('is refused at once, and told when the wait will be bearable', () => {
    const { acquiring, clock } = aKnownService(1_000, { queueWaitMsMax: 60_000 });
    acquiring.acquireMany('a', 20, { remainingMs: 60_000 });
    acquiring.acquire('a-late', { callerId: 'a', remainingMs: 10_000 });

    const [error] = acquiring.errors;
    assert.deepEqual(acquiring.refused, ['a-late']);
    assert.equal(error?.code, 'QUEUE_TIMEOUT');
    assert.equal(error.status, 503);
    assert.match(error.detail, /^The wait would be about 21 s, longer than this request may take\.$/);
    // 21 s of work come first, and 9.1 are bearable: its own answer takes 0.9 at least.
    assert.equal(Math.round(error.retryAfterMs ?? 0), 11_900);
    clock.advance(11_900 - 900);
    acquiring.serve(12); // as long as the wait was to take
    acquiring.acquire('a-again', { callerId: 'a', remainingMs: 10_000 });
    assert.equal(acquiring.refused.length, 1);
  });

  test('is refused when the queue’s own bound is too short, too', () => {
    const { acquiring } = aKnownService(1_000);
    acquiring.acquireMany('a', 10, { remainingMs: Infinity });

    assert.deepEqual(acquiring.refused, ['a6', 'a7', 'a8', 'a9', 'a10']);
  });

  test('is refused though no call waits, where what is in hand takes longer', () => {
    const { acquiring, clock } = aKnownService(20_000, { queueWaitMsMax: 30_000 });
    acquiring.acquire('hasty', { remainingMs: 10_000 });
    acquiring.acquire('patient', { remainingMs: 60_000 });
    assert.deepEqual(acquiring.refused, ['hasty']);

    clock.advance(15_000);
    acquiring.acquire('later', { callerId: 'patient', priority: 'high', remainingMs: 30_000 });

    assert.deepEqual(acquiring.refused, ['hasty']);
  });

  test('is not told by what an instance out of rotation still works on', () => {
    const at = aService();
    at.warmUp(Array.from({ length: 100 }, () => 1_000));
    const old = at.take();
    at.clock.advance(900);
    at.take();
    at.service.command(old.instance.id, 'drain');
    const acquiring = new Acquiring(at);
    acquiring.acquire('hasty', { remainingMs: 1_200 });

    assert.deepEqual(acquiring.refused, ['hasty']);
  });

  test('counts the time of its own answer', () => {
    const { acquiring } = aKnownService(3_000, { queueWaitMsMax: 10_000 });
    acquiring.acquire('tight', { remainingMs: 5_000 });
    acquiring.acquire('enough', { remainingMs: 6_000 });

    assert.deepEqual(acquiring.refused, ['tight']);
  });

  test('is none whose turn comes soon, however many of another wait', () => {
    const { acquiring } = aKnownService(1_000, { queueDepthMax: 20_000, queueWaitMsMax: 3_600_000 });
    acquiring.acquireMany('greedy', 1_000, { remainingMs: Infinity });
    acquiring.acquire('bob', { remainingMs: 5_000 });
    acquiring.acquire('greedy-too', { callerId: 'greedy', remainingMs: 5_000 });
    acquiring.acquire('carol', { remainingMs: 5_000, priority: 'high' });

    assert.deepEqual(acquiring.refused, ['greedy-too']);
  });

  test('shares the places of all instances in rotation', () => {
    const at = aService({ entries: [anEntry('a'), anEntry('b'), anEntry('c', { concurrency: 2 })] });
    at.warmUp(Array.from({ length: 100 }, () => 1_000));
    const acquiring = new Acquiring(at);
    acquiring.acquireMany('a', 4 + 20, { remainingMs: Infinity });
    assert.deepEqual(acquiring.refused, []);

    at.service.command('c', 'eject');
    acquiring.acquire('b', { remainingMs: Infinity });
    acquiring.acquire('a25', { remainingMs: Infinity });

    assert.deepEqual(acquiring.refused, ['a25']); // those that wait already stay
  });

  test('is none while too little is known', () => {
    const at = aService({ entries: ONE });
    at.warmUp([4_000, 4_000, 4_000, 4_000]);
    const acquiring = new Acquiring(at);
    acquiring.acquireMany('a', 50, { remainingMs: 1_000 });

    assert.deepEqual(acquiring.refused, []);
  });

  test('is none behind a few calls of which all may be fast', () => {
    const at = aService({ entries: ONE });
    const mixed = Array.from({ length: 200 }, (_, i) => (i % 10 === 0 ? 300 : 3));
    at.warmUp(mixed);
    const acquiring = new Acquiring(at);
    acquiring.acquireMany('a', 9, { remainingMs: 150 });
    assert.equal(acquiring.refused.length, 0);

    acquiring.acquireMany('b', 200, { remainingMs: 10_000 });
    acquiring.acquire('b', { remainingMs: 300 });
    assert.equal(acquiring.refused.at(-1), 'b');
  });

  test('is none while an instance is free', () => {
    const at = aService();
    at.warmUp(Array.from({ length: 100 }, () => 20_000));

    assert.ok(at.acquire({ usefulUntilMs: at.clock.nowMs() + 1 }).permit);
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
    const acquiring = new Acquiring(at);
    acquiring.acquire('first');
    acquiring.acquire('second', { remainingMs: 4_000 });

    assert.deepEqual(acquiring.refused, ['second']);
  });
});
