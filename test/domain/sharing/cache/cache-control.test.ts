import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { directivesOf, millisecondsOf, wishOf } from '../../../../gateway/domain/sharing/cache/cache-control.ts';

const said = (...values: string[]) => directivesOf(values.flatMap(value => ['Cache-Control', value]));

describe('what a Cache-Control says', () => {
  test('is read over all its lines, whatever the case and the spaces', () => {
    assert.deepEqual(
      [...said('No-Store,,  MAX-AGE=5', 'public ,s-maxage=3')],
      [
        ['no-store', ''],
        ['max-age', '5'],
        ['public', ''],
        ['s-maxage', '3'],
      ],
    );
  });

  test('may be quoted, and a comma in quotes parts nothing', () => {
    assert.deepEqual(
      [...said('no-cache="Set-Cookie, X", max-age="7", ext="a\\"b, no-store"')],
      [
        ['no-cache', 'Set-Cookie, X'],
        ['max-age', '7'],
        ['ext', 'a\\"b, no-store'],
      ],
    );
  });

  test('counts where it is said first', () => {
    assert.equal(said('max-age=1, max-age=2').get('max-age'), '1');
  });

  test('is in seconds, without end beyond what a cache lives', () => {
    assert.equal(millisecondsOf(said('max-age=5'), 'max-age', 0), 5_000);
    assert.equal(millisecondsOf(said('max-age=5'), 's-maxage', 0), undefined);
    assert.equal(millisecondsOf(said('max-age=99999999999999999999'), 'max-age', 0), 2 ** 31 * 1000);
  });

  for (const value of ['max-age', 'max-age=', 'max-age=-1', 'max-age=1.5', 'max-age=abc']) {
    test(`is no time where it cannot be read: ${value}`, () => {
      assert.equal(millisecondsOf(said(value), 'max-age', 17), 17);
    });
  }

  test('is read in a time that grows with its length alone, however hostile', () => {
    const startedMs = performance.now();
    said('a="\\"'.repeat(3_000) + '"'.repeat(3_000) + 'x='.repeat(2_000));

    assert.ok(performance.now() - startedMs < 250);
  });
});

describe('what a caller wishes of a cache', () => {
  const wish = (value: string) => wishOf(['Accept', '*/*', 'cache-control', value]);

  test('is nothing where nothing is said', () => {
    assert.deepEqual(wishOf(['Accept', '*/*']), {
      isNoStore: false,
      isNoCache: false,
      isOnlyIfCached: false,
      ageMsMax: Infinity,
      freshMsMin: 0,
      staleMsMax: 0,
    });
  });

  for (const [value, expected] of [
    ['no-store', { isNoStore: true }],
    ['private', { isNoStore: true }],
    ['no-cache', { isNoCache: true }],
    ['only-if-cached', { isOnlyIfCached: true }],
    ['max-age=0', { ageMsMax: 0 }],
    ['min-fresh=5', { freshMsMin: 5_000 }],
    ['max-stale=5', { staleMsMax: 5_000 }],
    ['max-stale', { staleMsMax: Infinity }],
    ['max-stale=x', { staleMsMax: 0 }],
  ] as const) {
    test(`is understood: ${value}`, () => {
      assert.deepEqual(wish(value), { ...wish('other'), ...expected });
    });
  }
});
