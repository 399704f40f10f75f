import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAILURES, type FailureCode } from '../../../gateway/domain/errors.ts';
import { fromBase64 } from '../../../gateway/domain/grpc/envelope.ts';
import {
  toAnswerMessage,
  toHttpRequest,
  type HttpRule,
  parsePathTemplate,
} from '../../../gateway/domain/grpc/http-rule.ts';
import { speechOf, connectTimeoutMsOf, timeoutMsOf } from '../../../gateway/domain/grpc/speech.ts';
import { codeOfFailure, codeOfHttp, encodeMessage } from '../../../gateway/domain/grpc/status.ts';

function rule(
  method: string,
  path: string,
  { body, responseBody }: { body?: string; responseBody?: string } = {},
): HttpRule {
  const template = parsePathTemplate(path);
  if (typeof template === 'string') throw new Error(template);
  const at = (field: string) => ({ field, names: field.split('.') });
  return {
    ...{ method, path: template, variables: template.variables.map(at) },
    body: body === undefined || body === '*' ? body : at(body),
    responseBody: responseBody === undefined ? undefined : at(responseBody),
  };
}

describe('a message as a request', () => {
  const message = { id: 'a b', book: { id: 7, title: 'x' }, tags: ['p', 'q&'], n: 0, none: '' };
  const cases: readonly (readonly [string, HttpRule, object | undefined])[] = [
    ['body: *', rule('POST', '/p', { body: '*' }), { path: '/p', query: '', body: message }],
    [
      'what the path holds is not told again',
      rule('POST', '/p/{id}/{book.id}', { body: '*' }),
      { path: '/p/a%20b/7', query: '', body: { book: { title: 'x' }, tags: ['p', 'q&'], n: 0, none: '' } },
    ],
    [
      'one field is the body, the rest the query',
      rule('PUT', '/p', { body: 'book' }),
      { path: '/p', query: 'id=a%20b&tags=p&tags=q%26&n=0', body: { id: 7, title: 'x' } },
    ],
    [
      'fields of fields stand in the query by their path',
      rule('GET', '/p/{id}'),
      { path: '/p/a%20b', query: 'book.id=7&book.title=x&tags=p&tags=q%26&n=0', body: undefined },
    ],
    ['a variable without a value', rule('GET', '/p/{none}'), undefined],
    ['a variable that is not there', rule('GET', '/p/{other}'), undefined],
  ];
  for (const [name, binding, expected] of cases) {
    test(name, () => {
      const request = toHttpRequest([binding], message);
      const { path, query, body } = request ?? {};
      assert.deepEqual(request && { path, query, body }, expected);
    });
  }

  test('is one by the first binding whose variables it fills', () => {
    const rules = [rule('GET', '/{name=shelves/*}/books'), rule('GET', '/{name=docs/**}'), rule('GET', '/all')];
    const pathOf = (name: string) => toHttpRequest(rules, { name })?.path;

    assert.deepEqual(['shelves/1', 'docs/a/b c', 'shelves/1/2', 'docs', 'shelves/'].map(pathOf), [
      '/shelves/1/books',
      '/docs/a/b%20c',
      '/all',
      '/docs',
      '/all',
    ]);
  });

  test('is answered by a field where the rule says so', () => {
    assert.deepEqual(toAnswerMessage(rule('GET', '/', { responseBody: 'rows' }), [1]), { rows: [1] });
    assert.deepEqual(toAnswerMessage(rule('GET', '/'), { a: 1 }), { a: 1 });
  });

  test('has a path of literals and variables, and no other', () => {
    for (const path of ['p', '/{', '/{a=**/b}', '/{a=}', '/a b', '/{a.}', '/*'])
      assert.equal(typeof parsePathTemplate(path), 'string', path);
  });
});

