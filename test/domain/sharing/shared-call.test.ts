import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Filter, RequestDraft, Sharing } from '../../../gateway/domain/route.ts';
import type { UpstreamRequestOptions } from '../../../gateway/domain/upstream.ts';
import { SharedCall } from '../../../gateway/domain/sharing/shared-call.ts';
import { sha256 } from '../../../gateway/edges/digest.ts';
import { aCompleteCall, aSharing, aSharingRoute } from '../../support/sharing.ts';

interface CallTraits {
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

function shared(requested: CallTraits = {}): SharedCall {
  const {
    method,
    path,
    query,
    host,
    fields,
    id,
    routeId,
    caller,
    body,
    varyBy = [],
    ...traits
  } = {
    ...{ ...USUAL, caller: 'alice', body: '{"a":1}' },
    ...requested,
  };
  const sharing = aSharing({ varyBy });
  const call = aCompleteCall(aSharingRoute(sharing, { versions: '1.0.0', ...traits, id: routeId }), {
    request: { method, path, query, host, fields, id },
    caller: { kind: 'jwt', id: caller, subject: caller, scopes: [], roles: [] },
    content: Buffer.from(body),
  });
  return new SharedCall(call, sharing, sha256);
}

const keyOf = (requested: CallTraits = {}) => shared(requested).key;
const json = (type: string) => ['Content-Type', type];
const caller = { kind: 'caller' } as const;
const header = (name: string) => ({ kind: 'header', name }) as const;
const writing = (change: (draft: RequestDraft) => void): Filter => ({ name: 'F', text: 'F', onRequest: change });
const FORM = 'application/x-www-form-urlencoded';

describe('the key of a request that shares', () => {
  const equal: readonly (readonly [what: string, one: CallTraits, other: CallTraits])[] = [
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

  const differing: readonly (readonly [what: string, one: CallTraits, other: CallTraits])[] = [
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

  test('is what it was, however often it is computed and whatever else was asked of the route', () => {
    const [sharing, digested] = [aSharing(), new Set<string>()];
    const digest = (text: string | Buffer) => {
      digested.add(text.toString());
      return sha256(text);
    };
    const route = aSharingRoute(sharing, { versions: '1' });
    const keyFor = (i: number, spaces: number) => {
      const content = Buffer.from(`{"a":${' '.repeat(spaces)}${i}}`);
      const request = { method: 'POST' };
      return new SharedCall(aCompleteCall(route, { request, content }), sharing, digest).key;
    };
    const numbers = Array.from({ length: 1_500 }, (_, i) => i);

    const first = numbers.map(i => keyFor(i, 0));
    const again = numbers.map(i => keyFor(i, i % 3));
    Object.assign(route.service, { versions: '2' });
    const later = numbers.map(i => keyFor(i, 0));

    assert.deepEqual(again, first);
    assert.equal(new Set([...first, ...later]).size, 3_000);
    assert.equal(digested.size, 3_000);
  });

  test('is not digested anew for what was asked a moment ago', () => {
    let digests = 0;
    const digest = (text: string | Buffer) => {
      digests += 1;
      return sha256(text);
    };
    const sharing = aSharing();
    const route = aSharingRoute(sharing);
    const keyFor = (content: string) => {
      const request = { method: 'POST' };
      return new SharedCall(aCompleteCall(route, { request, content: Buffer.from(content) }), sharing, digest).key;
    };
    const long = JSON.stringify('x'.repeat(2_000));

    const keys = ['[1]', '[1]', '[2]', '[1]', long, long].map(keyFor);

    assert.equal(new Set(keys).size, 3);
    assert.equal(digests, 4, 'a long text is digested each time');
  });

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

    assert.deepEqual(message.fields, ['Content-Type', 'a/b', 'Content-Encoding', 'x']);
    assert.equal(String(message.body), '{"a":1}');
  });

  test('says who calls, and what varyBy names, only where it does', () => {
    const fields = ['X-Tenant', 'a', 'X-Other', 'b', 'Content-Type', 'application/json; charset=utf-8'];

    assert.deepEqual(shared({ fields, varyBy: [header('x-tenant')] }).message.fields, [
      ...['X-Tenant', 'a', 'Content-Type', 'application/json'],
    ]);
    assert.ok(shared({ varyBy: [caller] }).message.fields.includes('X-Penstock-Subject'));
    assert.deepEqual(shared({ fields, varyBy: [header('content-type')] }).message.fields, [
      ...['Content-Type', 'application/json; charset=utf-8'],
    ]);
  });

  test('holds what filters add, and the secret by which R knows the gateway', () => {
    const filters = [writing(draft => draft.fields.push('X-Added', 'yes'))];

    const { fields: sent } = shared({ filters, sharedSecret: 'hush' }).message;

    assert.deepEqual(sent, ['Content-Type', 'application/json', 'X-Added', 'yes', 'PLUMBER-SHARED-SECRET', 'hush']);
  });
});

describe('how a call that shares is put to R', () => {
  test('is in the flow of its own caller, for as long as those that share it wait, and open to others', () => {
    const requested = shared({ method: 'HEAD', body: '', caller: 'bob', id: 'two' });
    const share: { endsMs: number; keepLate: UpstreamRequestOptions['keepLate'] } = { endsMs: 7, keepLate: undefined };

    const options = requested.requestOptions(requested.call, share);

    const { id, method, callerId, affinity, endsMs, isShared, waiting } = options;
    assert.deepEqual([id, method, callerId, affinity, endsMs, isShared], ['two', 'HEAD', 'bob', '', 7, true]);
    assert.equal(waiting, requested.call);
    assert.equal(options.message(), requested.message);
    assert.equal(options.keepLate, undefined);
    share.keepLate = () => undefined;
    assert.equal(options.keepLate, share.keepLate, 'a call that would store the answer came later');
  });
});
