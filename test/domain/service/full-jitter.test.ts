import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullJitterDelayMs } from '../../../gateway/domain/service/full-jitter.ts';
import { seeded } from '../../support/builders.ts';

test('a retry waits anything from nothing up to a limit that doubles, but not for ever', () => {
  const random = seeded(3);
  const longest = [1, 2, 3, 4, 5, 50].map(retry =>
    Math.max(...Array.from({ length: 5_000 }, () => fullJitterDelayMs(retry, random))),
  );
  const shortest = Math.min(...Array.from({ length: 5_000 }, () => fullJitterDelayMs(1, random)));

  assert.deepEqual(longest, [25, 50, 100, 200, 250, 250]);
  assert.equal(shortest, 0);
});
