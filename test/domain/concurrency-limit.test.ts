import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConcurrencyLimit } from '../../gateway/domain/concurrency-limit.ts';

describe('the permits of what is worked on at once', () => {
  test('hand over: a permit that is given back goes to the one that has waited longest, and none is given once they are closed', async () => {
    const limit = new ConcurrencyLimit(() => 1);
    const patient = new AbortController().signal;
    const impatient = new AbortController();
    assert.equal(await limit.acquire(patient), true);
    const order: string[] = [];
    const waiting = [
      limit.acquire(impatient.signal).then(isAcquired => order.push(`left ${isAcquired}`)),
      limit.acquire(patient).then(isAcquired => order.push(`first ${isAcquired}`)),
      limit.acquire(patient).then(isAcquired => order.push(`second ${isAcquired}`)),
    ];

    impatient.abort();
    limit.release();
    const late = limit.acquire(patient);
    await waiting[1];
    limit.close();

    assert.deepEqual(
      [await Promise.all(waiting).then(() => order), await late],
      [['left false', 'first true', 'second false'], false],
    );
  });

  test('are more once the limit is higher, for those that wait already too', async () => {
    let max = 1;
    const limit = new ConcurrencyLimit(() => max);
    const { signal } = new AbortController();
    await limit.acquire(signal);
    const taken: number[] = [];
    const waiting = [1, 2, 3].map(i => limit.acquire(signal).then(() => taken.push(i)));

    max = 2;
    limit.release();
    await Promise.all(waiting.slice(0, 2));

    assert.deepEqual(taken, [1, 2]);
  });
});
