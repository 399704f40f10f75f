import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Answer } from '../../../../gateway/domain/exchange.ts';
import { entityTagOf, unlessKnown } from '../../../../gateway/domain/sharing/cache/entity-tag.ts';
import { sha256 } from '../../../../gateway/edges/digest.ts';
import { aMatched } from '../../../support/requests.ts';

const MODIFIED = 'Thu, 01 Jan 2026 12:00:00 GMT';
const FIELDS = ['Content-Type', 'application/json', 'ETag', '"a,b"', 'Last-Modified', MODIFIED, 'Vary', 'Accept'];
const OK: Answer = { kind: 'answer', status: 200, rawHeaders: FIELDS, body: Buffer.from('[1]') };

const given = (rawHeaders: readonly string[], { method = 'GET', answer = OK } = {}): number =>
  unlessKnown(answer, aMatched({ request: { method, rawHeaders } })).status;

describe('the entity tag of a body', () => {
  test('is strong, quoted, and another for another body', () => {
    assert.match(entityTagOf(Buffer.from('[1]'), sha256), /^"[\w-]{43}"$/);
    assert.notEqual(entityTagOf(Buffer.from('[1]'), sha256), entityTagOf(Buffer.from('[2]'), sha256));
  });
});

describe('an answer that the caller has already', () => {
  for (const tags of ['"a,b"', 'W/"a,b"', '"x", "a,b"', '"x" , W/"y",W/"a,b"', '*', ' * ']) {
    test(`is not given again: ${tags}`, () => assert.equal(given(['If-None-Match', tags]), 304));
  }

  for (const tags of ['"a"', '"b"', '"A,B"', 'a,b', '"a', '']) {
    test(`is given where the tag is another: ${JSON.stringify(tags)}`, () => {
      assert.equal(given(['If-None-Match', tags]), 200);
    });
  }

  test('is known by its tag on any line, and for HEAD', () => {
    const asked = ['If-None-Match', '"x"', 'if-none-match', '"a,b"'];

    assert.equal(given(asked), 304);
    assert.equal(given(asked, { method: 'HEAD' }), 304);
    assert.equal(given(asked, { method: 'POST' }), 200);
  });

  test('is known by its date where no tag is said', () => {
    assert.equal(given(['If-Modified-Since', MODIFIED]), 304);
    assert.equal(given(['If-Modified-Since', 'Thu, 01 Jan 2026 11:59:59 GMT']), 200);
    assert.equal(given(['If-Modified-Since', 'yesterday']), 200);
    assert.equal(given(['If-None-Match', '"x"', 'If-Modified-Since', MODIFIED]), 200);
  });

  for (const status of [199, 301, 404, 500]) {
    test(`is told in full where it is no success: ${status}`, () => {
      assert.equal(given(['If-None-Match', '*'], { answer: { ...OK, status } }), status);
    });
  }

  test('keeps what guides whoever kept it, and nothing that describes a content', () => {
    const { rawHeaders, body } = unlessKnown(OK, aMatched({ request: { rawHeaders: ['If-None-Match', '*'] } }));

    assert.deepEqual(rawHeaders, ['ETag', '"a,b"', 'Last-Modified', MODIFIED, 'Vary', 'Accept']);
    assert.equal((body as Buffer).length, 0);
  });

  test('lets go of a body that still comes', () => {
    const body = new Readable({ read: () => undefined });

    assert.equal(given(['If-None-Match', '*'], { answer: { ...OK, body } }), 304);
    assert.equal(body.destroyed, true);
  });
});
