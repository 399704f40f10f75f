import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { CachePolicy } from '../../../gateway/domain/route.ts';
import {
  directivesOf,
  freshnessOf,
  mayBeStored,
  mayServeOnError,
  verdictOn,
  type Directives,
  type Freshness,
} from '../../../gateway/domain/sharing/freshness.ts';
import type { Answer } from '../../../gateway/domain/upstream.ts';
import { aCachePolicy } from '../../support/sharing.ts';
import { cpuMs } from '../../support/cpu-time.ts';

const NOTHING = directivesOf([]);

/** What is said on these lines, without what is not. */
const said = (...lines: string[]): Partial<Directives> => {
  const all = directivesOf(lines.flatMap(line => ['Cache-Control', line]));
  return Object.fromEntries(Object.entries(all).filter(([name, value]) => value !== NOTHING[name as keyof Directives]));
};

describe('what a Cache-Control says', () => {
  test('is nothing where there is none', () => {
    assert.deepEqual(directivesOf(['Accept', '*/*']), NOTHING);
    assert.ok(Object.values(NOTHING).every(value => value === false || value === undefined));
  });

  for (const [line, expected] of [
    ['no-store', { isNoStore: true }],
    ['private', { isPrivate: true }],
    ['private="X-Secret"', { isPrivate: true }],
    ['no-cache', { isNoCache: true }],
    ['only-if-cached', { isOnlyIfCached: true }],
    ['must-revalidate', { isMustRevalidate: true }],
    ['proxy-revalidate', { isProxyRevalidate: true }],
    ['max-age=0', { maxAgeMs: 0 }],
    ['max-age="7"', { maxAgeMs: 7_000 }],
    ['s-maxage=5', { sharedMaxAgeMs: 5_000 }],
    ['min-fresh=5', { minFreshMs: 5_000 }],
    ['max-stale=5', { maxStaleMs: 5_000 }],
    ['max-stale', { maxStaleMs: Infinity }],
    ['max-stale=x', { maxStaleMs: 0 }],
    ['max-stale=', { maxStaleMs: 0 }],
    ['stale-if-error=9', { staleIfErrorMs: 9_000 }],
    ['max-age=99999999999999999999', { maxAgeMs: 2 ** 31 * 1000 }],
    ['x-max-age=5, max-age*=5, public', {}],
  ] as const) {
    test(`is understood: ${line}`, () => assert.deepEqual(said(line), expected));
  }

  test('is read over all its lines, whatever the case and the spaces', () => {
    assert.deepEqual(said('No-Store,,  MAX-AGE=5', 'public ,s-maxage=3'), {
      isNoStore: true,
      maxAgeMs: 5_000,
      sharedMaxAgeMs: 3_000,
    });
  });

  test('may be quoted, and what stands in quotes says nothing', () => {
    assert.deepEqual(said('no-cache="Set-Cookie, X", max-age="7", ext="a\\"b, no-store"'), {
      isNoCache: true,
      maxAgeMs: 7_000,
    });
  });

  test('is not missed where something else than a comma parts it', () => {
    assert.deepEqual(said('max-age=60; no-store'), { isNoStore: true, maxAgeMs: 0 });
    assert.deepEqual(said('public no-cache'), { isNoCache: true });
    assert.deepEqual(said('ext="unclosed, no-store'), { isNoStore: true });
  });

  for (const [what, lines, expected] of [
    ['times', ['max-age=7200, max-age=1'], { maxAgeMs: 1_000 }],
    ['times on two lines', ['s-maxage=1', 's-maxage=7200'], { sharedMaxAgeMs: 1_000 }],
    ['a time and none', ['max-age=7200, max-age=x'], { maxAgeMs: 0 }],
    ['times past the end', ['max-stale, max-stale=3'], { maxStaleMs: 3_000 }],
    ['times that must be left', ['min-fresh=9, min-fresh=1'], { minFreshMs: 9_000 }],
  ] as const) {
    test(`is the strictest of several: ${what}`, () => assert.deepEqual(said(...lines), expected));
  }

  for (const line of ['max-age', 'max-age=', 'max-age=-1', 'max-age=1.5', 'max-age=abc', 'max-age = 5', 'max-age="5']) {
    test(`is no time where it cannot be read: ${line}`, () => assert.deepEqual(said(line), { maxAgeMs: 0 }));
  }

  test('is read in a time that grows with its length alone, however hostile', () => {
    const hostile = 'a="\\"'.repeat(10_000) + '"'.repeat(10_000) + 'x='.repeat(10_000) + 'y="'.repeat(10_001);

    assert.ok(cpuMs(() => said(hostile)) < 250);
  });
});

