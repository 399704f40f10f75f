import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { call, post, type Heard } from '../support/call.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from '../../gateway/domain/inference/rpc-form.ts';
import { readOwnProto } from '../../gateway/edges/protobufjs-own.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { IDENTITY, SECRET } from '../support/gateway-process.ts';
import { callByGrpc, type GrpcCall } from '../support/grpc.ts';
import { answer, startUpstream } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const CLAIMS = { iss: 'penstock-dev', aud: 'penstock', sub: 'alice', exp: 4_102_444_800 };
const TOKEN = aToken({ alg: 'HS256', typ: 'JWT' }, CLAIMS, hmac(SECRET));

const PROTOTYPE = {
  wt: { type: 'numeric', example: 2.6, details: [] },
  hp: { type: 'integer', example: 110, details: [] },
  gear: { type: 'factor', example: '4', details: { levels: ['3', '4'] } },
};

interface Traits {
  readonly route?: string;
  readonly said?: unknown;
  readonly status?: number;
  readonly prototype?: unknown;
  readonly more?: string;
  readonly filters?: string;
  /** What predictions wait for. */
  readonly held?: Promise<void>;
}

/** A model behind a route whose path has nothing in common with its id. */
async function startModel(t: TestContext, { route = '', said = { '.pred': [21.5, 'NA'] }, ...traits }: Traits = {}) {
  const { status = 200, prototype = PROTOTYPE, more = '', filters = 'StripPrefix=2', held } = traits;
  const upstream = await startUpstream(t, (socket, request) => {
    const isPrototype = request.head.startsWith('GET /prototype ');
    const code = isPrototype && prototype === null ? 404 : 200;
    const body = JSON.stringify(isPrototype ? prototype : said);
    const told = answer(body, { fields: 'Content-Type: application/json\r\n', status: isPrototype ? code : status });
    if (held === undefined || !request.head.startsWith('POST ')) told(socket, request);
    else void held.then(() => told(socket, request));
  });
  const gateway = await startGateway(t, {
    services: { cars: [upstream.origin] },
    listen: 'h2c: true',
    more: `inference: {}\n${more}`,
    env: { PENSTOCK_JWT_SECRET: SECRET },
    routes: `
services: { cars: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: fuel, uri: lb://cars, predicates: ['Path=/api/cars/**', 'Method=POST'], filters: [${filters}]${route === '' ? '' : `, ${route}`} }
  - { id: off, uri: lb://cars, predicates: ['Path=/off/**', 'Header=X-Team, a'], filters: ['StripPrefix=1'] }
  - { id: live, uri: lb://cars, predicates: ['Path=/live/**'], stream: true }
  - { id: open, uri: lb://cars, predicates: ['Path=/x/{y}/z'] }
`,
  });
  /** What R was asked, but for the gateway's own questions. */
  const asked = () => upstream.requests.filter(({ head }) => !head.startsWith('GET /prototype '));
  const infer = (body: unknown, headers = {}) => gateway.call('/v2/models/fuel/infer', post(body, headers));
  /** A method of gRPC, by Connect's JSON. */
  const rpc = (method: string, message: unknown, headers = {}) =>
    gateway.call(`/${INFERENCE_SERVICE}/${method}`, post(message, headers));
  return { gateway, asked, infer, rpc };
}

const ignore = () => undefined;
const NOTHING = { text: '{}' };
const jsonIn = ({ text }: Pick<Heard, 'text'>) => JSON.parse(text) as Record<string, unknown>;
const errorIn = (heard: Pick<Heard, 'text'>) => {
  const { error, ...others } = jsonIn(heard);
  assert.deepEqual(others, {});
  return String(error);
};

const WT = { name: 'wt', shape: [2], datatype: 'FP64', data: [2.62, null] };
const HP = { name: 'hp', shape: [2, 1], datatype: 'INT32', data: [[110], [93]] };
const GEAR = { name: 'gear', shape: [2], datatype: 'BYTES', data: ['4', '3'] };
const ROWS = '[{"wt":2.62,"hp":110,"gear":"4"},{"wt":null,"hp":93,"gear":"3"}]';

