import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from '../../../gateway/domain/service/tally.ts';
import { seeded } from '../../support/builders.ts';

test('a tally’s sums are those of its counts, however they were added (seeded)', () => {
  const random = seeded(9);
  const tally = new Tally();
  const counts: number[] = [];

  for (let i = 0; i < 2_000; i++) {
    const index = 1 + random.below(1 + random.below(200));
    const change = random.below(5) - 2;
    counts[index] = (counts[index] ?? 0) + change;
    tally.add(index, change);
    const upTo = random.below(250);
    const sum = counts.slice(0, upTo + 1).reduce((total, count) => total + count, 0);
    assert.equal(tally.sumTo(upTo), sum);
  }
});
