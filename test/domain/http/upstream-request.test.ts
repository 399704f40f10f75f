import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fieldOf, fieldsOf, hasField, setField } from '../../../gateway/domain/http/fields.ts';
import type { Filter, RequestDraft } from '../../../gateway/domain/route.ts';
import { composeUpstream } from '../../../gateway/domain/http/upstream-request.ts';
import { anAdmitted, anAuth } from '../../support/requests.ts';

type Traits = Parameters<typeof anAdmitted>[0];

const NOTHING = Buffer.alloc(0);
const compose = (traits: Traits = {}) => composeUpstream(anAdmitted(traits), NOTHING);
const sent = (fields: readonly string[], traits: Traits = {}) =>
  compose({ ...traits, request: { ...traits.request, fields } }).fields;

const filter = (change: (draft: RequestDraft) => void): Filter => ({
  name: 'Change',
  text: 'Change',
  onRequest: change,
});
const alice = {
  kind: 'jwt',
  id: 'penstock-dev/alice',
  issuer: 'penstock-dev',
  subject: 'alice',
  scopes: ['predict', 'read'],
  roles: ['analyst'],
} as const;

describe('what an instance is sent', () => {
  test('path and query go on as they came', () => {
    const request = compose({ request: { path: '/api/a%20b/%C3%A9', query: 'x=1&y=%26' } });

    assert.equal(request.target, '/api/a%20b/%C3%A9?x=1&y=%26');
    assert.equal(request.host, undefined);
  });

  for (const path of ['/models/../secret', '/models/..', '/%2e%2e/secret']) {
    test(`no filter makes a path of it that leads elsewhere: ${path}`, () => {
      const filters = [filter(draft => void (draft.path = path))];

      assert.throws(() => compose({ filters }), { code: 'BAD_REQUEST' });
    });
  }

  test('HEAD goes as GET, every other method as it is', () => {
    assert.equal(compose({ request: { method: 'HEAD' } }).method, 'GET');
    assert.equal(compose({ request: { method: 'PATCH' } }).method, 'PATCH');
  });

  test('fields of the content keep their spelling, their order and their repetitions', () => {
    const own = ['Content-Type', 'application/json', 'X-Tag', 'a', 'x-tag', 'b', 'Cookie', 'c=1'];

    assert.deepEqual(sent(own).slice(0, own.length), own);
  });

  test('fields of the connection end here, and those that Connection names', () => {
    const names = ['Connection', 'Keep-Alive', 'Proxy-Authorization', 'Proxy-Connection', 'TE', 'Trailer', 'Upgrade'];
    const fields = sent([...names.flatMap(name => [name, 'x']), 'connection', 'Keep-Alive, X-Once', 'x-ONCE', '1']);

    for (const name of [...names, 'x-once']) assert.ok(!hasField(fields, name.toLowerCase()), name);
  });

  test('a lone name in Connection ends here too', () => {
    assert.ok(!hasField(sent(['Connection', 'X-Once', 'X-Once', '1']), 'x-once'));
    assert.ok(hasField(sent(['Connection', 'keep-alive', 'X-Twice', '1']), 'x-twice'));
  });

  test('what frames the message, or would make R answer badly, is not the caller’s to say', () => {
    const names = ['Accept-Encoding', 'Content-Length', 'Expect', 'Host', 'Transfer-Encoding', 'Proxy'];
    const fields = sent(names.flatMap(name => [name, 'x']));

    for (const name of names) assert.ok(!hasField(fields, name.toLowerCase()), name);
  });

  test('names with an underscore are dropped, since R would take them for others', () => {
    const fields = sent(['X_Penstock_Subject', 'admin', 'X_User', 'admin', 'X-User', 'bob']);

    assert.deepEqual(
      fields.filter(text => text === 'admin'),
      [],
    );
    assert.equal(fieldOf(fields, 'x-user'), 'bob');
  });

  test('the request id is the gateway’s, whatever the caller wrote', () => {
    assert.deepEqual(fieldsOf(sent(['x-request-id', 'forged']), 'x-request-id'), ['request-1']);
  });
});

