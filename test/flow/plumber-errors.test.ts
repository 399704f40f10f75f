import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';

const JSON_FIELD = 'Content-Type: application/json\r\n';

/** What a caller hears of an answer of R's, on a route that tells R's messages and on one that does not. */
async function receivedFrom(t: TestContext, body: string, options: { status: number; fields?: string }) {
  const upstream = await startUpstream(t, answer(body, { fields: JSON_FIELD, ...options }));
  const routes = `
services: { fuel: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: told, uri: lb://fuel, predicates: ['Path=/told'], answer: { errorMessages: true } }
  - { id: plain, uri: lb://fuel }
`;
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, routes });
  const [plain, reported] = [
    await gateway.call('/x', { headers: { 'x-request-id': 'r-1' } }),
    await gateway.call('/told'),
  ];
  assert.deepEqual(
    gateway.requests().map(({ code }) => code),
    [null, null],
    'they are answers of R',
  );
  return { plain, reported };
}

for (const [status, said, code] of [
  [404, '404 - Resource Not Found', 'NO_ROUTE'],
  [405, '405 - Method Not Allowed', 'METHOD_NOT_ALLOWED'],
] as const) {
  test(`Plumber’s ${status} keeps its status, in the gateway’s shape`, async t => {
    const { plain } = await receivedFrom(t, JSON.stringify({ error: said }), { status });
    assert.deepEqual(
      [plain.status, plain.code, plain.headers['content-type']],
      [status, code, 'application/problem+json'],
    );
    assert.equal((JSON.parse(plain.text) as { requestId: string }).requestId, 'r-1');
  });
}

test('R’s message on a 500 is told only where the route allows it, and the 500 stays Plumber’s', async t => {
  const body = '{"error":"500 - Internal server error","message":"Error in file(\'/srv/secret\'): no"}';
  const { plain, reported } = await receivedFrom(t, body, { status: 500 });

  assert.deepEqual([plain.status, plain.text], [500, '{"error":"500 - Internal server error"}']);
  assert.deepEqual([reported.status, reported.text], [500, body]);
});

const OWN_WORDS: [string, { status: number; fields?: string }][] = [
  ['ERROR: [on_request_read] connection reset', { status: 500, fields: 'Content-Type: text/plain\r\n' }],
  ['An exception occurred.', { status: 500, fields: 'Content-Type: text/plain\r\n' }],
  ['{"error":"404 - Resource Not Found","hint":"train it first"}', { status: 404 }],
  ['{"error":"no such car"}', { status: 404 }],
  ['{"error":"500 - Internal server error"}', { status: 500 }],
  ['{"error":"404 - Resource Not Found"}', { status: 404, fields: 'Content-Type: text/html\r\n' }],
  ['{"error":"500 - Internal server error","message":"kept"}', { status: 200 }],
  ['not JSON', { status: 404 }],
];

for (const [body, options] of OWN_WORDS) {
  test(`what a service itself answers is passed on: ${options.status} ${body}`, async t => {
    const { plain } = await receivedFrom(t, body, options);
    assert.deepEqual([plain.status, plain.text], [options.status, body]);
  });
}
