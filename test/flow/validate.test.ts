import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { call, post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const JSON_FIELD = 'Content-Type: application/json\r\n';
const PROTOTYPE = { wt: { type: 'numeric', example: '2.62', details: [] } };

interface ModelTraits {
  /** What it answers at /prototype; undefined: 404. */
  prototype?: unknown;
  openapi?: unknown;
}

/** A model that answers `[1]` to what it is asked, and publishes what the test says. */
function model(published: ModelTraits): Script {
  const at = (target: string) => (target === '/prototype' ? published.prototype : published.openapi);
  return (socket, request) => {
    const [, target = ''] = request.head.split(' ', 2);
    if (target !== '/prototype' && target !== '/openapi.json') {
      answer('[1]', { fields: JSON_FIELD })(socket, request);
      return;
    }
    const said = at(target);
    const status = said === undefined ? 404 : 200;
    answer(JSON.stringify(said ?? {}), { fields: JSON_FIELD, status })(socket, request);
  };
}

async function gatewayBefore(t: TestContext, published: ModelTraits, route: string) {
  const upstream = await startUpstream(t, model(published));
  const routes = `
services: { fuel: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: fuel, uri: lb://fuel, predicates: ['Path=/api/**'], filters: ['StripPrefix=1'], ${route} }
`;
  const gateway = await startGateway(t, { services: { fuel: [upstream.origin] }, routes });
  /** What R was asked, but for the gateway's own questions. */
  const requested = () => upstream.requests.filter(({ head }) => !/^GET \/(prototype|openapi.json) /.test(head)).length;
  return { gateway, upstream, requested };
}

const problemOf = ({ text }: { readonly text: string }) => JSON.parse(text) as Record<string, unknown>;

describe('a route with `validate`', () => {
  test('refuses what the model cannot take, from the first call on, and R is not asked', async t => {
    const { gateway, requested } = await gatewayBefore(t, { prototype: PROTOTYPE }, 'validate: {}');

    const bad = await gateway.call('/api/predict', post('[{"wt":"heavy"}]', { 'x-request-id': 'r-1' }));
    const none = await gateway.call('/api/predict', post('[{'));
    const good = await gateway.call('/api/predict', { method: 'POST', body: '[{"wt":2.5}]' });

    assert.equal(bad.status, 422);
    assert.deepEqual(problemOf(bad), {
      type: 'urn:penstock:error:INVALID_INPUT',
      title: 'Invalid input',
      status: 422,
      detail: '`wt`: "heavy" is not a number',
      code: 'INVALID_INPUT',
      requestId: 'r-1',
      message: '`wt`: "heavy" is not a number',
      errors: [{ pointer: '/0/wt', detail: '`wt`: "heavy" is not a number' }],
    });
    assert.deepEqual([none.status, none.code], [400, 'BAD_REQUEST']);
    assert.equal(problemOf(none)['detail'], 'The body is not JSON: it ends too soon.');
    assert.deepEqual([good.status, good.text, requested()], [200, '[1]', 1]);
    assert.equal(await gateway.metric('penstock_invalid_inputs_total', { route: 'fuel' }), 1);
  });

  test('has no say in other paths and methods', async t => {
    const { gateway, requested } = await gatewayBefore(t, { prototype: PROTOTYPE }, 'validate: {}');

    const received = [
      await gateway.call('/api/metadata'),
      await gateway.call('/api/feedback', post('anything')),
      await gateway.call('/api/predict', { method: 'PUT', body: 'anything' }),
    ];

    assert.deepEqual([received.map(({ status }) => status), requested()], [[200, 200, 200], 3]);
  });

  test('asks a model at another path beside that path', async t => {
    const { gateway, upstream } = await gatewayBefore(t, {}, 'validate: {}');
    upstream.play((socket, request) => {
      const isPrototype = request.head.startsWith('GET /cars/prototype ');
      answer(isPrototype ? JSON.stringify(PROTOTYPE) : '[1]', { fields: JSON_FIELD })(socket, request);
    });

    assert.equal((await gateway.call('/api/cars/predict', post('[{}]'))).code, 'INVALID_INPUT');
    assert.equal((await gateway.call('/api/cars/predict', post('[{"wt":1}]'))).status, 200);
  });

  test('passes everything through while the service cannot say what it takes, and tells why', async t => {
    const { gateway, upstream, requested } = await gatewayBefore(t, {}, 'validate: {}');
    upstream.play((socket, request) => {
      const isPrototype = request.head.startsWith('GET /prototype ');
      answer('[1]', { fields: JSON_FIELD, status: isPrototype ? 500 : 200 })(socket, request);
    });

    assert.deepEqual([(await gateway.call('/api/predict', post('[{'))).status, requested()], [200, 1]);

    const reported = gateway.log
      .of('notice')
      .filter(({ text }) => String(text).includes('cannot be asked what it takes'));
    assert.equal(reported.length, 1);
    const [view] = JSON.parse((await gateway.get('/api/routes')).text) as { validation: unknown }[];
    const versions = [{ version: '', state: 'cannot be asked', of: '/prototype was answered with 500' }];
    assert.deepEqual(view?.validation, { from: 'prototype', target: '/prototype', versions });
  });

  test('passes everything through where the service publishes nothing, and says so', async t => {
    const { gateway, requested } = await gatewayBefore(t, {}, 'validate: {}');

    const received = await gateway.call('/api/predict', post('[{'));

    assert.deepEqual([received.status, requested()], [200, 1]);
    const reported = gateway.log.of('notice').find(({ text }) => String(text).includes('passed through'));
    assert.deepEqual(
      [reported?.['level'], (reported?.['about'] as Record<string, unknown>)['of']],
      ['warn', '/prototype is answered with 404'],
    );
    const [view] = JSON.parse((await gateway.get('/api/routes')).text) as { validation: unknown }[];
    const versions = [{ version: '', state: 'passed through', of: '/prototype is answered with 404' }];
    assert.deepEqual(view?.validation, { from: 'prototype', target: '/prototype', versions });
  });

  test('a service that cannot be asked for now holds no caller up for long, and is asked again', async t => {
    const { gateway, upstream } = await gatewayBefore(t, {}, 'validate: {}');
    let isWell = false;
    upstream.play((socket, request) => {
      if (!request.head.startsWith('GET /prototype')) answer('[1]', { fields: JSON_FIELD })(socket, request);
      else if (isWell) answer(JSON.stringify(PROTOTYPE), { fields: JSON_FIELD })(socket, request);
      else answer('{}', { status: 500 })(socket, request);
    });

    assert.equal((await gateway.call('/api/predict', post('[{}]'))).status, 200);
    isWell = true;
    await until(async () => (await gateway.call('/api/predict', post('[{}]'))).status === 422, 'it is validated');
  });

  test('explains what validation says of a request', async t => {
    const { gateway } = await gatewayBefore(t, { prototype: PROTOTYPE }, 'validate: {}');
    await gateway.call('/api/predict', post('[{"wt":1}]'));
    const explained = async (body: string) => {
      const requested = JSON.stringify({ method: 'POST', url: '/api/predict', body });
      const received = await call(`${gateway.adminUrl}/api/explain`, post(requested));
      return problemOf(received)['answers'] as { validation: unknown; refused: unknown };
    };

    const { validation, refused } = await explained('[{}]');

    const versions = [{ version: '', state: 'checked', of: '1 column: wt' }];
    assert.deepEqual(validation, { from: 'prototype', target: '/prototype', versions });
    assert.deepEqual(refused, {
      ...{ status: 422, code: 'INVALID_INPUT', detail: '`wt` is missing' },
      errors: [{ pointer: '/0/wt', detail: '`wt` is missing' }],
    });
    assert.equal((await explained('[{"wt":1}]')).refused, null);
  });

  test('goes by what the service publishes as OpenAPI, for every path of it', async t => {
    const parameters = [{ name: 'x', in: 'query', required: true, schema: { type: 'number' } }];
    const openapi = { openapi: '3.0.3', paths: { '/add': { post: { parameters } } } };
    const { gateway, requested } = await gatewayBefore(t, { openapi }, 'validate: { from: openapi, unknown: refuse }');

    assert.equal((await gateway.call('/api/add', post({}))).code, 'INVALID_INPUT');
    assert.equal((await gateway.call('/api/add?x=abc', post({ x: 1 }))).code, 'INVALID_INPUT');
    assert.equal((await gateway.call('/api/add', post({ x: 1, y: 2 }))).code, 'INVALID_INPUT');
    assert.equal(requested(), 0);
    assert.equal((await gateway.call('/api/add', post({ x: 1 }))).status, 200);
    assert.equal((await gateway.call('/api/other', post('anything'))).status, 200);
  });

  test('goes by a JSON Schema in a file, read again when the routes are', async t => {
    const { gateway, requested } = await gatewayBefore(t, {}, 'validate: {}');
    const file = join(dirname(gateway.routesFile), 'car.json');
    const schema = (max: number) =>
      JSON.stringify({ type: 'object', properties: { wt: { type: 'number', maximum: max } } });
    const routes = `routes: [{ id: fuel, uri: lb://fuel, validate: { from: car.json } }]`;
    writeFileSync(file, schema(5));
    writeFileSync(gateway.routesFile, routes);
    assert.equal((await gateway.reload()).status, 200);

    assert.equal((await gateway.call('/any', post({ wt: 6 }))).code, 'INVALID_INPUT');
    assert.equal((await gateway.call('/any')).status, 200);
    writeFileSync(file, schema(7));
    assert.equal((await gateway.reload()).status, 200);
    assert.equal((await gateway.call('/any', post({ wt: 6 }))).status, 200);
    writeFileSync(file, '{ "type": "objekt" }');
    const refused = await gateway.reload();

    assert.equal(refused.status, 422);
    assert.match(refused.text, /routes\.yaml:1:\d+: .*car\.json is no JSON Schema that can be used/);
    assert.equal(requested(), 2);
  });
});