const WALL = Date.UTC(2026, 0, 1, 12);
const at = (offsetSeconds: number) => new Date(WALL + offsetSeconds * 1000).toUTCString();

const answer = (fields: string[] = [], traits: Partial<Answer> = {}): Answer => ({
  status: 200,
  fields,
  body: Buffer.from('[1]'),
  via: null,
  ...traits,
});

describe('an answer that may serve others', () => {
  for (const status of [200, 203, 204]) {
    test(`is a successful one: ${status}`, () => assert.equal(mayBeStored(answer([], { status })), true));
  }

  for (const status of [201, 202, 205, 206, 301, 304, 400, 404, 410, 500, 503]) {
    test(`is no other: ${status}`, () => assert.equal(mayBeStored(answer([], { status })), false));
  }

  test('is whole', () => {
    const body = new Readable({ read: () => undefined });

    assert.equal(mayBeStored(answer([], { body })), false);
    body.destroy();
  });

  for (const fields of [
    ['Cache-Control', 'no-store'],
    ['Cache-Control', 'no-cache'],
    ['Cache-Control', 'private'],
    ['Cache-Control', 'max-age=60, private="X-Secret"'],
    ['cache-control', 'public, NO-CACHE="Set-Cookie"'],
    ['Cache-Control', 'must-understand, no-store'],
    ['Set-Cookie', 'a=b'],
    ['Vary', '*'],
    ['Vary', 'Accept, *'],
  ]) {
    test(`is not one that says otherwise: ${fields.join(': ')}`, () =>
      assert.equal(mayBeStored(answer(fields)), false));
  }

  test('may vary by what R was not sent, or what is in the key', () => {
    assert.equal(mayBeStored(answer(['Vary', 'Accept, Accept-Encoding'])), true);
  });
});

/** Asked 2 s before it came, at the steady clock’s 100 s. */
const WHEN = { requestedMs: 98_000, answeredMs: 100_000, answeredWallMs: WALL };

const freshnessFor = (fields: readonly string[], policy: Partial<CachePolicy> = {}): Freshness | undefined =>
  freshnessOf(aCachePolicy({ ttlMs: 'http', ...policy }), fields, WHEN);

/** Until when it is fresh, in seconds from when it came. */
const freshSeconds = (fields: readonly string[]): number | undefined => {
  const freshness = freshnessFor(fields, { staleIfErrorMs: 3_600_000 });
  return freshness && (freshness.bornMs + freshness.lifetimeMs - WHEN.answeredMs) / 1000;
};

describe('a route’s own time', () => {
  test('runs from when R answered, whatever R says of time', () => {
    const fields = ['Cache-Control', 'max-age=1', 'Age', '50', 'Date', at(-500), 'Expires', '0'];

    assert.deepEqual(freshnessFor(fields, { ttlMs: 60_000, staleIfErrorMs: 5_000 }), {
      bornMs: 100_000,
      lifetimeMs: 60_000,
      staleIfErrorMs: 5_000,
      mayBeStale: true,
    });
  });

  test('is not worth storing anything for where it is nothing', () => {
    assert.equal(freshnessFor([], { ttlMs: 0 }), undefined);
    assert.notEqual(freshnessFor([], { ttlMs: 0, staleIfErrorMs: 1 }), undefined);
  });
});

