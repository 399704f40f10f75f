import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anEntry, aService } from '../../support/service-at-work.ts';

const IDS = ['a', 'b', 'c'];
const KEYS = Array.from({ length: 60 }, (_, i) => `caller-${i}`);

/** Three instances, each with affinities of its own. */
function aStrict(strict = true) {
  const balance = { policy: 'hash', by: { kind: 'caller' }, strict } as const;
  const at = aService({ entries: IDS.map(id => anEntry(id)), policy: { balance } });
  const owners = new Map<string, string>();
  for (const affinity of KEYS) {
    const permit = at.take({ affinity });
    owners.set(affinity, permit.instance.id);
    permit.release();
  }
  const ownedBy = (id: string) => KEYS.filter(key => owners.get(key) === id);
  return { ...at, owners, ownedBy };
}

describe('a strict hash', () => {
  test('lets a call wait for its own instance while others are free', () => {
    const { take, acquire, ownedBy } = aStrict();
    const [first, second] = ownedBy('a');
    const permit = take({ affinity: first ?? '' });

    const waiting = acquire({ affinity: second ?? '' });
    assert.equal(waiting.waits, true);
    permit.release();

    assert.equal(waiting.at, 'a');
  });

  test('goes to one that is free where it is not strict', () => {
    const { take, acquire, ownedBy } = aStrict(false);
    const [first, second] = ownedBy('a');
    take({ affinity: first ?? '' });

    assert.notEqual(acquire({ affinity: second ?? '' }).at, 'a');
  });

  test('lets no call of one instance hold up those of another, of the same caller too', () => {
    const { take, acquire, ownedBy } = aStrict();
    const held = IDS.map(id => take({ affinity: ownedBy(id)[0] ?? '' }));
    const forA = acquire({ affinity: ownedBy('a')[1] ?? '' });
    const forB = acquire({ affinity: ownedBy('b')[1] ?? '' });

    held[1]?.release();

    assert.deepEqual([forA.waits, forB.at], [true, 'b']);
  });

  test('sends calls on to the next when their own instance goes out of rotation, and back when it returns', () => {
    const { take, acquire, ownedBy, service } = aStrict();
    const [first = '', second = ''] = ownedBy('a');
    take({ affinity: first });
    const waiting = acquire({ affinity: second });

    service.command('a', 'drain');

    assert.ok(waiting.permit !== undefined && waiting.at !== 'a');
    const { at: substitute } = waiting;
    waiting.permit.release();
    assert.equal(take({ affinity: second }).instance.id, substitute);
    service.command('a', 'readmit');
    assert.equal(acquire({ affinity: first }).waits, true);
  });

  test('sends a retry to the next, since its own instance has failed it', () => {
    const { take, ownedBy } = aStrict();
    const affinity = ownedBy('a')[0] ?? '';
    const permit = take({ affinity });
    permit.release();

    assert.notEqual(take({ affinity, tried: [permit.instance] }).instance.id, 'a');
  });

  test('keeps calls without an affinity from no instance', () => {
    const { take } = aStrict();

    assert.deepEqual(new Set([take(), take(), take()].map(({ instance }) => instance.id)), new Set(IDS));
  });

  test('keeps streams with their own instance, and refuses them where it has no room', () => {
    const { service, ownedBy } = aStrict();
    const affinity = ownedBy('b')[0] ?? '';

    for (let i = 0; i < 64; i++) {
      assert.equal(service.acquireStream({ affinity, callerId: 'alice' }).instance.id, 'b');
    }
    assert.throws(() => service.acquireStream({ affinity, callerId: 'alice' }), { code: 'SERVICE_UNAVAILABLE' });
  });

  test('refuses no call early for the calls that wait for other instances', () => {
    const { warmUp, take, acquire, ownedBy, clock } = aStrict();
    warmUp(Array.from({ length: 50 }, () => 1_000));
    for (const id of IDS) take({ affinity: ownedBy(id)[0] ?? '' });
    for (let i = 0; i < 50; i++) acquire({ affinity: ownedBy('a')[0] ?? '' });

    assert.equal(acquire({ affinity: ownedBy('b')[1] ?? '', usefulUntilMs: clock.nowMs() + 3_000 }).waits, true);
  });
});
