import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  badCredential,
  CREDENTIAL_FAULTS,
  insufficientScope,
  missingCredential,
  type CredentialFault,
} from '../../../gateway/domain/admission/challenge.ts';
import { readCredential } from '../../../gateway/domain/admission/scheme.ts';
import { fieldOf, fieldsOf } from '../../../gateway/domain/http/fields.ts';
import type { GatewayError } from '../../../gateway/domain/errors.ts';
import { knownCaller } from '../../../gateway/domain/caller.ts';
import { anAuth } from '../../support/requests.ts';

const alice = knownCaller('jwt', { issuer: 'dev', subject: 'alice', scopes: ['predict'], roles: [] });
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

  for (const value of ['Negotiate YTpi', 'Digest a="b"', '', 'Bearerx a', 'a b c', '=']) {
    test(`of no scheme of ours is foreign: ${JSON.stringify(value)}`, () => {
      assert.deepEqual(readCredential(['Authorization', value]), { kind: 'foreign' });
    });
  }

  test('is what stands after ApiKey or Basic, for the scheme to judge', () => {
    assert.deepEqual(readCredential(['Authorization', 'apikey a b']), { kind: 'api-key', key: 'a b' });
    assert.deepEqual(readCredential(['Authorization', 'BASIC YTpi']), { kind: 'basic', encoded: 'YTpi' });
  });

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
    assert.equal(challengeOf(missingCredential(anAuth())), 'Bearer realm="penstock"');
    assert.equal(
      challengeOf(missingCredential(anAuth({ scopes: ['a', 'b'] }))),
      'Bearer realm="penstock", scope="a b"',
    );
  });

  test('names every scheme that the route takes, each once, and one even where it takes none', () => {
    const all = missingCredential(anAuth({ allow: ['jwt', 'api-key', 'opaque', 'ldap', 'mtls', 'anonymous'] }));

    assert.deepEqual(fieldsOf(all.fields, 'www-authenticate'), [
      'Bearer realm="penstock"',
      'ApiKey realm="penstock"',
      'Basic realm="penstock", charset="UTF-8"',
      'Certificate realm="penstock"',
    ]);
    assert.equal(challengeOf(missingCredential(anAuth({ allow: ['anonymous'] }))), 'Bearer realm="penstock"');
  });

  test('of a bad token says what is wrong with it', () => {
    assert.equal(
      challengeOf(badCredential('jwt', 'expired')),
      'Bearer realm="penstock", error="invalid_token", error_description="The token has expired."',
    );
  });

  test('of a caller who may not says what they lack, and what they would need', () => {
    const auth = anAuth({ scopes: ['predict', 'read'] });
    const error = insufficientScope(alice, auth, 'The credential lacks the scope read.');

    assert.deepEqual([error.code, error.detail], ['FORBIDDEN', 'The credential lacks the scope read.']);
    assert.match(
      challengeOf(error) ?? '',
      /error="insufficient_scope", .*lacks the scope read.", scope="predict read"$/,
    );
    assert.equal(challengeOf(insufficientScope({ ...alice, kind: 'api-key' }, auth, 'x')), undefined);
  });

  test('can never be broken out of', () => {
    const auth = anAuth({ scopes: ['a"b', 'c\\d', 'e\r\nf', 'ü'] });

    assert.match(challengeOf(insufficientScope(alice, auth, 'x')) ?? '', /scope="ab cd ef "$/);
  });

  test('describes every fault in words that a header and a quoted string may hold', () => {
    for (const fault of Object.keys(CREDENTIAL_FAULTS) as CredentialFault[]) {
      assert.match(CREDENTIAL_FAULTS[fault], /^[ !#-[\]-~]+$/);
      assert.ok(challengeOf(badCredential('jwt', fault))?.includes(CREDENTIAL_FAULTS[fault]));
    }
  });
});
