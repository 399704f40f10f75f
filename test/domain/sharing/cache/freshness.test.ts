import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Answer } from '../../../../gateway/domain/exchange.ts';
import type { CachePolicy } from '../../../../gateway/domain/route.ts';
import { wishOf } from '../../../../gateway/domain/sharing/cache/cache-control.ts';
import {
  fitnessOf,
  isBetterThanNone,
  isForAll,
  termOf,
  type Term,
} from '../../../../gateway/domain/sharing/cache/freshness.ts';
import { aCachePolicy } from '../../../support/sharing.ts';

const WALL = Date.UTC(2026, 0, 1, 12);
const at = (offsetSeconds: number) => new Date(WALL + offsetSeconds * 1000).toUTCString();

const answer = (rawHeaders: readonly string[] = [], traits: Partial<Answer> = {}): Answer => ({
  kind: 'answer',
  status: 200,
  rawHeaders,
  body: Buffer.from('[1]'),
  ...traits,
});

describe('an answer that may serve others', () => {
  for (const status of [200, 203, 204]) {
    test(`is a successful one: ${status}`, () => assert.equal(isForAll(answer([], { status })), true));
  }

  for (const status of [201, 202, 205, 206, 301, 304, 400, 404, 410, 500, 503]) {
    test(`is no other: ${status}`, () => assert.equal(isForAll(answer([], { status })), false));
  }

  test('is whole', () => {
    const body = new Readable({ read: () => undefined });

    assert.equal(isForAll(answer([], { body })), false);
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
    test(`is not one that says otherwise: ${fields.join(': ')}`, () => assert.equal(isForAll(answer(fields)), false));
  }

  test('may vary by what R was not sent, or what is in the key', () => {
    assert.equal(isForAll(answer(['Vary', 'Accept, Accept-Encoding'])), true);
  });
});

/** Asked 2 s before it came, at the steady clock’s 100 s. */
const WHEN = { askedMs: 98_000, answeredMs: 100_000, answeredWallMs: WALL };

const termFor = (fields: readonly string[], policy: Partial<CachePolicy> = {}): Term | undefined =>
  termOf(aCachePolicy({ ttlMs: 'http', ...policy }), fields, WHEN);

/** Until when it is fresh, in seconds from when it came. */
const freshSeconds = (fields: readonly string[]): number | undefined => {
  const term = termFor(fields, { staleIfErrorMs: 3_600_000 });
  return term && (term.bornMs + term.freshMs - WHEN.answeredMs) / 1000;
};

describe('a route’s own time', () => {
  test('runs from when R answered, whatever R says of time', () => {
    const fields = ['Cache-Control', 'max-age=1', 'Age', '50', 'Date', at(-500), 'Expires', '0'];

    assert.deepEqual(termFor(fields, { ttlMs: 60_000, staleIfErrorMs: 5_000 }), {
      bornMs: 100_000,
      freshMs: 60_000,
      staleIfErrorMs: 5_000,
      mayBeStale: true,
    });
  });

  test('is not worth keeping anything for where it is nothing', () => {
    assert.equal(termFor([], { ttlMs: 0 }), undefined);
    assert.notEqual(termFor([], { ttlMs: 0, staleIfErrorMs: 1 }), undefined);
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
  ]) {
    test(`is over, or none is said: ${fields.join(': ')}`, () => assert.equal(termFor(fields), undefined));
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
      const term = termFor(['Cache-Control', directives], { staleIfErrorMs: 10_000 });

      assert.equal(term?.staleIfErrorMs, expected);
    });
  }
});

describe('whether a remembered answer fits', () => {
  const term = termOf(aCachePolicy({ ttlMs: 60_000, staleIfErrorMs: 30_000 }), [], { ...WHEN, answeredMs: 0 });
  assert.ok(term !== undefined);
  const strict: Term = { ...term, mayBeStale: false, staleIfErrorMs: 0 };
  const wish = (text: string) => wishOf(['Cache-Control', text]);

  for (const [name, asked, ageSeconds, expected] of [
    ['while it is fresh', '', 59, 'fits'],
    ['and at the end of its time no more', '', 60, 'stale'],
    ['not to a caller who would have R asked', 'no-cache', 1, 'unwished'],
    ['not to one who would have nothing remembered', 'no-store', 1, 'unwished'],
    ['not to one for whom it is too old', 'max-age=10', 11, 'unwished'],
    ['to one for whom it is young enough', 'max-age=10', 10, 'fits'],
    ['not to one for whom it ends too soon', 'min-fresh=10', 51, 'unwished'],
    ['to one for whom it lasts long enough', 'min-fresh=10', 50, 'fits'],
    ['past its time to one who takes that', 'max-stale', 1_000, 'fits'],
    ['a little past its time to one who takes that', 'max-stale=10', 69, 'fits'],
    ['not further past its time', 'max-stale=10', 71, 'stale'],
    ['stale or not, it must be as young as wished', 'max-stale, max-age=61', 62, 'stale'],
  ] as const) {
    test(name, () => assert.equal(fitnessOf(term, wish(asked), ageSeconds * 1000), expected));
  }

  test('never past its time where R forbids that', () => {
    assert.equal(fitnessOf(strict, wish('max-stale'), 61_000), 'stale');
  });

  test('for a while past its time where R gives none', () => {
    assert.equal(isBetterThanNone(term, wish(''), 89_000), true);
    assert.equal(isBetterThanNone(term, wish(''), 90_000), false);
    assert.equal(isBetterThanNone(strict, wish(''), 61_000), false);
  });

  for (const asked of ['no-cache', 'no-store', 'max-age=3600', 'min-fresh=1']) {
    test(`but not to a caller who said how fresh it must be: ${asked}`, () => {
      assert.equal(isBetterThanNone(term, wish(asked), 61_000), false);
    });
  }
});