describe('the end of a call', () => {
  test('is gRPC’s own mapping of R’s status', () => {
    const pairs = [200, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504].map(status => [
      status,
      codeOfHttp(status),
    ]);
    assert.deepEqual(Object.fromEntries(pairs), {
      ...{ 200: 'OK', 204: 'OK', 302: 'UNKNOWN', 400: 'INTERNAL', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED' },
      ...{ 404: 'UNIMPLEMENTED', 409: 'UNKNOWN', 422: 'UNKNOWN', 429: 'UNAVAILABLE', 500: 'UNKNOWN' },
      ...{ 502: 'UNAVAILABLE', 503: 'UNAVAILABLE', 504: 'UNAVAILABLE' },
    });
  });

  test('is google.rpc.Code’s for each refusal and failure of the gateway’s', () => {
    const codes = Object.fromEntries((Object.keys(FAILURES) as FailureCode[]).map(code => [code, codeOfFailure(code)]));
    const some = {
      BAD_REQUEST: 'INVALID_ARGUMENT',
      UNAUTHENTICATED: 'UNAUTHENTICATED',
      FORBIDDEN: 'PERMISSION_DENIED',
    };
    const more = { NO_ROUTE: 'UNIMPLEMENTED', INVALID_INPUT: 'INVALID_ARGUMENT', RATE_LIMITED: 'RESOURCE_EXHAUSTED' };
    const ours = { BODY_TOO_LARGE: 'RESOURCE_EXHAUSTED', INTERNAL: 'INTERNAL', DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED' };
    const rs = {
      CONNECT_FAILED: 'UNAVAILABLE',
      QUEUE_FULL: 'UNAVAILABLE',
      CALLER_GONE: 'CANCELLED',
      DRAINING: 'UNAVAILABLE',
    };
    for (const [code, name] of Object.entries({ ...some, ...more, ...ours, ...rs }))
      assert.equal(codes[code], name, code);
    assert.ok(!Object.values(codes).includes('UNKNOWN'));
  });

  test('is told in printable ASCII', () => {
    assert.equal(encodeMessage('50 % of ü\n\ud800'), '50 %25 of %C3%BC%0A%EF%BF%BD');
  });
});

describe('what a caller says of a call', () => {
  test('is its time', () => {
    assert.deepEqual(
      [
        '1H',
        '2M',
        '3S',
        '4m',
        '5000u',
        '6000000n',
        '0S',
        '99999999m',
        '123456789m',
        '5',
        'S',
        '-1S',
        '1.5S',
        ' 1S',
      ].map(timeoutMsOf),
      [3_600_000, 120_000, 3_000, 4, 5, 6, 0, 99_999_999, ...Array<undefined>(6).fill(undefined)],
    );
    assert.deepEqual(['0', '1500', '12345678901', '1s', ''].map(connectTimeoutMsOf), [
      0,
      1500,
      ...Array<undefined>(3).fill(undefined),
    ]);
  });

  test('is its protocol, by its media type', () => {
    const spoken = (type: string) => {
      const speech = speechOf(['Content-Type', type]);
      return speech && `${speech.protocol} ${speech.format}${speech.isText ? ' text' : ''} ${speech.mediaType}`;
    };
    assert.deepEqual(
      [
        'application/grpc',
        'application/grpc+json',
        'Application/gRPC-web-text+proto',
        'application/grpc-web; charset=x',
        'application/json; charset=utf-8',
      ].map(spoken),
      [
        'grpc proto application/grpc',
        'grpc json application/grpc+json',
        'grpc-web proto text application/grpc-web-text+proto',
        'grpc-web proto application/grpc-web',
        'connect json application/json',
      ],
    );
    for (const type of ['application/grpcx', 'application/grpc+thrift', 'application/connect+proto', 'text/plain', ''])
      assert.equal(spoken(type), undefined, type);
  });

  test('may be base64 whose pieces are padded', () => {
    assert.equal(fromBase64(Buffer.from('YQ==YmM=ZGVm')).toString(), 'abcdef');
    assert.throws(() => fromBase64(Buffer.from('Y Q')), { code: 'BAD_REQUEST' });
  });
});