describe('identity', () => {
  test('a caller with a token is named to R, with scopes and roles', () => {
    const { fields } = compose({ caller: alice });

    assert.equal(fieldOf(fields, 'x-penstock-issuer'), 'penstock-dev');
    assert.equal(fieldOf(fields, 'x-penstock-subject'), 'alice');
    assert.equal(fieldOf(fields, 'x-penstock-scopes'), 'predict read');
    assert.equal(fieldOf(fields, 'x-penstock-roles'), 'analyst');
  });

  const spellings = [
    'X-Penstock-Subject',
    'x-penstock-subject',
    'X-PENSTOCK-SUBJECT',
    'X-Penstock_Subject',
    'x_penstock_subject',
  ];
  for (const spelling of spellings) {
    test(`the caller’s own ${spelling} is dropped, with and without a token`, () => {
      for (const caller of [undefined, alice]) {
        const traits = caller === undefined ? {} : { caller };
        const values = sent([spelling, 'admin'], traits).filter((_, i) => i % 2 === 1);
        assert.ok(!values.includes('admin'));
      }
    });
  }

  test('any other name of the family is dropped as well', () => {
    assert.ok(!hasField(sent(['X-Penstock-Tenant', 'admin']), 'x-penstock-tenant'));
  });

  const subjects: [subject: string, sent: string][] = [
    ['alice@example.org', 'alice@example.org'],
    ['Åsa', '%C3%85sa'],
    ['水', '%E6%B0%B4'],
    ['a\r\nX-Role: admin', 'a%0D%0AX-Role: admin'],
    ['100%', '100%25'],
    [' a b ', '%20a b%20'],
    [' ', '%20'],
  ];
  for (const [subject, expected] of subjects) {
    test(`the subject ${JSON.stringify(subject)} is sent as ${expected}`, () => {
      assert.equal(fieldOf(compose({ caller: { ...alice, subject } }).fields, 'x-penstock-subject'), expected);
    });
  }

  test('a space within a role does not make two of it', () => {
    const { fields } = compose({ caller: { ...alice, roles: ['data scientist', 'analyst'] } });

    assert.equal(fieldOf(fields, 'x-penstock-roles'), 'data%20scientist analyst');
  });

  test('the token goes no further unless the route says so', () => {
    const authorization = ['Authorization', 'Bearer secret'];

    assert.ok(!hasField(sent(authorization, { policy: { auth: anAuth() } }), 'authorization'));
    assert.ok(hasField(sent(authorization, { policy: { auth: anAuth({ forwardToken: true }) } }), 'authorization'));
  });

  test('where no identity is configured, the credential is R’s own matter', () => {
    assert.equal(fieldOf(sent(['Authorization', 'Basic eA==']), 'authorization'), 'Basic eA==');
  });
});

describe('the shared secret', () => {
  test('is the service’s, and the caller’s own of any spelling is dropped', () => {
    const forged = ['PLUMBER-SHARED-SECRET', 'PLUMBER_SHARED_SECRET', 'plumber-shared_secret', 'Plumber-Shared-Secret'];
    const fields = sent(
      forged.flatMap(name => [name, 'forged']),
      { sharedSecret: 'true one' },
    );

    assert.deepEqual(fieldsOf(fields, 'plumber-shared-secret'), ['true one']);
    assert.ok(!fields.includes('forged'));
  });

  test('is not sent where the service has none', () => {
    assert.ok(!hasField(sent(['PLUMBER-SHARED-SECRET', 'forged']), 'plumber-shared-secret'));
  });

  test('is not to be changed by a filter', () => {
    const forge = filter(draft =>
      draft.fields.push('PLUMBER_SHARED_SECRET', 'other', 'Plumber-Shared-Secret', 'other'),
    );

    assert.ok(!sent([], { sharedSecret: 'true one', filters: [forge] }).includes('other'));
  });
});

