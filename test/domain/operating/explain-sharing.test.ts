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

const BATCHED = `
routes:
  - { id: both, uri: lb://fuel, predicates: [Path=/both], pure: true, coalesce: true, batch: {} }
  - { id: only, uri: lb://fuel, predicates: [Path=/only], pure: true, batch: { rows: columns } }
`;

for (const { line, body, expected } of [
  {
    line: 'POST /both',
    body: '[{"wt":1}]',
    expected: ['the body, as JSON by value', 'to travel in one batch instead: the names and types of its rows’ fields'],
  },
  {
    line: 'POST /only',
    body: '{"wt":[1]}',
    expected: ['to travel in one batch: the names and types of its rows’ fields'],
  },
  {
    line: 'POST /only',
    body: '[1',
    expected: ['no batch: the body is not rows that could travel with others'],
  },
]) {
  test(`explain says of a batch that rows may differ: ${line} ${body}`, () => {
    const { answers } = explained(soundRoutes(BATCHED), { line, body });

    assert.deepEqual(
      answers?.sent?.sharedBy?.filter(part => /body|batch/.test(part)),
      expected,
    );
  });
}
