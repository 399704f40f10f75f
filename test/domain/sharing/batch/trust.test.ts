import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readRows } from '../../../../gateway/domain/sharing/batch/rows.ts';
import { sizesUpTo, Trust } from '../../../../gateway/domain/sharing/batch/trust.ts';

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
