import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Contestant } from '../../bench/contestants/contestant.ts';
import { examine, median, summarise, type Sample } from '../../bench/summary.ts';
import type { Expectation } from '../../bench/workloads/workload.ts';

function contestant(id: string, kind: Contestant['kind']): Contestant {
  return { id, title: id, kind, setUp: '', start: () => Promise.reject(new Error('never started')) };
}

const direct = contestant('direct', 'direct');
const slowPeer = contestant('slow', 'peer');
const quickPeer = contestant('quick', 'peer');
const own = contestant('own', 'own');

function sample(of: Contestant, figures: Partial<Sample['measurement']> = {}): Sample {
  const measurement = {
    ...{ requests: 100, durationMs: 1000, p50Ms: 1, p99Ms: 2, maxMs: 3, refused: 0, broken: 0 },
    ...{ perSecond: 100, cpuUsPerRequest: undefined, ...figures },
  };
  return { contestant: of, connections: 1, measurement };
}

const expectation: Expectation = { of: 'own', against: 'direct', measure: 'p50Ms', connections: 1, atMost: 1.25 };

describe('the summary of a benchmark', () => {
  test('takes the middle of the rounds, and the mean of the two in the middle', () => {
    assert.equal(median([9, 1, 4]), 4);
    assert.equal(median([4, 1, 9, 2]), 3);
  });

  test('has a row for each contestant, with medians, and all failures of all rounds', () => {
    const rounds = [1, 9, 4].map(p50Ms => sample(own, { p50Ms, refused: 1, broken: 2, cpuUsPerRequest: p50Ms * 10 }));

    const [row, ...others] = summarise(rounds);

    assert.deepEqual([row?.p50Ms, row?.cpuUsPerRequest, row?.failures, row?.rounds], [4, 40, 9, 3]);
    assert.deepEqual(others, []);
  });

  test('meets or misses an expectation by the ratio', () => {
    const rows = (p50Ms: number) => summarise([sample(direct, { p50Ms: 2 }), sample(own, { p50Ms })]);

    assert.deepEqual(examine(rows(2.5), expectation)?.isMet, true);
    assert.deepEqual(examine(rows(2.6), expectation)?.isMet, false);
  });

  test('compares with the best of the other proxies, never with a direct call', () => {
    const rows = summarise([
      sample(direct, { perSecond: 1000 }),
      sample(slowPeer, { perSecond: 100 }),
      sample(quickPeer, { perSecond: 200 }),
      sample(own, { perSecond: 150 }),
    ]);
    const wanted: Expectation = { ...expectation, against: 'best-peer', measure: 'perSecond', atLeast: 0.7 };

    const finding = examine(rows, { ...wanted, atMost: 1 });

    assert.deepEqual([finding?.against, finding?.ratio, finding?.isMet], ['quick', 0.75, true]);
  });

  test('says nothing of an expectation whose contestants were not measured', () => {
    assert.equal(examine(summarise([sample(own)]), expectation), undefined);
  });
});
