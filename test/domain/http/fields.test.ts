import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHttpDate } from '../../../gateway/domain/http/fields.ts';

describe('a date in a field', () => {
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'Sun Nov 06 08:49:37 1994',
  ]) {
    test(`is read in each of HTTP’s forms: ${text}`, () => {
      assert.equal(parseHttpDate(text), Date.UTC(1994, 10, 6, 8, 49, 37));
    });
  }

  for (const text of [
    '',
    '0',
    '-1',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 99 Foo 1994 08:49:37 GMT',
  ]) {
    test(`is none in any other: ${JSON.stringify(text)}`, () => {
      assert.equal(parseHttpDate(text), undefined);
    });
  }
});
