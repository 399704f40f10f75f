import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Finding } from '../../../gateway/domain/service.ts';
import {
  anEntry,
  aFinding,
  aService,
  seeded,
  type PolicyTraits,
  type ServiceAtWork,
} from '../../support/service-at-work.ts';

const CALLERS = ['alice', 'bob', 'carol', 'dave'];

/** A service that has sent something to each of these. */
function aServiceOf(ids: readonly string[], policy: PolicyTraits = {}): ServiceAtWork {
  const at = aService({ entries: ids.map(id => anEntry(id)), policy: { concurrency: 64, ...policy } });
  while (at.service.view().instances.some(({ requests }) => requests === 0)) at.take();
  return at;
}

/** So many answers of an instance, for several callers in turn. */
function answer(at: ServiceAtWork, id: string, traits: Partial<Finding> & { readonly times: number }): void {
  const { times, ...finding } = traits;
  for (let i = 0; i < times; i++) at.find(id, { callerId: CALLERS[i % CALLERS.length] ?? '', ...finding });
}

describe('an instance whose share of errors stands out', () => {
  for (const status of [500, 404, 400]) {
    test(`is ejected where its peer does not answer ${status} on the same route`, () => {
      const at = aServiceOf(['a', 'b']);
      answer(at, 'b', { times: 40 });
      answer(at, 'b', { times: 1, status: 500 });

      answer(at, 'a', { times: 2 });
      answer(at, 'a', { times: 40, status });

      assert.equal(at.state('a'), 'ejected');
      assert.match(at.view('a')?.why ?? '', /^errors: 28 of 30 against 1 of 41 of its peers$/);
      assert.equal(at.state('b'), 'in-rotation');
    });
  }

  test('is ejected though its peers have answered little yet', () => {
    const at = aServiceOf(['a', 'b']);
    answer(at, 'b', { times: 3 });

    answer(at, 'a', { times: 30, status: 500 });

    assert.equal(at.state('a'), 'ejected');
  });

  test('is ejected where one of its routes fails alone', () => {
    const at = aServiceOf(['a', 'b', 'c']);
    for (const id of ['b', 'c']) {
      answer(at, id, { times: 40, routeId: 'ok' });
      answer(at, id, { times: 10, routeId: 'broken' });
    }

    answer(at, 'a', { times: 40, routeId: 'ok' });
    answer(at, 'a', { times: 12, routeId: 'broken', status: 500 });

    assert.equal(at.state('a'), 'ejected');
  });

  test('is not readmitted by another error, but by a good answer', () => {
    const at = aServiceOf(['a', 'b']);
    answer(at, 'b', { times: 40 });
    answer(at, 'a', { times: 30, status: 500 });

    for (const callerId of ['alice', 'bob']) at.take({ callerId });
    at.clock.advance(30_000);
    at.find('a', { status: 500, callerId: 'alice' });
    assert.equal(at.state('a'), 'probation');
    at.find('a', { status: 500, callerId: 'alice' });
    assert.equal(at.state('a'), 'probation'); // one caller’s word
    at.find('a', { status: 500, callerId: 'bob' });
    assert.equal(at.state('a'), 'ejected');

    at.clock.advance(60_000);
    at.find('a', { status: 200 });
    assert.equal(at.state('a'), 'in-rotation');
  });

  test('does not come back early because it answers checks', () => {
    const at = aServiceOf(['a', 'b']);
    answer(at, 'b', { times: 40 });
    answer(at, 'a', { times: 30, status: 500 });

    at.service.checked('a', true, '');

    assert.equal(at.state('a'), 'ejected');
  });

  test('is ejected within the bounds of the service, and otherwise shown', () => {
    const at = aServiceOf(['a', 'b'], { outlier: { keepMin: 2 } });
    answer(at, 'b', { times: 40 });

    answer(at, 'a', { times: 30, status: 500 });

    assert.equal(at.state('a'), 'in-rotation');
    assert.match(at.view('a')?.why ?? '', /^errors: 30 of 30 against 0 of 40 of its peers$/);
    assert.equal(at.reported('ejection-withheld').length, 1);
    at.clock.advance(30_000);
    assert.equal(at.view('a')?.why, null);
  });
});