describe('where a request came from', () => {
  const claims = [
    'X-Forwarded-For',
    '10.9.9.9',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'evil',
    'Forwarded',
    'for=x',
  ];
  const more = ['X-Forwarded-Port', '1', 'X-Forwarded-Prefix', '/evil', 'X-Real-IP', '10.9.9.9'];

  test('a stranger’s word for it is not believed', () => {
    const fields = sent([...claims, ...more]);

    assert.equal(fieldOf(fields, 'x-forwarded-for'), '192.0.2.7');
    assert.equal(fieldOf(fields, 'x-forwarded-proto'), 'http');
    assert.equal(fieldOf(fields, 'x-forwarded-host'), 'api.example.org');
    assert.equal(fieldOf(fields, 'x-forwarded-port'), '80');
    assert.equal(fieldOf(fields, 'forwarded'), 'for=192.0.2.7;host="api.example.org";proto=http');
    for (const name of ['x-forwarded-prefix', 'x-real-ip']) assert.ok(!hasField(fields, name), name);
  });

  test('is told in `Forwarded` too, addresses of IPv6 in quotes', () => {
    const request = { peerAddress: '10.0.0.1', callerAddress: '2001:db8::1', isPeerTrusted: true, host: '' };

    assert.equal(fieldOf(sent([], { request }), 'forwarded'), 'for="[2001:db8::1]";proto=http, for=10.0.0.1');
  });

  test('holds what the route’s filters took from the front of its path, behind what a trusted proxy took', () => {
    const strip = { ...filter(draft => void (draft.path = '/x')), isOfPath: true } as const;
    const traits = { filters: [strip], request: { path: '/api/fuel/x' } };
    const trusted = { ...traits, request: { ...traits.request, isPeerTrusted: true } };

    assert.deepEqual(fieldsOf(sent(['X-Forwarded-Prefix', '/evil'], traits), 'x-forwarded-prefix'), ['/api/fuel']);
    assert.deepEqual(fieldsOf(sent(['X-Forwarded-Prefix', '/shop, x, /../y'], trusted), 'x-forwarded-prefix'), [
      '/shop, /api/fuel',
    ]);
  });

  test('a stranger who names themselves among others changes nothing', () => {
    const fields = sent(['X-Forwarded-For', '10.9.9.9, 192.0.2.7, 10.8.8.8']);

    assert.equal(fieldOf(fields, 'x-forwarded-for'), '192.0.2.7');
  });

  test('a trusted proxy’s word is passed on, with the proxy at the end of the chain', () => {
    const fields = sent(
      [
        'X-Forwarded-For',
        '198.51.100.1, 203.0.113.5, 10.0.0.2',
        'X-Forwarded-Port',
        '8443',
        'X-Forwarded-Prefix',
        '/shop',
      ],
      {
        request: {
          isPeerTrusted: true,
          peerAddress: '10.0.0.1',
          callerAddress: '203.0.113.5',
          scheme: 'https',
        },
      },
    );

    assert.equal(
      fieldOf(fields, 'x-forwarded-for'),
      '203.0.113.5, 10.0.0.2, 10.0.0.1',
      'what the caller invented ends here',
    );
    assert.equal(fieldOf(fields, 'x-forwarded-proto'), 'https');
    assert.equal(fieldOf(fields, 'x-forwarded-port'), '8443');
    assert.equal(fieldOf(fields, 'x-forwarded-prefix'), '/shop');
  });

  const ports: [host: string, scheme: 'http' | 'https', port: string][] = [
    ['api.example.org:8080', 'http', '8080'],
    ['api.example.org', 'https', '443'],
    ['[2001:db8::1]', 'http', '80'],
    ['[2001:db8::1]:81', 'http', '81'],
  ];
  for (const [host, scheme, port] of ports) {
    test(`the port of ${scheme}://${host} is ${port}`, () => {
      assert.equal(fieldOf(compose({ request: { host, scheme } }).fields, 'x-forwarded-port'), port);
    });
  }

  test('no host is made up where the caller named none', () => {
    assert.ok(!hasField(compose({ request: { host: '' } }).fields, 'x-forwarded-host'));
  });

  test('each is sent once', () => {
    const fields = sent(claims, { request: { isPeerTrusted: true } });

    for (const name of ['for', 'proto', 'host', 'port'])
      assert.equal(fieldsOf(fields, `x-forwarded-${name}`).length, 1);
  });
});

