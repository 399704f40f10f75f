import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { durationMs, durationText, sizeBytes, sizeText } from '../../gateway/config/units.ts';

describe('durations', () => {
  const rows = [
    ['250ms', 250],
    ['0s', 0],
    ['5s', 5_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
  ] as const;

  for (const [text, ms] of rows) {
    test(`${text} is ${ms} ms, and is written so again`, () => {
      assert.equal(durationMs(text), ms);
      if (ms > 0) assert.equal(durationMs(durationText(ms)), ms);
    });
  }

  test('nothing else is a duration', () => {
    for (const text of ['5', '5 s', '1.5s', '-5s', '5S', 's', '', '5sec', '9999999999999s']) {
      assert.equal(durationMs(text), undefined, text);
    }
  });

  test('are shown in the largest unit that fits', () => {
    assert.deepEqual([durationText(90_000), durationText(60_000), durationText(1_500)], ['90s', '1m', '1500ms']);
  });
});

describe('sizes', () => {
  test('are powers of 1024', () => {
    assert.deepEqual(
      ['512B', '64KiB', '1MiB', '2GiB'].map(text => sizeBytes(text)),
      [512, 65_536, 1_048_576, 2_147_483_648],
    );
  });

  test('are not written in other units, since KB means two things', () => {
    for (const text of ['64KB', '64', '1 MiB', '1mib', '']) assert.equal(sizeBytes(text), undefined, text);
  });

  test('are shown in the largest unit that fits', () => {
    assert.deepEqual([sizeText(1_048_576), sizeText(1_536), sizeText(0)], ['1MiB', '1536B', '0B']);
  });
});