describe('the Open Inference Protocol over REST', () => {
  test('tells of the server, its life and its models', async t => {
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
    const { gateway, asked, infer } = await startModel(t);

    const heard = await infer({ id: 'a-1', parameters: { k: 1 }, inputs: [GEAR, HP, WT] }, { 'x-request-id': 'r1' });
    await gateway.call('/api/cars/predict', post(ROWS, { 'x-request-id': 'r1' }));

    assert.deepEqual(jsonIn(heard), {
      model_name: 'fuel',
      id: 'a-1',
      parameters: { k: 1 },
      outputs: [{ name: '.pred', datatype: 'FP64', shape: [2], data: [21.5, null] }],
    });
    const [byInference, byRest] = asked().map(({ head, body }) => [
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
    const { gateway, asked, infer } = await startModel(t, { route: 'pure: true, cache: { ttl: 1m }' });

    await gateway.call('/api/cars/predict', post(ROWS));
    const heard = await infer({ inputs: [WT, HP, GEAR], outputs: [{ name: '.pred' }] });

    assert.match(String(heard.headers['cache-status']), /hit/);
    assert.equal(heard.status, 200);
    assert.equal(asked().length, 1);
  });

  test('takes a matrix, and raw contents in and out', async t => {
    const prototype = { a: { type: 'numeric' }, b: { type: 'numeric' } };
    const { asked, gateway } = await startModel(t, {
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

    const heard = await gateway.call('/v2/models/fuel/infer', {
      method: 'POST',
      headers: { 'inference-header-content-length': String(header.length) },
      body: Buffer.concat([header, raw]),
    });

    assert.equal(asked()[0]?.body.toString(), '[{"a":1,"b":2.5},{"a":null,"b":-4}]');
    const length = Number(heard.headers['inference-header-content-length']);
    const { outputs } = JSON.parse(heard.body.subarray(0, length).toString()) as { outputs: unknown };
    assert.deepEqual(outputs, [
      { name: 'x', datatype: 'FP64', shape: [2], parameters: { binary_data_size: 16 } },
      { name: 's', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 11 } },
    ]);
    const data = heard.body.subarray(length);
    assert.deepEqual([data.readDoubleLE(0), data.readDoubleLE(8)], [1.5, NaN]);
    assert.equal(data.subarray(16).toString('hex'), '02000000c3a40100000062');
  });

  test('refuses in the protocol’s shape what is no request, no model, or not allowed', async t => {
    const { gateway, asked, infer } = await startModel(t);
    const statusOf = async (path: string, traits = {}) => {
      const heard = await gateway.call(path, traits);
      return `${heard.status} ${errorIn(heard)}`;
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
    assert.match(errorIn(await infer('{')), /^BAD_REQUEST: .*not JSON/);
    assert.equal(asked().length, 0);
    assert.equal((await gateway.call('/v2/elsewhere')).code, 'NO_ROUTE'); // a path of nobody's
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

    const heard = await infer({ inputs: [WT, HP, GEAR] });

    assert.deepEqual([heard.status, errorIn(heard)], [422, 'too heavy']);
  });

  test('says of an answer that is no table that it is none', async t => {
    const { infer } = await startModel(t, { said: { deep: [[1]] } });

    const heard = await infer({ inputs: [WT, HP, GEAR] });

    assert.deepEqual([heard.status, errorIn(heard).split(':')[0]], [502, 'UPSTREAM_FAULT']);
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
      const asked = post({ method: 'POST', url, headers: {}, body: JSON.stringify(body) });
      return jsonIn(await call(`${gateway.adminUrl}/api/explain`, asked)) as Record<
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

    const heard = await infer({ inputs: [WT] });

    assert.deepEqual([heard.status, errorIn(heard).split(':')[0]], [401, 'UNAUTHENTICATED']);
    assert.match(String(heard.headers['www-authenticate']), /Bearer/);
    assert.equal((await call(`${gateway.url}/v2/health/live`)).status, 200);
  });
});

const double = (...values: number[]) => {
  const raw = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => raw.writeDoubleLE(value, i * 8));
  return raw.toString('base64');
};

const CONTENTS = [
  { name: 'wt', shape: [2], datatype: 'FP64', contents: { fp64Contents: [2.62, 'NaN'] } },
  { name: 'hp', shape: [2, 1], datatype: 'INT32', contents: { intContents: [110, 93] } },
  { name: 'gear', shape: [2], datatype: 'BYTES', contents: { bytesContents: ['NA==', 'Mw=='] } },
];

const GRPC_INFER = {
  method: `/${INFERENCE_SERVICE}/ModelInfer`,
  request: 'inference.ModelInferRequest',
  response: 'inference.ModelInferResponse',
};

describe('the Open Inference Protocol over gRPC', () => {
  test('is spoken with a client that nobody here wrote, and asks R what REST asks', async t => {
    const { gateway, asked } = await startModel(t, { route: 'pure: true, body: { max: 2KiB }' });
    const { json } = readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE).descriptor;
    const about = (name: string, message: unknown): GrpcCall => {
      const names = { request: `inference.${name}Request`, response: `inference.${name}Response` };
      return { method: `/${INFERENCE_SERVICE}/${name}`, message, ...names };
    };
    const [wt, hp, gear] = CONTENTS.map(({ name, shape, datatype }) => ({ name, shape, datatype }));
    const parameters = { k: { int64Param: '9007199254740993' }, s: { stringParam: 'ä' } };
    const whole = { modelName: 'fuel', id: 'a-1', parameters, inputs: CONTENTS };
    const rawInputContents = [double(2.62, NaN), Buffer.from([110, 0, 0, 0, 93, 0, 0, 0]).toString('base64')];
    const texts = Buffer.from('010000003401000000' + '33', 'hex').toString('base64');

    const ends = await callByGrpc({
      target: `127.0.0.1:${gateway.port}`,
      files: [json],
      calls: [
        ...['ServerLive', 'ServerReady', 'ServerMetadata'].map(name => about(name, {})),
        about('ModelReady', { name: 'fuel' }),
        about('ModelReady', { name: 'none' }),
        about('ModelReady', { name: 'fuel', version: '2' }),
        { ...GRPC_INFER, message: whole, metadata: [['x-request-id', 'mine-1']] },
        {
          ...GRPC_INFER,
          message: { modelName: 'fuel', inputs: [wt, hp, gear], rawInputContents: [...rawInputContents, texts] },
          compress: true,
        },
        about('ModelMetadata', { name: 'fuel' }),
        { ...GRPC_INFER, message: { ...whole, inputs: CONTENTS.slice(0, 2) } },
        { ...GRPC_INFER, message: { ...whole, id: 'x'.repeat(3_000) } },
      ],
    });
    await gateway.call('/api/cars/predict', post(ROWS, { 'x-request-id': 'mine-1' }));

    const output = { name: '.pred', datatype: 'FP64', shape: ['2'] };
    const tensor = (name: string, datatype: string) => ({ name, datatype, shape: ['-1'] });
    assert.deepEqual(
      ends.map(({ code, message }) => [code, message]),
      [
        ['OK', { live: true }],
        ['OK', { ready: true }],
        ['OK', { name: 'penstock', version: '0.0.0', extensions: ['binary_tensor_data'] }],
        ['OK', { ready: true }],
        ['NOT_FOUND', null],
        ['NOT_FOUND', null],
        [
          'OK',
          {
            ...{ modelName: 'fuel', id: 'a-1', parameters },
            outputs: [{ ...output, contents: { fp64Contents: [21.5, 'NaN'] } }],
          },
        ],
        ['OK', { modelName: 'fuel', outputs: [output], rawOutputContents: [double(21.5, NaN)] }],
        [
          'OK',
          {
            ...{ name: 'fuel', platform: 'r_plumber', outputs: [tensor('.pred', 'FP64')] },
            inputs: [tensor('wt', 'FP64'), tensor('hp', 'INT32'), tensor('gear', 'BYTES')],
          },
        ],
        ['INVALID_ARGUMENT', null],
        ['RESOURCE_EXHAUSTED', null],
      ],
    );
    assert.equal(ends[9]?.details, '`gear` is missing');
    const headOf = (head: string) => head.toLowerCase().replace(/user-agent: grpc-.*\r\n/, '');
    const sent = asked().map(({ head, body }) => [headOf(head).split('\r\n').sort().join('\n'), String(body)]);
    const [first, raw, byRest] = sent;
    assert.equal(first?.[1], ROWS);
    assert.equal(raw?.[1], ROWS);
    assert.deepEqual(first, byRest);
    const [line] = gateway.requests().filter(({ id }) => id === 'mine-1');
    assert.deepEqual(
      ['path', 'method', 'route', 'status', 'protocol'].map(key => line?.[key]),
      [GRPC_INFER.method, 'POST', 'fuel', 200, 'grpc'],
    );
  });

  test('shares a flight with REST', async t => {
    let release: () => void = ignore;
    const held = new Promise<void>(resolve => (release = resolve));
    const { gateway, asked, infer, rpc } = await startModel(t, { route: 'pure: true, coalesce: true', held });
    await gateway.call('/v2/models/fuel'); // the columns are known now

    const calls = [
      gateway.call('/api/cars/predict', post(ROWS)),
      infer({ inputs: [WT, HP, GEAR] }),
      rpc('ModelInfer', { modelName: 'fuel', inputs: CONTENTS }),
    ];
    await until(async () => (await gateway.metric('penstock_requests_in_flight')) === 3, 'all are in flight');
    await until(() => asked().length > 0, 'R is asked');
    release();
    const [byRest, byInference, byRpc] = await Promise.all(calls);

    assert.equal(byRest?.text, '{".pred":[21.5,"NA"]}');
    const outputs = [{ name: '.pred', datatype: 'FP64', shape: [2], data: [21.5, null] }];
    assert.deepEqual(jsonIn(byInference ?? NOTHING)['outputs'], outputs);
    const contents = { fp64Contents: [21.5, 'NaN'] };
    const [output] = jsonIn(byRpc ?? NOTHING)['outputs'] as [unknown];
    assert.deepEqual(output, { name: '.pred', datatype: 'FP64', shape: ['2'], contents });
    assert.equal(asked().length, 1);
    assert.equal(await gateway.metric('penstock_coalesced_total', { route: 'fuel' }), 2);
  });

  test('refuses with the codes of gRPC, and holds the route’s rules', async t => {
    const route = 'auth: { allow: [jwt] }, limits: [{ rate: 3, per: 1m, by: caller }]';
    const filters = 'StripPrefix=2, SetStatus=202';
    const { gateway, asked, rpc } = await startModel(t, { route, filters, more: IDENTITY });
    const token = { authorization: `Bearer ${TOKEN}` };
    const endOf = async (message: object, headers: object = token) => {
      const { status, text } = await rpc('ModelInfer', { modelName: 'fuel', ...message }, headers);
      const said = JSON.parse(text) as { code?: string; message?: string };
      return [status, said.code, said.message];
    };

    const good = await endOf({ inputs: CONTENTS });
    const stranger = await endOf({ inputs: CONTENTS }, {});
    const raw = await endOf({ inputs: CONTENTS, rawInputContents: ['AA=='] });
    const long = { name: 'wt', shape: [1], datatype: 'INT64', contents: { int64Contents: ['9007199254740993'] } };
    const beyond = await endOf({ inputs: [long] });
    const over = await endOf({ inputs: CONTENTS });
    const none = await endOf({ modelName: 'live' });
    await gateway.call(GRPC_INFER.method, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
      body: Buffer.alloc(5),
    });

    assert.deepEqual(good, [200, undefined, undefined]);
    assert.deepEqual(stranger.slice(0, 2), [401, 'unauthenticated']);
    assert.deepEqual(raw.slice(0, 2), [400, 'invalid_argument']);
    assert.match(String(beyond[2]), /^`wt`: 9007199254740992 is beyond 2\^53/);
    assert.deepEqual(over.slice(0, 2), [429, 'resource_exhausted']);
    assert.deepEqual(none, [404, 'not_found', 'No model of this name is published here.']);
    assert.equal(gateway.requests().at(-1)?.['code'], 'BAD_REQUEST'); // over HTTP/1.1
    assert.equal(asked().length, 1);
  });
});
