import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sums } from '../../../gateway/domain/service/sums.ts';
import { seeded } from '../../support/builders.ts';

test('the sums are those of the counts, however they were added (seeded)', () => {
  const random = seeded(9);
  const sums = new Sums();
  const counts: number[] = [];

  for (let i = 0; i < 2_000; i++) {
    const index = 1 + random.below(1 + random.below(200));
    const change = random.below(5) - 2;
    counts[index] = (counts[index] ?? 0) + change;
    sums.add(index, change);
    const upTo = random.below(250);
    const sum = counts.slice(0, upTo + 1).reduce((total, count) => total + count, 0);
    assert.equal(sums.upTo(upTo), sum);
  }
});
