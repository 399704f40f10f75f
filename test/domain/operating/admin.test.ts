import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, routeViews } from '../../../gateway/domain/operating/admin.ts';
import { soundRoutes } from '../../support/configuration.ts';

for (const [host, isLocal] of [
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['128.0.0.1', false],
  ['127.0.0.256', false],
  ['127.example.org', false],
  ['localhost.example.org', false],
  ['', false],
] as const) {
  test(`'${host}' is ${isLocal ? '' : 'not '}this machine alone`, () => {
    assert.equal(isLoopback(host), isLocal);
  });
}

test('routes as operators read them hold no credential that a filter adds', () => {
  const { specs } = soundRoutes(`routes:
  - { uri: lb://a, filters: ['AddRequestHeader=Authorization, Basic c2VzYW1l', 'AddRequestHeader=X-A, b'] }`);

  assert.deepEqual(routeViews(specs)[0]?.filters, [
    'AddRequestHeader=Authorization, [redacted]',
    'AddRequestHeader=X-A, b',
  ]);
});
