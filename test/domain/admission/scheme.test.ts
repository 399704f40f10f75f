import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Credential, Schemes, type Scheme } from '../../../gateway/domain/admission/scheme.ts';
import { fieldOf } from '../../../gateway/domain/http/fields.ts';
import { aMatched, anAuth } from '../../support/requests.ts';

const unasked = () => assert.fail('asked');
const aScheme = (name: Scheme['name'], kind: Credential['kind'], more: Partial<Scheme> = {}): Scheme => ({
  name,
  takes: credential => credential.kind === kind,
  identify: unasked,
  ...more,
});
const key = (text: string): Credential => ({ kind: 'api-key', key: text });
const jwt = aScheme('jwt', 'bearer');
const keys = aScheme('api-key', 'api-key', {
  brought: call => {
    const brought = fieldOf(call.fields, 'x-api-key');
    return brought === undefined ? undefined : key(brought);
  },
});
/** Stands in for a certificate: on every call. */
const ofConnection = aScheme('mtls', 'foreign', { brought: () => ({ kind: 'foreign' }), standsBack: true });

const BEARER = ['Authorization', 'Bearer a'];
const KEY = ['X-API-Key', 'k'];
const both = anAuth({ allow: ['jwt', 'api-key'] });
const credentialOf = (schemes: readonly Scheme[], fields: readonly string[], auth = both) =>
  new Schemes(schemes).credentialOf(aMatched({ request: { fields } }), auth);

describe('the credential of a call', () => {
  test('stands in Authorization, or where its scheme looks for it', () => {
    assert.deepEqual(credentialOf([jwt, keys], BEARER), { kind: 'bearer', token: 'a' });
    assert.deepEqual(credentialOf([jwt, keys], KEY), key('k'));
    assert.deepEqual(credentialOf([jwt, keys], []), { kind: 'none' });
  });

  test('is the one that the route takes, where a call brings several', () => {
    assert.deepEqual(credentialOf([jwt, keys], [...BEARER, ...KEY], anAuth()), { kind: 'bearer', token: 'a' });
    assert.deepEqual(credentialOf([jwt, keys], [...BEARER, ...KEY], anAuth({ allow: ['api-key'] })), key('k'));
  });

  test('would be a guess where the route takes more than one of them', () => {
    assert.throws(() => credentialOf([jwt, keys], [...BEARER, ...KEY]), { code: 'BAD_REQUEST' });
    assert.throws(() => credentialOf([jwt, keys], ['Authorization', 'ApiKey a', ...KEY]), { code: 'BAD_REQUEST' });
  });

  test('is the connection’s own only where the call brings no other', () => {
    const auth = anAuth({ allow: ['jwt', 'mtls'] });

    assert.deepEqual(credentialOf([jwt, ofConnection], BEARER, auth), { kind: 'bearer', token: 'a' });
    assert.deepEqual(credentialOf([jwt, ofConnection], [], auth), { kind: 'foreign' });
    assert.deepEqual(credentialOf([jwt, ofConnection], []), { kind: 'none' }, 'the route does not take it');
  });

  test('belongs to the first scheme that takes its form, or to none', () => {
    const schemes = new Schemes([aScheme('opaque', 'bearer'), jwt]);

    assert.equal(schemes.of({ kind: 'bearer', token: 'a' })?.name, 'opaque');
    assert.equal(schemes.of(key('k')), undefined);
    assert.equal(schemes.of({ kind: 'none' }), undefined);
  });
});
