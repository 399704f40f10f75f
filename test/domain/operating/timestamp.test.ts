import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTimestamps } from '../../../gateway/domain/operating/timestamp.ts';

describe('timestamps', () => {
  test('are what Date writes, within a second and across seconds, forwards and backwards', () => {
    const timestamp = createTimestamps();
    const moments = [0, 1, 999, 1000, 1001, 1_795_366_522_555, 1_795_366_522_009, 1_795_366_523_000, 5, -1, -1000];

    const written = moments.map(timestamp);

    assert.deepEqual(
      written,
      moments.map(wallMs => new Date(wallMs).toISOString()),
    );
  });

  test('leave out what is less than a millisecond', () => {
    assert.equal(createTimestamps()(1_500.75), '1970-01-01T00:00:01.500Z');
  });
});
