import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Complete } from '../../../gateway/domain/exchange.ts';
import type { Filter, RequestDraft, Sharing } from '../../../gateway/domain/route.ts';
import { sharedOf } from '../../../gateway/domain/sharing/shared-key.ts';
import { sha256 } from '../../../gateway/edges/digest.ts';
import { aComplete } from '../../support/requests.ts';
import { aSharing } from '../../support/sharing.ts';

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly host?: string;
  readonly fields?: readonly string[];
  readonly body?: string | Buffer;
  readonly caller?: string;
  readonly versions?: string;
  readonly routeId?: string;
  readonly filters?: readonly Filter[];
  readonly varyBy?: Sharing['varyBy'];
  readonly id?: string;
  readonly sharedSecret?: string;
}

const USUAL = { method: 'POST', path: '/predict', query: '', host: 'a.test', fields: [], id: 'one', routeId: 'fuel' };

function completeOf(asked: Asked): Complete {
  const { method, path, query, host, fields, id, routeId, caller, versions, ...more } = {
    ...{ ...USUAL, caller: 'alice', versions: '1.0.0', filters: [], body: '{"a":1}' },
    ...asked,
  };
  const complete = aComplete({
    request: { method, path, query, host, rawHeaders: fields, id },
    caller: { kind: 'jwt', id: caller, subject: caller, scopes: [], roles: [] },
    ...{ ...more, routeId, content: Buffer.from(more.body) },
  });
  const { route } = complete;
  return { ...complete, route: { ...route, service: { ...route.service, versions } } };
}

const shared = (asked: Asked = {}) => sharedOf(completeOf(asked), aSharing({ varyBy: asked.varyBy ?? [] }), sha256);
const keyOf = (asked: Asked = {}) => shared(asked).key;
const json = (type: string) => ['Content-Type', type];
const caller = { kind: 'caller' } as const;
const header = (name: string) => ({ kind: 'header', name }) as const;
const writing = (change: (draft: RequestDraft) => void): Filter => ({ name: 'F', text: 'F', onRequest: change });
const FORM = 'application/x-www-form-urlencoded';

