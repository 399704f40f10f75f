import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Finding, createFindingCache } from '../../../gateway/domain/admission/scheme.ts';

const finding: Finding = { kind: 'refused', fault: 'expired' };
const until = (endsMs: number) => ({ finding, endsMs });

describe('the cache of findings', () => {
  test('keeps until the end, and not a millisecond longer', () => {
    const cache = createFindingCache(10);
    cache.keep('a', until(1000));

    assert.equal(cache.find('a', 999), finding);
    assert.equal(cache.find('a', 1000), undefined);
    assert.equal(cache.size, 0, 'what has ended takes no room');
  });

  test('never holds more than it may, whatever comes', () => {
    const cache = createFindingCache(10);

    for (let i = 0; i < 1000; i++) {
      cache.keep(`t${i}`, until(Infinity));
      cache.find(`t${i - 7}`, 0);
      assert.ok(cache.size <= 10);
    }
  });

  test('holds a token once, also when it is kept anew', () => {
    const cache = createFindingCache(4);

    for (const digest of ['a', 'b', 'c', 'a']) cache.keep(digest, until(Infinity));

    assert.equal(cache.size, 3);
  });

  test('keeps what is asked for again, and forgets what is not', () => {
    const cache = createFindingCache(10);
    cache.keep('wanted', until(Infinity));
    cache.keep('unwanted', until(Infinity));

    for (let i = 0; i < 100; i++) {
      cache.keep(`t${i}`, until(Infinity));
      assert.equal(cache.find('wanted', 0), finding, `after ${i} others`);
    }

    assert.equal(cache.find('unwanted', 0), undefined);
  });
});
