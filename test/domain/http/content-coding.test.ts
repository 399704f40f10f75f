import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  codeHead,
  isCompressible,
  preferredCoding,
  varyByCoding,
} from '../../../gateway/domain/http/content-coding.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const large = Buffer.alloc(2_000);

describe('the coding that a caller likes best', () => {
  for (const [accepted, coding] of [
    [undefined, undefined],
    ['', undefined],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate', 'gzip'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0.5, gzip;q=0.5', 'br'],
    ['GZIP', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['br ; q=0.000, gzip ; q=0', undefined],
    ['*', 'br'],
    ['*;q=0.1, br;q=0', 'gzip'],
    ['*;q=0', undefined],
    ['identity', undefined],
    ['identity;q=1, gzip;q=0.5', undefined],
    ['identity;q=0, gzip;q=0.5', 'gzip'],
    ['gzip;q=2', undefined],
    ['gzip;q=', undefined],
    ['gzip;level=9', 'gzip'],
    ['x-gzip, zstd', undefined],
  ] as const) {
    test(`by ${JSON.stringify(accepted)} is ${String(coding)}`, () => {
      assert.equal(preferredCoding(accepted === undefined ? [] : ['Accept-Encoding', accepted]), coding);
    });
  }

  test('is found in linear time', () => {
    const startedMs = performance.now();

    preferredCoding(['Accept-Encoding', `gzip;q=0.${'0'.repeat(64 * 1024)}`]);
    preferredCoding(['Accept-Encoding', 'gzip;'.repeat(13_000)]);

    assert.ok(performance.now() - startedMs < 500);
  });
});

describe('an answer', () => {
  for (const [name, { status = 200, fields = JSON_TYPE, body = large }, is] of [
    ['in JSON', {}, true],
    ['in text with a charset', { fields: ['Content-Type', 'Text/HTML; charset=utf-8'] }, true],
    ['in a kind of JSON', { fields: ['Content-Type', 'application/problem+json'], status: 422 }, true],
    ['without a type', { fields: [] }, false],
    ['that is an image', { fields: ['Content-Type', 'image/png'] }, false],
    ['that is an event stream', { fields: ['Content-Type', 'text/event-stream'] }, false],
    ['that is small', { body: Buffer.alloc(1_023) }, false],
    ['without content', { status: 204 }, false],
    ['in part', { status: 206 }, false],
    ['that is not modified', { status: 304 }, false],
    ['with a cookie', { fields: [...JSON_TYPE, 'Set-Cookie', 'a=1'] }, false],
    ['that is coded already', { fields: [...JSON_TYPE, 'Content-Encoding', 'gzip'] }, false],
    ['with a sum of its bytes', { fields: [...JSON_TYPE, 'Content-Digest', 'sha-256=:a:'] }, false],
    ['that no intermediary may change', { fields: [...JSON_TYPE, 'Cache-Control', 'max-age=60, No-Transform'] }, false],
    ['that may be stored', { fields: [...JSON_TYPE, 'Cache-Control', 'max-age=60'] }, true],
  ] as const) {
    test(`${name} is ${is ? '' : 'not '}compressed`, () => {
      assert.equal(isCompressible({ status, fields: [...fields], body, via: null }), is);
    });
  }
});

describe('the head of an answer', () => {
  test('that is compressed has no length, and a tag that means the same', () => {
    const fields = [...JSON_TYPE, 'Content-Length', '2000', 'ETag', '"a"', 'Accept-Ranges', 'bytes'];

    codeHead(fields, 'br');

    assert.deepEqual(fields, [...JSON_TYPE, 'Content-Encoding', 'br', 'ETag', 'W/"a"']);
  });

  test('says once that it depends on Accept-Encoding', () => {
    for (const [before, after] of [
      [[], ['Vary', 'Accept-Encoding']],
      [
        ['Vary', '*'],
        ['Vary', '*'],
      ],
      [
        ['Vary', 'Origin, accept-encoding'],
        ['Vary', 'Origin, accept-encoding'],
      ],
    ] as const) {
      const fields: string[] = [...before];
      varyByCoding(fields);
      assert.deepEqual(fields, after);
    }
    const both = ['Vary', 'Origin'];
    varyByCoding(both);
    assert.match(both.join(' '), /Origin.*Accept-Encoding/);
  });
});