describe('the key of a request that shares', () => {
  const equal: readonly (readonly [what: string, one: Asked, other: Asked])[] = [
    ['members in another order', { body: '{"a":1,"b":2}' }, { body: '{"b":2,"a":1}' }],
    ['JSON with no type and with its own', {}, { fields: json('application/json') }],
    ['JSON in UTF-8, said or not', { fields: json('Application/JSON; charset="utf-8"') }, {}],
    ['JSON that says it is a form', { fields: json(FORM), body: '[1, 2]' }, { fields: json(FORM), body: '[1,2]' }],
    ['what is of the caller alone', { fields: ['Cookie', 'a', 'Accept', 'b', 'X-A', 'c'], id: 'two' }, {}],
    ['callers, where nothing is said of them', { caller: 'bob' }, {}],
    ['HEAD and GET', { method: 'HEAD', body: '' }, { method: 'GET', body: '' }],
    [
      'the type of a body that is not there',
      { method: 'GET', body: '', fields: json('a/b') },
      { method: 'GET', body: '' },
    ],
    ['hosts, where R is told none', { host: 'b.test' }, {}],
    ['the case of names', { fields: ['content-language', 'de'] }, { fields: ['Content-Language', 'de'] }],
    [
      'the order of fields of different names',
      { fields: ['Content-Language', 'de', 'Content-Type', 'a/b'] },
      { fields: ['Content-Type', 'a/b', 'Content-Language', 'de'] },
    ],
    ['secrets of the gateway’s own', { sharedSecret: 'a' }, { sharedSecret: 'b' }],
  ];
  for (const [what, one, other] of equal) {
    test(`is the same for ${what}`, () => {
      assert.equal(keyOf(one), keyOf(other));
    });
  }

  const differing: readonly (readonly [what: string, one: Asked, other: Asked])[] = [
    ['values', { body: '{"a":1}' }, { body: '{"a":1.0}' }],
    ['methods', { method: 'GET', body: '' }, { method: 'POST', body: '' }],
    ['paths', { path: '/a' }, { path: '/b' }],
    ['queries', { query: 'a=1' }, { query: 'a=2' }],
    ['a query and a path that read alike', { path: '/a%3Fb' }, { path: '/a', query: 'b' }],
    ['versions of the model', { versions: '1.0.0' }, { versions: '1.0.0,1.1.0' }],
    ['routes', { routeId: 'a' }, { routeId: 'b' }],
    ['types that R reads otherwise', { fields: json('text/plain') }, {}],
    ['JSON and the same as a form', { fields: json(FORM) }, {}],
    ['forms', { fields: json(FORM), body: 'a=1&b=2' }, { fields: json(FORM), body: 'b=2&a=1' }],
    [
      'JSON that a form would read otherwise',
      { fields: json(FORM), body: '{"a":"x=1","b":2}' },
      { fields: json(FORM), body: '{"b":2,"a":"x=1"}' },
    ],
    [
      'text that looks like JSON',
      { fields: json('text/plain'), body: '[1]' },
      { fields: json('text/plain'), body: '[1 ]' },
    ],
    ['charsets', { fields: json('application/json; charset=latin1') }, {}],
    ['what is no JSON', { body: '{"a":1' }, { body: '{"a": 1' }],
    ['bytes', { body: Buffer.from([0xff]) }, { body: Buffer.from([0xfe]) }],
    [
      'one line of a field and two',
      { fields: ['Content-Tag', 'a, b'] },
      { fields: ['Content-Tag', 'a', 'Content-Tag', 'b'] },
    ],
    ['callers by varyBy', { varyBy: [caller], caller: 'alice' }, { varyBy: [caller], caller: 'bob' }],
    [
      'a header by varyBy',
      { varyBy: [header('x-t')], fields: ['X-T', 'a'] },
      { varyBy: [header('x-t')], fields: ['X-T', 'b'] },
    ],
    ['a header and none', { varyBy: [header('x-t')], fields: ['X-T', ''] }, { varyBy: [header('x-t')] }],
    [
      'a header by varyBy that R is not sent',
      { varyBy: [header('x_t')], fields: ['X_T', 'a'] },
      { varyBy: [header('x_t')], fields: ['X_T', 'b'] },
    ],
    [
      'headers that say the same',
      { varyBy: [header('x_a'), header('x_b')], fields: ['X_A', 'same'] },
      { varyBy: [header('x_a'), header('x_b')], fields: ['X_B', 'same'] },
    ],
    [
      'what a filter takes from the caller',
      { filters: [writing(draft => draft.fields.push('X-B', 'a'))] },
      { filters: [writing(draft => draft.fields.push('X-B', 'b'))] },
    ],
    [
      'hosts that a filter keeps',
      { filters: [writing(draft => (draft.host = 'a'))] },
      { filters: [writing(draft => (draft.host = 'b'))] },
    ],
  ];
  for (const [what, one, other] of differing) {
    test(`is another for other ${what}`, () => {
      assert.notEqual(keyOf(one), keyOf(other));
    });
  }

  test('has a group that is the same whatever the body', () => {
    assert.equal(shared({ body: '[1]' }).group, shared({ body: '[2]' }).group);
    assert.notEqual(shared({ path: '/a' }).group, shared({ path: '/b' }).group);
    assert.doesNotMatch(shared({ sharedSecret: 'hush-hush' }).group, /hush-hush/);
  });
});

describe('what R is sent of a request that shares', () => {
  test('is the content with its own fields, and nothing of the caller', () => {
    const fields = [
      'Content-Type',
      'a/b',
      'Content-Encoding',
      'x',
      'Accept',
      'c',
      'Authorization',
      'd',
      'X-E',
      'f',
      'Range',
      'g',
    ];

    const { message } = shared({ fields });

    assert.deepEqual(message.rawHeaders, ['Content-Type', 'a/b', 'Content-Encoding', 'x']);
    assert.equal(String(message.body), '{"a":1}');
  });

  test('says who calls, and what varyBy names, only where it does', () => {
    const fields = ['X-Tenant', 'a', 'X-Other', 'b', 'Content-Type', 'application/json; charset=utf-8'];

    assert.deepEqual(shared({ fields, varyBy: [header('x-tenant')] }).message.rawHeaders, [
      ...['X-Tenant', 'a', 'Content-Type', 'application/json'],
    ]);
    assert.ok(shared({ varyBy: [caller] }).message.rawHeaders.includes('X-Penstock-Subject'));
    assert.deepEqual(shared({ fields, varyBy: [header('content-type')] }).message.rawHeaders, [
      ...['Content-Type', 'application/json; charset=utf-8'],
    ]);
  });

  test('holds what filters add, and the secret by which R knows the gateway', () => {
    const filters = [writing(draft => draft.fields.push('X-Added', 'yes'))];

    const { rawHeaders } = shared({ filters, sharedSecret: 'hush' }).message;

    assert.deepEqual(rawHeaders, [
      'Content-Type',
      'application/json',
      'X-Added',
      'yes',
      'PLUMBER-SHARED-SECRET',
      'hush',
    ]);
  });
});