describe('time by R’s own word', () => {
  for (const [name, fields, expected] of [
    ['s-maxage goes before max-age', ['Cache-Control', 'max-age=5, s-maxage=60'], 58],
    ['max-age goes before Expires', ['Cache-Control', 'max-age=60', 'Expires', at(5)], 58],
    ['Expires counts from Date', ['Date', at(-10), 'Expires', at(50)], 50],
    ['Expires counts from now where there is no Date', ['Expires', at(60)], 58],
    ['what Age says has gone by', ['Cache-Control', 'max-age=60', 'Age', '20'], 38],
    ['a Date in the past is an age', ['Cache-Control', 'max-age=60', 'Date', at(-30)], 30],
    ['a Date in the future is none', ['Cache-Control', 'max-age=60', 'Date', at(30)], 58],
    ['of two ages the greater counts', ['Cache-Control', 'max-age=60', 'Date', at(-30), 'Age', '40'], 18],
    ['an Age that is no number is none', ['Cache-Control', 'max-age=60', 'Age', 'old'], 58],
    ['nor is one below zero', ['Cache-Control', 'max-age=60', 'Age', '-5'], 58],
    ['of a list of ages the greatest counts', ['Cache-Control', 'max-age=60', 'Age', '0, 40'], 18],
    ['so it does on several lines', ['Cache-Control', 'max-age=60', 'Age', '40', 'Age', '0'], 18],
    ['an Age is as much as can be read of it', ['Cache-Control', 'max-age=60', 'Age', '40.5s'], 18],
    ['of two Dates the earlier counts', ['Cache-Control', 'max-age=60', 'Date', at(0), 'Date', at(-30)], 30],
    ['a Date that is none is that of its coming', ['Cache-Control', 'max-age=60', 'Date', 'today'], 58],
    ['Expires counts from there, too', ['Expires', at(60), 'Date', 'today'], 58],
    ['of two Expires the earlier counts', ['Expires', at(60), 'Expires', at(30)], 28],
    ['of two times the shorter counts', ['Cache-Control', 'max-age=7200, max-age=60'], 58],
  ] as const) {
    test(`is understood: ${name}`, () => assert.equal(freshSeconds(fields), expected));
  }

  for (const fields of [
    [],
    ['Last-Modified', at(-1_000_000)],
    ['Cache-Control', 'public'],
    ['Cache-Control', 'max-age=0'],
    ['Cache-Control', 'max-age=x'],
    ['Expires', '0'],
    ['Expires', at(-5)],
    ['Cache-Control', 'max-age=2'],
    ['Cache-Control', 'max-age=60', 'Age', '60'],
    ['Cache-Control', 'max-age=7200', 'Age', '7200, 0'],
    ['Cache-Control', 'max-age=7200', 'Age', '0', 'Age', '7200'],
    ['Cache-Control', 'max-age=99999999999', 'Age', '99999999999'],
    ['Cache-Control', 'max-age=60, max-age=0'],
    ['Cache-Control', 's-maxage=x, max-age=60'],
    ['Cache-Control', 'max-age=-60'],
    ['Expires', at(60), 'Expires', '0'],
  ]) {
    test(`is over, or none is said: ${fields.join(': ')}`, () => assert.equal(freshnessFor(fields), undefined));
  }

  for (const [directives, expected] of [
    ['max-age=60', 10_000],
    ['max-age=60, stale-if-error=7', 7_000],
    ['s-maxage=60', 0],
    ['s-maxage=60, stale-if-error=7', 7_000],
    ['max-age=60, must-revalidate', 0],
    ['max-age=60, proxy-revalidate, stale-if-error=7', 0],
  ] as const) {
    test(`may be passed where R gives none, as far as R allows: ${directives}`, () => {
      const freshness = freshnessFor(['Cache-Control', directives], { staleIfErrorMs: 10_000 });

      assert.equal(freshness?.staleIfErrorMs, expected);
    });
  }
});

describe('whether a stored answer fits', () => {
  const freshness = freshnessOf(aCachePolicy({ ttlMs: 60_000, staleIfErrorMs: 30_000 }), [], {
    ...WHEN,
    answeredMs: 0,
  });
  assert.ok(freshness !== undefined);
  const strict: Freshness = { ...freshness, mayBeStale: false, staleIfErrorMs: 0 };
  const saying = (text: string) => directivesOf(['Cache-Control', text]);

  for (const [name, requested, ageSeconds, expected] of [
    ['while it is fresh', '', 59, 'hit'],
    ['and at the end of its time no more', '', 60, 'stale'],
    ['not to a caller who would have R asked', 'no-cache', 1, 'request'],
    ['not to one who would have nothing stored', 'no-store', 1, 'request'],
    ['not to one for whom it is too old', 'max-age=10', 11, 'request'],
    ['to one for whom it is young enough', 'max-age=10', 10, 'hit'],
    ['not to one for whom it ends too soon', 'min-fresh=10', 51, 'request'],
    ['to one for whom it lasts long enough', 'min-fresh=10', 50, 'hit'],
    ['past its time to one who takes that', 'max-stale', 1_000, 'hit'],
    ['a little past its time to one who takes that', 'max-stale=10', 69, 'hit'],
    ['not further past its time', 'max-stale=10', 71, 'stale'],
    ['stale or not, it must be as young as asked for', 'max-stale, max-age=61', 62, 'stale'],
  ] as const) {
    test(name, () => assert.equal(verdictOn(freshness, saying(requested), ageSeconds * 1000), expected));
  }

  test('never past its time where R forbids that', () => {
    assert.equal(verdictOn(strict, saying('max-stale'), 61_000), 'stale');
  });

  test('for a while past its time where R gives none', () => {
    assert.equal(mayServeOnError(freshness, saying(''), 89_000), true);
    assert.equal(mayServeOnError(freshness, saying(''), 90_000), false);
    assert.equal(mayServeOnError(strict, saying(''), 61_000), false);
  });

  for (const requested of ['no-cache', 'no-store', 'max-age=3600', 'min-fresh=1']) {
    test(`but not to a caller who said how fresh it must be: ${requested}`, () => {
      assert.equal(mayServeOnError(freshness, saying(requested), 61_000), false);
    });
  }
});
