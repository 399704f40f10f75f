import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explained, soundRoutes } from '../../support/configuration.ts';

const ROUTES = `
services: { fuel: { sharedSecret: '\${env:S}' } }
routes:
  - { id: fuel, uri: lb://fuel, pure: true, coalesce: true, varyBy: [caller, 'header:X-Tenant', 'header:X-Other'] }
`;

test('explain shows what R is sent on a route that shares, and in what requests must agree', () => {
  const routes = soundRoutes(ROUTES, { variables: { S: 'a secret' } });
  const headers = ['X-Tenant', 'a', 'Cookie', 'b', 'Accept', 'c'];

  const { answers } = explained(routes, { line: 'GET /predict?n=1', headers });

  assert.deepEqual(answers?.sent?.headers, [
    ['X-Tenant', 'a'],
    ['PLUMBER-SHARED-SECRET', '[redacted]'],
  ]);
  assert.deepEqual(answers.sent.sharedBy, [
    'the route, its service, and the versions of the model',
    'GET /predict?n=1',
    'X-Tenant, as it is sent',
    'the caller',
    'x-other, as the caller says it',
  ]);
});

test('explain shows what R is sent by another method as ever', () => {
  const routes = soundRoutes(ROUTES, { variables: { S: 'a secret' } });

  const { answers } = explained(routes, { line: 'PUT /predict', headers: ['Cookie', 'b'] });

  assert.equal(answers?.sent?.sharedBy, null);
  assert.ok(answers.sent.headers.some(([name]) => name === 'Cookie'));
});
