import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, post, type Received } from '../support/call.ts';
import { CONTENTS, GEAR, GRPC_INFER, HP, ROWS, startModel, WT } from '../support/inference.ts';

const jsonIn = ({ text }: Pick<Received, 'text'>) => JSON.parse(text) as Record<string, unknown>;
const errorIn = (received: Pick<Received, 'text'>) => {
  const { error, ...others } = jsonIn(received);
  assert.deepEqual(others, {});
  return String(error);
};

describe('the Open Inference Protocol over REST', () => {
  test('reports the server, its life and its models', async t => {
    const { gateway, infer } = await startModel(t);
    const get = async (path: string) => jsonIn(await gateway.call(path));

    assert.deepEqual(await get('/v2'), { name: 'penstock', version: '0.0.0', extensions: ['binary_tensor_data'] });
    assert.deepEqual(await get('/v2/health/live'), { live: true });
    assert.deepEqual(await get('/v2/health/ready'), { ready: true });
    assert.deepEqual(await get('/v2/models/fuel/ready'), { name: 'fuel', ready: true });
    const metadata = {
      name: 'fuel',
      versions: [],
      platform: 'r_plumber',
      inputs: [
        { name: 'wt', datatype: 'FP64', shape: [-1] },
        { name: 'hp', datatype: 'INT32', shape: [-1] },
        { name: 'gear', datatype: 'BYTES', shape: [-1] },
      ],
    };
    assert.deepEqual(await get('/v2/models/fuel'), { ...metadata, outputs: [] });
    await infer({ inputs: [GEAR, HP, WT] });
    assert.deepEqual(await get('/v2/models/fuel'), {
      ...metadata,
      outputs: [{ name: '.pred', datatype: 'FP64', shape: [-1] }],
    });
  });

  test('asks R what REST asks, and answers in tensors with the id and the parameters', async t => {
    const { gateway, requested, infer } = await startModel(t);

    const received = await infer({ id: 'a-1', parameters: { k: 1 }, inputs: [GEAR, HP, WT] }, { 'x-request-id': 'r1' });
    await gateway.call('/api/cars/predict', post(ROWS, { 'x-request-id': 'r1' }));

    assert.deepEqual(jsonIn(received), {
      model_name: 'fuel',
      id: 'a-1',
      parameters: { k: 1 },
      outputs: [{ name: '.pred', datatype: 'FP64', shape: [2], data: [21.5, null] }],
    });
    const [byInference, byRest] = requested().map(({ head, body }) => [
      head
        .split('\r\n')
        .map(line => line.toLowerCase())
        .filter(line => !line.startsWith('content-length'))
        .sort()
        .join('\n'),
      body.toString(),
    ]);
    assert.deepEqual(byInference, byRest);
    assert.equal(byRest?.[1], ROWS);
    const [line] = gateway.requests();
    assert.ok(line !== undefined);
    const { path, route, status, protocol } = line;
    assert.deepEqual([path, route, status, protocol], ['/v2/models/fuel/infer', 'fuel', 200, 'open-inference']);
  });

  test('shares cache entries with REST', async t => {
    const { gateway, requested, infer } = await startModel(t, { route: 'pure: true, cache: { ttl: 1m }' });

    await gateway.call('/api/cars/predict', post(ROWS));
    const received = await infer({ inputs: [WT, HP, GEAR], outputs: [{ name: '.pred' }] });

    assert.match(String(received.headers['cache-status']), /hit/);
    assert.equal(received.status, 200);
    assert.equal(requested().length, 1);
  });

  test('takes a matrix, and raw contents in and out', async t => {
    const prototype = { a: { type: 'numeric' }, b: { type: 'numeric' } };
    const { requested, gateway } = await startModel(t, {
      prototype,
      said: [
        { x: 1.5, s: 'ä' },
        { x: null, s: 'b' },
      ],
    });
    const raw = Buffer.alloc(32);
    [1, 2.5, NaN, -4].forEach((value, i) => raw.writeDoubleLE(value, i * 8));
    const input = { name: 'm', shape: [2, 2], datatype: 'FP64', parameters: { binary_data_size: 32 } };
    const header = Buffer.from(JSON.stringify({ parameters: { binary_data_output: true }, inputs: [input] }));

    const received = await gateway.call('/v2/models/fuel/infer', {
      method: 'POST',
      headers: { 'inference-header-content-length': String(header.length) },
      body: Buffer.concat([header, raw]),
    });

    assert.equal(requested()[0]?.body.toString(), '[{"a":1,"b":2.5},{"a":null,"b":-4}]');
    const length = Number(received.headers['inference-header-content-length']);
    const { outputs } = JSON.parse(received.body.subarray(0, length).toString()) as { outputs: unknown };
    assert.deepEqual(outputs, [
      { name: 'x', datatype: 'FP64', shape: [2], parameters: { binary_data_size: 16 } },
      { name: 's', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 11 } },
    ]);
    const data = received.body.subarray(length);
    assert.deepEqual([data.readDoubleLE(0), data.readDoubleLE(8)], [1.5, NaN]);
    assert.equal(data.subarray(16).toString('hex'), '02000000c3a40100000062');
  });

  test('refuses in the protocol’s shape what is no request, no model, or not allowed', async t => {
    const { gateway, requested, infer } = await startModel(t);
    const statusOf = async (path: string, traits = {}) => {
      const received = await gateway.call(path, traits);
      return `${received.status} ${errorIn(received)}`;
    };

    assert.match(await statusOf('/v2/models/none/infer', post({})), /^404 NO_ROUTE: No model/);
    assert.match(await statusOf('/v2/models/live', {}), /^404 /);
    assert.match(await statusOf('/v2/models/open', {}), /^404 /);
    assert.match(await statusOf('/v2/models/off', {}), /^404 /); // its header does not hold
    assert.match(await statusOf('/v2/models/fuel/versions/2', {}), /^404 NO_ROUTE: Model fuel has no version/);
    assert.match(await statusOf('/v2/models/fuel/infer', {}), /^405 METHOD_NOT_ALLOWED/);
    assert.match(await statusOf('/v2', post({})), /^405 /);
    const wrong = await infer({ inputs: [WT, HP] });
    assert.deepEqual([wrong.status, errorIn(wrong)], [400, 'INVALID_INPUT: `gear` is missing']);
    const twice = await infer({ inputs: [WT, HP, GEAR], outputs: [{ name: '.pred' }, { name: '.pred' }] });
    assert.deepEqual([twice.status, errorIn(twice)], [400, 'INVALID_INPUT: `.pred` is asked for twice']);
    assert.match(errorIn(await infer('{')), /^BAD_REQUEST: .*not JSON/);
    assert.equal(requested().length, 0);
    assert.equal((await gateway.call('/v2/elsewhere')).code, 'NO_ROUTE'); // a path of no route
    const team = await gateway.call('/v2/models/off', { headers: { 'x-team': 'a' } });
    assert.equal(team.status, 200);
  });

  test('holds the route’s rules: validation and limits', async t => {
    const { infer } = await startModel(t, { route: 'validate: {}, limits: [{ rate: 2, per: 1m, by: route }]' });

    const heavy = await infer({ inputs: [{ ...WT, datatype: 'BYTES', data: ['heavy', '1'] }, HP, GEAR] });
    await infer({ inputs: [WT, HP, GEAR] });
    const over = await infer({ inputs: [WT, HP, GEAR] });

    assert.deepEqual([heavy.status, errorIn(heavy)], [400, 'INVALID_INPUT: row 1: `wt`: "heavy" is not a number']);
    assert.deepEqual([over.status, errorIn(over).split(':')[0]], [429, 'RATE_LIMITED']);
    assert.notEqual(over.headers['retry-after'], undefined);
  });

  test('tells R’s own errors', async t => {
    const { infer } = await startModel(t, { status: 422, said: { detail: ['too heavy'] } });

    const received = await infer({ inputs: [WT, HP, GEAR] });

    assert.deepEqual([received.status, errorIn(received)], [422, 'too heavy']);
  });

  test('says of an answer that is no table that it is none', async t => {
    const { infer } = await startModel(t, { said: { deep: [[1]] } });

    const received = await infer({ inputs: [WT, HP, GEAR] });

    assert.deepEqual([received.status, errorIn(received).split(':')[0]], [502, 'UPSTREAM_FAULT']);
  });

  test('knows no model whose service publishes no columns', async t => {
    const { gateway, infer } = await startModel(t, { prototype: null });

    const [metadata, inferred] = [await gateway.call('/v2/models/fuel'), await infer({ inputs: [WT] })];

    assert.deepEqual([metadata.status, inferred.status], [404, 404]);
    assert.match(errorIn(metadata), /publishes no columns/);
  });

  test('is explained with the route that a model names, and the rows that R would be sent', async t => {
    const { gateway, infer } = await startModel(t);
    await infer({ inputs: [WT, HP, GEAR] }); // the columns are known now
    const explained = async (url: string, body: unknown) => {
      const requested = post({ method: 'POST', url, headers: {}, body: JSON.stringify(body) });
      return jsonIn(await call(`${gateway.adminUrl}/api/explain`, requested)) as Record<
        'answers' | 'refusal',
        Record<string, unknown> | null
      >;
    };

    const good = await explained('/v2/models/fuel/infer', { inputs: [WT, HP, GEAR] });
    const bad = await explained('/v2/models/fuel/infer', { inputs: [WT] });
    const none = await explained('/v2/models/none/infer', {});
    const byRpc = await explained(GRPC_INFER.method, { model_name: 'fuel', inputs: CONTENTS });

    const { route, transcoded, sent } = good.answers ?? {};
    assert.equal(route, 'fuel');
    assert.deepEqual(transcoded, { form: 'Open Inference Protocol v2', body: ROWS, refusal: null });
    assert.equal((sent as { target: string }).target, '/predict');
    assert.equal(bad.answers?.['sent'], null);
    assert.deepEqual([byRpc.answers?.['route'], byRpc.answers?.['transcoded']], ['fuel', transcoded]);
    assert.deepEqual([none.answers, none.refusal?.['code']], [null, 'NO_ROUTE']);
  });

  test('asks for the credential of the route', async t => {
    const secret = 's'.repeat(32);
    const more = `identity: { jwt: [{ issuer: i, audience: a, algorithms: [HS256], secret: '${secret}' }] }`;
    const { gateway, infer } = await startModel(t, { more });

    const received = await infer({ inputs: [WT] });

    assert.deepEqual([received.status, errorIn(received).split(':')[0]], [401, 'UNAUTHENTICATED']);
    assert.match(String(received.headers['www-authenticate']), /Bearer/);
    assert.equal((await call(`${gateway.url}/v2/health/live`)).status, 200);
  });
});
