import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { halfJitterDelayMs } from '../../gateway/domain/half-jitter.ts';

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
