import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RetryBudget } from '../../../gateway/domain/service/retry.ts';
import { manualClock } from '../../support/manual-clock.ts';

/** How many retries are granted in a row. */
function granted(budget: RetryBudget, percent: number): number {
  let count = 0;
  while (count < 10_000 && budget.tryRetry(percent)) count += 1;
  return count;
}

describe('the retry budget', () => {
  test('is never under ten a second, over ten seconds', () => {
    const budget = new RetryBudget(manualClock());

    assert.equal(granted(budget, 20), 100);
  });

  test('is a share of the requests where those are many', () => {
    const budget = new RetryBudget(manualClock());
    for (let i = 0; i < 5_000; i++) budget.request();

    assert.equal(granted(budget, 20), 1_000);
  });

  test('forgets what is older than its window', () => {
    const clock = manualClock();
    const budget = new RetryBudget(clock);
    for (let i = 0; i < 5_000; i++) budget.request();
    assert.equal(granted(budget, 20), 1_000);

    clock.advance(9_000);
    assert.equal(granted(budget, 20), 0);
    clock.advance(1_000);

    assert.equal(granted(budget, 20), 100);
  });

  test('comes back after a long silence as if it were new', () => {
    const clock = manualClock();
    const budget = new RetryBudget(clock);
    granted(budget, 20);

    clock.advance(3_600_000);

    assert.equal(granted(budget, 20), 100);
  });
});
