import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fullJitterDelayMs, halfJitterDelayMs } from '../../gateway/domain/back-off.ts';
import { seeded } from '../support/service-at-work.ts';

describe('a jittered delay', () => {
  const bounds = { baseMs: 100, maxMs: 1_000 };

  for (const [failures, leastMs, mostMs] of [
    [1, 50, 100],
    [2, 100, 200],
    [4, 400, 800],
    [5, 500, 1_000],
    [5_000, 500, 1_000],
  ] as const) {
    test(`is from ${leastMs} to ${mostMs} ms after ${failures} failures`, () => {
      assert.equal(halfJitterDelayMs(failures, bounds, { below: () => 0 }), leastMs);
      assert.equal(halfJitterDelayMs(failures, bounds, { below: limit => limit - 1 }), mostMs);
    });
  }
});

test('a retry waits anything from nothing up to a limit that doubles, but not for ever', () => {
  const random = seeded(3);
  const longest = [1, 2, 3, 4, 5, 50].map(retry =>
    Math.max(...Array.from({ length: 5_000 }, () => fullJitterDelayMs(retry, random))),
  );
  const shortest = Math.min(...Array.from({ length: 5_000 }, () => fullJitterDelayMs(1, random)));

  assert.deepEqual(longest, [25, 50, 100, 200, 250, 250]);
  assert.equal(shortest, 0);
});