describe('a trace', () => {
  const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  test('goes on when it is well-formed', () => {
    const fields = sent(['traceparent', good, 'tracestate', 'a=1']);

    assert.equal(fieldOf(fields, 'traceparent'), good);
    assert.equal(fieldOf(fields, 'tracestate'), 'a=1');
  });

  const bad = [
    'x',
    good.toUpperCase(),
    `${good}-00`,
    good.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    good.replace('00f067aa0ba902b7', '0'.repeat(16)),
    good.replace('00-', 'ff-'),
  ];
  for (const traceparent of bad) {
    test(`ends here when it is ${traceparent}`, () => {
      const fields = sent(['traceparent', traceparent, 'tracestate', 'a=1']);

      assert.ok(!hasField(fields, 'traceparent') && !hasField(fields, 'tracestate'));
    });
  }

  test('ends here when there are two, and a later version may say more', () => {
    assert.ok(!hasField(sent(['traceparent', good, 'traceparent', good]), 'traceparent'));
    assert.ok(hasField(sent(['traceparent', `${good.replace('00-', '01-')}-more`]), 'traceparent'));
  });
});

describe('filters', () => {
  test('change path, query, fields and host, in order', () => {
    const filters = [
      filter(draft => (draft.path = '/predict')),
      filter(draft => (draft.path += '/all')),
      filter(draft => (draft.query = 'a=1')),
      filter(draft => setField(draft.fields, 'X-Env', 'prod')),
      filter(draft => (draft.host = 'models.example.org')),
    ];

    const request = compose({ filters });

    assert.equal(request.target, '/predict/all?a=1');
    assert.equal(request.host, 'models.example.org');
    assert.equal(fieldOf(request.fields, 'x-env'), 'prod');
  });

  test('may read who calls, but not change it', () => {
    const seen: (string | undefined)[] = [];
    const forge = filter(draft => {
      seen.push(fieldOf(draft.fields, 'x-penstock-subject'));
      setField(draft.fields, 'X-Penstock-Subject', 'admin');
      draft.fields.push('X_Penstock_Roles', 'admin');
    });

    const fields = sent([], { caller: alice, filters: [forge] });

    assert.deepEqual(seen, ['alice']);
    assert.deepEqual(fieldsOf(fields, 'x-penstock-subject'), ['alice']);
    assert.ok(!fields.includes('admin'));
  });

  test('may bring a credential of the operator’s, or take where the request came from away', () => {
    const filters = [
      filter(draft => draft.fields.push('Authorization', 'Basic operator')),
      filter(draft => setField(draft.fields, 'X-Forwarded-For', 'unknown')),
    ];

    const fields = sent(['Authorization', 'Bearer caller'], { policy: { auth: anAuth() }, filters });

    assert.deepEqual(fieldsOf(fields, 'authorization'), ['Basic operator']);
    assert.deepEqual(fieldsOf(fields, 'x-forwarded-for'), ['unknown']);
  });

  test('cannot frame the message', () => {
    const frame = filter(draft =>
      draft.fields.push('Content-Length', '5', 'transfer-encoding', 'chunked', 'Host', 'x'),
    );
    const fields = sent([], { filters: [frame] });

    for (const name of ['content-length', 'transfer-encoding', 'host']) assert.ok(!hasField(fields, name), name);
  });

  for (const value of ['a\r\nX-Role: admin', 'a\n', 'a\0', 'a\u0100']) {
    test(`are refused when they would send ${JSON.stringify(value)}`, () => {
      const filters = [filter(draft => draft.fields.push('X-Path', value))];

      assert.throws(() => compose({ filters }), { code: 'BAD_REQUEST' });
    });
  }

  test('are refused when they would send an impossible name', () => {
    const filters = [filter(draft => draft.fields.push('X Path', 'a'))];

    assert.throws(() => compose({ filters }), { code: 'BAD_REQUEST' });
  });

  const targets: [path: string, query: string, target: string][] = [
    ['predict', '', '/predict'],
    ['/b?y=1', 'x=2', '/b?y=1&x=2'],
    ['/a b', 'q=c d', '/a%20b?q=c%20d'],
    ['/a\r\nHost: x', '', '/a%0D%0AHost:%20x'],
    ['/a#b', '', '/a%23b'],
    ['/\xc3\xa9', '', '/%C3%A9'],
    ['/水', '', '/%E6%B0%B4'],
    ['/\ud800', '', '/%EF%BF%BD'],
    ['/%2Fa%25zz', '', '/%2Fa%25zz'],
  ];
  for (const [path, query, target] of targets) {
    test(`that end at ${JSON.stringify(path)} and ${JSON.stringify(query)} ask for ${target}`, () => {
      const filters = [
        filter(draft => {
          draft.path = path;
          draft.query = query;
        }),
      ];

      assert.equal(compose({ filters }).target, target);
    });
  }
});
