import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { examine, median, summarise } from '../../bench/summary.ts';
import type { Expectation } from '../../bench/workloads/workload.ts';
import { aContestant, aSample } from './samples.ts';

const direct = aContestant('direct', 'direct');
const slowPeer = aContestant('slow', 'peer');
const quickPeer = aContestant('quick', 'peer');
const own = aContestant('own', 'own');

const expectation: Expectation = {
  ...{ title: 'One caller: p50', of: 'own', against: 'direct', measure: 'p50Ms', connections: 1, atMost: 1.25 },
};

describe('the summary of a benchmark', () => {
  test('takes the middle of the rounds, and the mean of the two in the middle', () => {
    assert.equal(median([9, 1, 4]), 4);
    assert.equal(median([4, 1, 9, 2]), 3);
  });

  test('has a row for each contestant, with medians, and all failures of all rounds', () => {
    const rounds = [1, 9, 4].map(p50Ms => aSample(own, { p50Ms, refused: 1, broken: 2, cpuUsPerRequest: p50Ms * 10 }));

    const [row, ...others] = summarise(rounds);

    assert.deepEqual([row?.p50Ms, row?.cpuUsPerRequest, row?.failures, row?.rounds], [4, 40, 9, 3]);
    assert.deepEqual(others, []);
  });

  test('has a figure only where every round had it', () => {
    const [row] = summarise([aSample(own, { reached: 1, slowP50Ms: 300 }), aSample(own, { slowP50Ms: 310 })]);

    assert.deepEqual([row?.reached, row?.slowP50Ms], [undefined, 305]);
  });

  test('meets or misses an expectation by the ratio', () => {
    const rows = (p50Ms: number) => summarise([aSample(direct, { p50Ms: 2 }), aSample(own, { p50Ms })]);

    assert.equal(examine(rows(2.5), expectation)?.isMet, true);
    assert.equal(examine(rows(2.6), expectation)?.isMet, false);
  });

  test('compares with the best of the other proxies, never with a direct call', () => {
    const rows = summarise([
      aSample(direct, { perSecond: 1000 }),
      aSample(slowPeer, { perSecond: 100 }),
      aSample(quickPeer, { perSecond: 200 }),
      aSample(own, { perSecond: 150 }),
    ]);
    const wanted: Expectation = { ...expectation, against: 'best-peer', measure: 'perSecond', atLeast: 0.7 };

    const finding = examine(rows, { ...wanted, atMost: 1 });

    assert.deepEqual([finding?.other?.title, finding?.ratio, finding?.isMet], ['quick', 0.75, true]);
  });

  test('compares one figure with another of the peer that is best in that', () => {
    const rows = summarise([
      aSample(slowPeer, { p50Ms: 40, p99Ms: 50 }),
      aSample(quickPeer, { p50Ms: 20, p99Ms: 90 }),
      aSample(own, { p99Ms: 15 }),
    ]);
    const wanted: Expectation = { ...expectation, against: 'best-peer', measure: 'p99Ms', againstMeasure: 'p50Ms' };

    assert.deepEqual(examine(rows, wanted)?.other, { title: 'quick', figure: 20 });
  });

  test('can expect a figure by itself', () => {
    const rows = (reached: number) => summarise([aSample(own, { reached })]);
    const wanted: Expectation = { title: 'Calls at R', of: 'own', measure: 'reached', connections: 1, atMost: 1 };

    assert.deepEqual([examine(rows(1), wanted)?.isMet, examine(rows(2), wanted)?.isMet], [true, false]);
    assert.equal(examine(rows(2), wanted)?.other, undefined);
  });

  test('can compare the first calls of one with its later ones', () => {
    const [row] = summarise([aSample(own, { cpuUsPerRequest: 100 })]);
    assert.ok(row);
    const wanted: Expectation = {
      ...{ title: 'First calls', of: 'own', measure: 'firstCpuUsPerRequest', connections: 1, atMost: 2.5 },
      ...{ against: 'own', againstMeasure: 'cpuUsPerRequest' },
    };

    const met = [240, 260].map(firstCpuUsPerRequest => examine([{ ...row, firstCpuUsPerRequest }], wanted)?.isMet);

    assert.deepEqual(met, [true, false]);
  });

  test('can compare with what another workload of the run showed', () => {
    const floor = aContestant('floor', 'floor');
    const rows = summarise([aSample(floor, { cpuUsPerRequest: 900 }), aSample(own, { cpuUsPerRequest: 150 })]);
    const elsewhere = (workload: string) =>
      workload === 'nothing' ? summarise([aSample(floor, { cpuUsPerRequest: 100 })]) : [];
    const wanted: Expectation = {
      ...{ title: 'CPU', of: 'own', measure: 'cpuUsPerRequest', connections: 1, atMost: 1 },
      ...{ against: 'floor', againstIn: { workload: 'nothing', connections: 1 } },
    };

    assert.deepEqual(examine(rows, wanted, elsewhere)?.other, { title: 'floor', figure: 100 });
    assert.equal(examine(rows, wanted), undefined);
  });

  test('meets nothing with calls that failed, however fast', () => {
    const rows = summarise([aSample(direct, { p50Ms: 2 }), aSample(own, { p50Ms: 1, refused: 1 })]);

    assert.equal(examine(rows, expectation)?.isMet, false);
  });

  test('says nothing of an expectation whose contestants were not measured', () => {
    assert.equal(examine(summarise([aSample(own)]), expectation), undefined);
    assert.equal(examine(summarise([aSample(direct)]), expectation), undefined);
  });
});
