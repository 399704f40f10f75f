import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createBatchSize,
  createBatchTime,
  sizesUpTo,
  Trust,
} from '../../../../gateway/domain/sharing/batch/batch-limits.ts';
import { seeded } from '../../../support/service-at-work.ts';
import { readRows } from '../../../../gateway/domain/sharing/batch/rows.ts';

describe('how many rows may travel together', () => {
  test('begins small and doubles with every batch that was nearly as large, up to `sizeMax`', () => {
    const size = createBatchSize();
    const seen = [size.rowsMax(100, 0)];
    for (const rows of [8, 16, 32, 64, 100]) {
      size.succeeded(rows, 100);
      seen.push(size.rowsMax(100, 0));
    }

    assert.deepEqual(seen, [16, 16, 32, 64, 100, 100]);
  });

  test('halves with every failure, and grows slowly from then on', () => {
    const size = createBatchSize();
    for (const rows of [16, 32]) size.succeeded(rows, 64);
    size.divided(0);
    const halved = size.rowsMax(64, 0);
    size.succeeded(32, 64);

    assert.deepEqual([halved, size.rowsMax(64, 0)], [32, 40]);
  });

  test('is never less than two', () => {
    const size = createBatchSize();
    for (let i = 0; i < 7; i++) size.divided(0);

    assert.equal(size.rowsMax(64, 0), 2);
  });

  test('settles where few batches fail, where one row in fifty is bad', () => {
    const size = createBatchSize();
    const random = seeded(7);
    let [pauses, rowsSum] = [0, 0];
    for (let i = 0; i < 1_000; i++) {
      const rows = size.rowsMax(64, 0);
      rowsSum += rows;
      const isBad = Array.from({ length: rows }, () => random.below(50) === 0).includes(true);
      if (!isBad) size.succeeded(rows, 64);
      else if (size.divided(0) !== undefined) pauses += 1;
    }

    assert.equal(pauses, 0);
    assert.ok(rowsSum / 1_000 > 8, `${rowsSum / 1_000} rows a batch`);
  });
});

