import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gatewayOf, routesOf, reported } from '../support/configuration.ts';

const STREAM = 'the route is a stream';
const REDIRECT = 'RedirectTo answers, and no instance is asked';

describe('a key that has no effect in its place is warned of:', () => {
  for (const [keys, ...expected] of [
    [
      'stream: true, retry: {}, timeout: 5s, priority: high, coalesce: true, cache: {}, batch: {}, varyBy: [caller], answer: {}, pure: true',
      ...['answer', 'batch', 'cache', 'coalesce', 'priority', 'pure', 'retry', 'varyBy', 'timeout'].map(
        key => `${key}: has no effect: ${STREAM}`,
      ),
    ],
    ['streamIdle: 1m', 'streamIdle: has no effect: the route is no stream'],
    ['stream: true, streamIdle: 1m, limits: [], body: { max: 1KiB }, cors: { origins: ["*"] }'],
    [
      "filters: ['RedirectTo=302, /x'], cache: {}, pure: true, stream: true",
      ...['cache', 'pure', 'stream'].map(key => `${key}: has no effect: ${REDIRECT}`),
    ],
    ['filters: [RequestSize=5MB]', 'filters[0]: RequestSize has no effect: a body is refused beyond 1MiB'],
    [
      'stream: true, filters: [RequestSize=5MB], body: { max: 2MiB }',
      'filters[0]: RequestSize has no effect: a body is refused beyond 2MiB',
    ],
    ['stream: true, filters: [RequestSize=5MB]'],
    [
      'filters: [RequestSize=1KB], body: { max: 2KiB }',
      'body.max: has no effect: RequestSize refuses a body beyond 1KiB',
    ],
    ['predicates: [Method=POST], retry: { attempts: 2 }', 'retry: repeats POST only where no connection was made'],
    [
      'predicates: ["Method=POST,PATCH"], retry: { on: [503] }',
      'retry: has no effect: the gateway repeats POST and PATCH only where no connection was made',
    ],
    ['predicates: ["Method=POST,PUT"], retry: { on: [503] }'],
    ['predicates: [Method=POST], pure: true, retry: { on: [503] }'],
    [
      'retry: { attempts: 1, budgetPercent: 50 }',
      'retry.budgetPercent: has no effect: one attempt is made, and no retry',
    ],
    ['retry: { on: [] }', 'retry.on: repeats nothing: the list is empty'],
    [
      'timeout: 5s, retry: { attemptTimeout: 6s }',
      'retry.attemptTimeout: is longer than `timeout`, which ends the request before',
    ],
  ] as const) {
    test(keys, () => {
      const { problems } = routesOf(`routes: [{ uri: lb://a, ${keys} }]`);

      assert.deepEqual(
        problems.map(({ path, message }) => `${path.replace('routes[0].', '')}: ${message}`).sort(),
        [...expected].sort(),
      );
      assert.ok(problems.every(({ severity, line, column }) => severity === 'warning' && line === 1 && column > 24));
    });
  }

  for (const [keys, ...expected] of [
    [
      'limits: [{ rate: 1, per: 1s, onStoreFailure: refuse }, { rate: 2, per: 1s, onStoreFailure: allow }]',
      'limits[0].onStoreFailure: has no effect: limits are this gateway’s own, since gateway.yaml has no `redis`',
    ],
    [
      'timeout: 1s, limits: [{ rate: 1, per: 1s, excess: queue }, { rate: 2, per: 1s, excess: queue, waitMax: 1s }]',
      'limits[0].waitMax: is longer than `timeout`, which ends a call that waits before',
    ],
    ['stream: true, timeout: 1s, limits: [{ rate: 1, per: 1s, excess: queue }]', `timeout: has no effect: ${STREAM}`],
    [
      'limits: [{ rate: 1, per: 1s, excess: queue, depthMax: 0, waitMax: 1s }]',
      'limits[0].waitMax: has no effect: `depthMax: 0` lets no call wait',
    ],
    [
      'limits: [{ rate: 1, per: 60s, by: ip }, { rate: 1, per: 1m, by: route }, { rate: 1, per: 1m, by: ip, enforce: false }]',
      'limits[2]: says the same as the one in place 1: calls are counted once',
    ],
    [
      'validate: { rowsMax: 50 }, limits: [{ rate: 10, per: 1s, cost: rows }, { rate: 50, per: 1m, cost: rows }]',
      'limits[0].rate: lets no call with more rows pass, and `validate` takes 50',
    ],
    [
      'auth: { from: [header, protocol] }',
      'auth.from: `protocol` has no effect: a route without `stream: true` has no WebSockets',
    ],
    ['stream: true, auth: { from: [header, protocol] }'],
    [
      "auth: { allow: [api-key], from: ['cookie:a'] }",
      'auth.from: has no effect: the route takes no tokens, and no other credential stands there',
    ],
    ['auth: { allow: [api-key], from: [header] }'],
  ] as const) {
    test(`${keys}, for callers of tokens and keys, without redis`, () => {
      const identity = { schemes: ['jwt', 'api-key'], keyField: undefined } as const;
      const { problems } = routesOf(`routes: [{ uri: lb://a, ${keys} }]`, {
        ...{ identityConfigured: true, identity, redisConfigured: false },
      });

      assert.deepEqual(
        problems.map(({ path, message }) => `${path.replace('routes[0].', '')}: ${message}`).sort(),
        [...expected].sort(),
      );
      assert.ok(problems.every(({ severity, line, column }) => severity === 'warning' && line === 1 && column > 24));
    });
  }

  test('or is less safe than it looks', () => {
    const text = `identity:
  ldap: { servers: ['ldap://ds.example.org'], userDn: 'uid={user}', ca: ca.pem }
  introspection: [{ endpoint: 'http://id.example.org/i', clientId: a, clientSecret: '\${env:S}' }]`;
    const around = { variables: { S: 'secret' }, files: { '/etc/penstock/ca.pem': '-----BEGIN CERTIFICATE-----' } };

    assert.deepEqual(reported(gatewayOf(text, around).problems), [
      '2:20 warning identity.ldap.servers: sends passwords in the clear: ldaps://, or `startTls: true`, keeps them',
      '2:69 warning identity.ldap.ca: has no effect: without `startTls: true` a connection of ldap:// is not verified',
      '3:31 warning identity.introspection[0].endpoint: sends tokens and `clientSecret` in the clear: https:// keeps them',
    ]);
  });

  for (const [service, route, ...expected] of [
    ['streamsMax: 5', '', 'streamsMax: has no effect: no route to it is a stream'],
    ['streamsMax: 5', 'stream: true'],
    ['queue: { depthMax: 0, waitMax: 9s }', '', 'queue.waitMax: has no effect: `depthMax: 0` lets no request wait'],
    ['queue: { depthMax: 0 }', ''],
  ] as const) {
    test(`${service} of a service, ${route || 'no stream'}`, () => {
      const { problems } = routesOf(`services: { a: { ${service} } }\nroutes: [{ uri: lb://a, ${route} }]`);

      assert.deepEqual(
        problems.map(({ path, message, severity, line }) => `${line} ${severity} ${path}: ${message}`),
        expected.map(text => `1 warning services.a.${text}`),
      );
    });
  }

  test('but not in `defaults` or `default-filters`, where it may be for other routes', () => {
    const file = 'defaults: { cache: {}, streamIdle: 1m }\ndefault-filters: [RequestSize=5MB]\n';

    assert.deepEqual(reported(routesOf(`${file}routes: [{ uri: lb://a, stream: true }]`).problems), []);
  });

  test('of roles on the admin listener that no caller can have', () => {
    const text = 'admin: { access: { roles: { viewer: [staff] } } }';

    assert.deepEqual(reported(gatewayOf(text).problems), [
      '1:20 warning admin.access.roles: has no effect: without `identity` no caller has a role',
    ]);
  });

  test('of gateway.yaml', () => {
    const text = 'discovery: { consul: { register: false, advertise: "a:1" } }';

    assert.deepEqual(reported(gatewayOf(text).problems), [
      '1:41 warning discovery.consul.advertise: has no effect: `register: false`',
    ]);
  });
});
