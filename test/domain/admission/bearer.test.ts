import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  badToken,
  insufficientScope,
  missingCredential,
  readCredential,
  TOKEN_FAULTS,
  type TokenFault,
} from '../../../gateway/domain/admission/bearer.ts';
import { fieldOf } from '../../../gateway/domain/http/fields.ts';
import type { GatewayError } from '../../../gateway/domain/errors.ts';

const challengeOf = (error: GatewayError) => fieldOf(error.fields, 'www-authenticate');

describe('a credential', () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    test(`is a token after ${scheme}, whatever the case and the spaces`, () => {
      const expected = { kind: 'bearer', token: 'a.b-c_d~e+f/g==' };

      assert.deepEqual(readCredential(['authorization', `${scheme} a.b-c_d~e+f/g==`]), expected);
      assert.deepEqual(readCredential(['AUTHORIZATION', ` ${scheme}   a.b-c_d~e+f/g== `]), expected);
    });
  }

  test('is none where there is no such field', () => {
    assert.deepEqual(readCredential(['X-Authorization', 'Bearer a']), { kind: 'none' });
  });

  for (const value of ['Basic YTpi', 'Digest a="b"', '', 'Bearerx a', 'a b c', '=']) {
    test(`of no scheme of ours is foreign: ${JSON.stringify(value)}`, () => {
      assert.deepEqual(readCredential(['Authorization', value]), { kind: 'foreign' });
    });
  }

  for (const value of ['Bearer', 'Bearer ', 'Bearer a b', 'Bearer "a"', 'Bearer a,b', 'Bearer ä', 'Bearer =a']) {
    test(`that cannot be a token is refused: ${JSON.stringify(value)}`, () => {
      assert.throws(() => readCredential(['Authorization', value]), { code: 'UNAUTHENTICATED' });
    });
  }

  test('said twice is refused, even when equal', () => {
    const twice = ['Authorization', 'Bearer a', 'authorization', 'Bearer a'];

    assert.throws(() => readCredential(twice), { code: 'BAD_REQUEST' });
  });
});

describe('the challenge', () => {
  test('of a request without a credential names no error', () => {
    assert.equal(challengeOf(missingCredential([])), 'Bearer realm="penstock"');
    assert.equal(challengeOf(missingCredential(['a', 'b'])), 'Bearer realm="penstock", scope="a b"');
  });

  test('of a bad token says what is wrong with it', () => {
    assert.equal(
      challengeOf(badToken('expired')),
      'Bearer realm="penstock", error="invalid_token", error_description="The token has expired."',
    );
  });

  test('of a caller who may not says what they would need', () => {
    const error = insufficientScope('penstock-dev/alice', ['predict', 'read']);

    assert.equal(error.code, 'FORBIDDEN');
    assert.match(challengeOf(error) ?? '', /error="insufficient_scope", .*, scope="predict read"$/);
  });

  test('can never be broken out of', () => {
    const challenge = challengeOf(insufficientScope('x', ['a"b', 'c\\d', 'e\r\nf', 'ü'])) ?? '';

    assert.match(challenge, /scope="ab cd ef "$/);
  });

  test('describes every fault in words that a header and a quoted string may hold', () => {
    for (const fault of Object.keys(TOKEN_FAULTS) as TokenFault[]) {
      assert.match(TOKEN_FAULTS[fault], /^[ !#-[\]-~]+$/);
      assert.ok(challengeOf(badToken(fault))?.includes(TOKEN_FAULTS[fault]));
    }
  });
});