describe('batches that keep failing', () => {
  const failInARow = (size: ReturnType<typeof createBatchSize>, nowMs: number) =>
    Array.from({ length: 8 }, () => size.divided(nowMs)).find(forMs => forMs !== undefined);

  test('are made no more for a while, which doubles each time, up to ten minutes', () => {
    const size = createBatchSize();
    const pauses: (number | undefined)[] = [];
    let nowMs = 0;
    for (let i = 0; i < 7; i++) {
      pauses.push(failInARow(size, nowMs));
      assert.equal(size.rowsMax(64, nowMs), 1);
      nowMs += pauses.at(-1) ?? 0;
      assert.equal(size.rowsMax(64, nowMs), 2);
    }

    assert.deepEqual(pauses, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  });

  test('are told to be back with the first that goes well, and only then', () => {
    const size = createBatchSize();
    assert.equal(size.succeeded(2, 64), false);
    failInARow(size, 0);

    assert.deepEqual([size.succeeded(2, 64), size.succeeded(2, 64)], [true, false]);
  });

  test('need not fail in a row: more than half of the last twenty are too many', () => {
    const size = createBatchSize();
    const pauses: (number | undefined)[] = [];
    for (let i = 0; i < 7; i++) {
      pauses.push(size.divided(0), size.divided(0));
      size.succeeded(2, 64);
    }

    assert.ok(pauses.includes(30_000));
  });

  test('are forgiven when all has gone well for long', () => {
    const size = createBatchSize();
    failInARow(size, 0);
    for (let i = 0; i < 20; i++) size.succeeded(2, 64);

    assert.equal(failInARow(size, 30_000), 30_000);
  });
});

describe('how long a batch takes', () => {
  test('is not known before some were made', () => {
    const time = createBatchTime();
    for (let i = 0; i < 3; i++) time.record(10, 20);

    assert.equal(time.predictMs(10), undefined);
  });

  test('is learned as so much for each row, and so much for all', () => {
    const time = createBatchTime();
    for (const rows of [1, 5, 20, 64, 3, 40]) time.record(rows, 1.5 + rows * 0.25);

    for (const rows of [1, 64, 1_000]) assert.ok(Math.abs((time.predictMs(rows) ?? 0) - (1.5 + rows * 0.25)) < 0.001);
  });

  test('is taken to grow with the rows where nothing tells', () => {
    const time = createBatchTime();
    for (let i = 0; i < 6; i++) time.record(10, 20);

    assert.deepEqual([time.predictMs(10), time.predictMs(100)], [20, 200]);
  });

  test('follows a model that becomes slower', () => {
    const time = createBatchTime();
    for (let i = 0; i < 200; i++) time.record(1 + (i % 30), 2 + (1 + (i % 30)) * 0.1);
    for (let i = 0; i < 200; i++) time.record(1 + (i % 30), 2 + (1 + (i % 30)) * 1);

    const predicted = time.predictMs(30) ?? 0;
    assert.ok(predicted > 28 && predicted < 36, String(predicted));
  });

  test('is never less for more rows, nor less than nothing', () => {
    const time = createBatchTime();
    for (const [rows, ms] of [
      [1, 50],
      [2, 40],
      [30, 10],
      [60, 1],
    ] as const)
      time.record(rows, ms);

    const [few = 0, many = 0] = [time.predictMs(1), time.predictMs(1_000)];
    assert.ok(few > 0 && many >= few, `${few} ${many}`);
  });
});

const rows = (text: string) => readRows(Buffer.from(text), 'array', 64) ?? assert.fail(text);
const times = (count: number, act: () => void) => {
  for (let i = 0; i < count; i++) act();
};

describe('trust in a version of a model', () => {
  test('begins when 128 calls have been answered together as alone', () => {
    const trust = new Trust(64);
    times(127, () => trust.agreed(rows('[{"x":1.5}]')));
    assert.equal(trust.has(rows('[{"x":2.5}]')), false);
    trust.agreed(rows('[{"x":1.5}]'));

    assert.equal(trust.has(rows('[{"x":2.5}]')), true);
  });

  test('begins anew for a shape, and for a kind of value, that has not been seen', () => {
    const trust = new Trust(64);
    times(200, () => trust.agreed(rows('[{"x":1.5}]')));
    assert.equal(trust.has(rows('[{"y":1.5}]')), false);
    times(16, () => trust.agreed(rows('[{"y":1.5}]')));
    assert.equal(trust.has(rows('[{"y":1.5}]')), true);
    assert.equal(trust.has(rows('[{"x":1.5},{"x":null}]')), false);
    times(2, () => trust.agreed(rows('[{"x":1.5},{"x":null}]')));

    assert.equal(trust.has(rows('[{"x":1.5},{"x":null}]')), true);
  });

  test('compares numbers of rows on both sides of powers of two, and the largest', () => {
    assert.deepEqual(sizesUpTo(20), [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20]);
    assert.deepEqual(sizesUpTo(2), [2]);
    assert.deepEqual([new Trust(8).nextSize(20), new Trust(20).nextSize(20)], [9, undefined]);
  });

  test('asks all again at first, ever fewer while answers agree, and never less than the share of the route', () => {
    const trust = new Trust(64);
    const at = { recheckShare: 0.01, nowMs: 0 };
    const shareNow = () =>
      Array.from({ length: 1_000 }, (_, i) => i / 1_000).filter(chance => trust.isDue(chance, at)).length;
    const shares = [0, 128, 128, 256, 1_000].map(more => {
      times(more, () => trust.agreed(rows('[{"x":1.5}]')));
      return shareNow();
    });

    assert.deepEqual(shares, [1_000, 1_000, 368, 50, 10]);
  });

  test('asks at least one again in each minute', () => {
    const trust = new Trust(64);
    times(2_000, () => trust.agreed(rows('[{"x":1.5}]')));
    const isDue = (nowMs: number) => trust.isDue(0.999, { recheckShare: 0.01, nowMs });

    assert.deepEqual(
      [isDue(0), isDue(1), isDue(59_999), isDue(60_000), isDue(60_001)],
      [true, false, false, true, false],
    );
  });
});