describe('errors eject no instance', () => {
  test('where all instances answer so: they are the caller’s or the model’s', () => {
    const at = aServiceOf(['a', 'b']);
    for (let i = 0; i < 50; i++) {
      answer(at, 'a', { times: 4, status: 500 });
      answer(at, 'b', { times: 4, status: 500 });
    }

    assert.deepEqual([at.state('a'), at.state('b')], ['in-rotation', 'in-rotation']);
    assert.equal(at.view('a')?.why, null);
  });

  test('where an instance merely serves a route that fails everywhere', () => {
    const at = aServiceOf(['a', 'b']);
    answer(at, 'b', { times: 100, routeId: 'ok' });
    answer(at, 'b', { times: 10, routeId: 'broken', status: 500 });

    answer(at, 'a', { times: 100, routeId: 'broken', status: 500 });

    assert.equal(at.state('a'), 'in-rotation');
  });

  test('where they are one caller’s, though others call too', () => {
    const at = aServiceOf(['a', 'b']);
    for (const callerId of ['bob', 'mallory']) at.take({ callerId });
    answer(at, 'b', { times: 100 });
    answer(at, 'a', { times: 20 });

    for (let i = 0; i < 300; i++) at.find('a', { callerId: 'mallory', status: 400 });
    at.find('a', { callerId: 'bob', status: 400 });

    assert.equal(at.state('a'), 'in-rotation');
  });

  test('but a sole caller’s do', () => {
    const at = aServiceOf(['a', 'b']);
    for (let i = 0; i < 40; i++) at.find('b', {});

    for (let i = 0; i < 40; i++) at.find('a', { status: 500 });

    assert.equal(at.state('a'), 'ejected');
  });

  test('where there is one instance alone; but that is shown', () => {
    const at = aServiceOf(['a'], { outlier: { keepMin: 0 } });

    answer(at, 'a', { times: 38, status: 500 });

    assert.equal(at.state('a'), 'in-rotation');
    assert.match(at.view('a')?.why ?? '', /^errors: 3\d of 3\d, and no peer to compare it with$/);
  });

  test('of fewer calls than the policy says, or of long ago', () => {
    const at = aServiceOf(['a', 'b']);
    answer(at, 'b', { times: 100 });
    answer(at, 'a', { times: 29, status: 500 });
    assert.equal(at.state('a'), 'in-rotation');

    at.clock.advance(31_000);
    answer(at, 'b', { times: 100 });
    answer(at, 'a', { times: 29, status: 500 });

    assert.equal(at.state('a'), 'in-rotation');
  });

  test('by chance: of ten thousand windows of equal instances hardly one (seeded)', () => {
    const random = seeded(17);
    const at = aServiceOf(['a', 'b', 'c']);
    for (let window = 0; window < 600; window++) {
      for (let i = 0; i < 150; i++) {
        const status = random.below(100) < 5 ? 500 : 200;
        const callerId = CALLERS[random.below(CALLERS.length)] ?? '';
        at.find(['a', 'b', 'c'][random.below(3)] ?? 'a', { status, callerId });
      }
      at.clock.advance(15_000);
    }

    assert.ok(at.reported('ejected').length <= 6, `${at.reported('ejected').length} ejections`);
  });
});

/** Sixteen callers, each with one call at a time, before two instances of which one fails within a millisecond. */
function errorsOf(calls: number, status: number): number {
  const at = aService();
  let sent = 0;
  let errors = 0;
  const send = (callerId: string) => {
    if (sent++ >= calls) return;
    at.acquire({
      callerId,
      onPermit: permit => {
        const isBad = permit.instance.id === 'a';
        const durationMs = isBad ? 1 : 10;
        permit.begin();
        at.clock.after(durationMs, () => {
          if (isBad) errors += 1;
          at.service.report(permit.instance, aFinding({ callerId, durationMs, permit, status: isBad ? status : 200 }));
          permit.release();
          send(callerId);
        });
      },
    });
  };
  for (let i = 0; i < 16; i++) send(`caller-${i}`);
  at.clock.advance(60_000);
  assert.match(at.reported('ejected')[0]?.reason ?? '', /^errors: /);
  return errors;
}

describe('an instance that fails fast', () => {
  for (const status of [500, 404]) {
    test(`does not swallow the service with ${status}`, () => {
      const errors = errorsOf(1_000, status);

      assert.ok(errors < 60, `${errors} of 1,000 calls`);
    });
  }

  test('is not preferred for being quick', () => {
    const at = aService({ policy: { outlier: { keepMin: 2 } } });
    const ids: string[] = [];
    for (let i = 0; i < 320; i++) {
      const permit = at.take({ callerId: CALLERS[i % 4] ?? '' });
      permit.begin();
      const isBad = permit.instance.id === 'a';
      at.service.report(permit.instance, aFinding({ durationMs: isBad ? 1 : 20, status: isBad ? 500 : 200, permit }));
      permit.release();
      ids.push(permit.instance.id);
    }

    assert.ok(ids.filter(id => id === 'a').length <= 172, ids.join(''));
  });

  test('teaches nothing of how long calls take', () => {
    const at = aService({ entries: [anEntry('a')] });
    at.warmUp(Array.from({ length: 50 }, () => 1_000));
    for (let i = 0; i < 50; i++) {
      const permit = at.take();
      permit.begin();
      at.service.report(permit.instance, aFinding({ status: 422, permit }));
      permit.release();
    }
    at.take();

    const hasty = at.acquire({ usefulUntilMs: at.clock.nowMs() + 500 });

    assert.equal(hasty.failure?.code, 'QUEUE_TIMEOUT');
  });
});
