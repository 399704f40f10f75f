import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { once } from 'node:events';
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { call, post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { IDENTITY, SECRET } from '../support/gateway-process.ts';
import { callByGrpc, callRaw, type GrpcCall } from '../support/grpc.ts';
import { answer, startUpstream, type ScriptedUpstream, type WireRequest } from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { seeded } from '../support/service-at-work.ts';
import { until } from '../support/until.ts';
import { enveloped } from '../../gateway/domain/grpc/envelope.ts';
import { readOwnProto } from '../../gateway/edges/protobufjs-own.ts';
import { aFolder } from '../support/folder.ts';

const PROTO = `syntax = "proto3";
package fuel.v1;
import "google/api/annotations.proto";
service Fuel {
  rpc Predict(PredictRequest) returns (PredictResponse) {
    option (google.api.http) = { post: "/predict" body: "cars" };
  }
  rpc Look(LookRequest) returns (Looked) {
    option (google.api.http) = { get: "/cars/{name}" additional_bindings { get: "/cars" } };
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}
message Car { double wt = 1; optional int32 hp = 2; }
message PredictRequest { repeated Car cars = 1; }
message PredictResponse { repeated double pred = 1 [json_name = ".pred"]; }
message LookRequest { string name = 1; optional bool full = 2; }
message Looked { string found = 1; }
`;

const number = { label: 'LABEL_OPTIONAL', type: 'TYPE_DOUBLE' };
const optional = { label: 'LABEL_OPTIONAL', proto3Optional: true, oneofIndex: 0 };
const string = { label: 'LABEL_OPTIONAL', type: 'TYPE_STRING' };

/** The same messages, as Debian's protobuf is given them. */
const DECLARED = {
  ...{ name: 'fuel.proto', package: 'fuel.v1', syntax: 'proto3' },
  messageType: [
    {
      name: 'Car',
      field: [
        { name: 'wt', number: 1, ...number },
        { name: 'hp', number: 2, type: 'TYPE_INT32', ...optional },
      ],
      oneofDecl: [{ name: '_hp' }],
    },
    {
      name: 'PredictRequest',
      field: [{ name: 'cars', number: 1, label: 'LABEL_REPEATED', type: 'TYPE_MESSAGE', typeName: '.fuel.v1.Car' }],
    },
    { name: 'PredictResponse', field: [{ name: 'pred', number: 1, label: 'LABEL_REPEATED', type: 'TYPE_DOUBLE' }] },
    {
      name: 'LookRequest',
      field: [
        { name: 'name', number: 1, ...string },
        { name: 'full', number: 2, type: 'TYPE_BOOL', ...optional },
      ],
      oneofDecl: [{ name: '_full' }],
    },
    { name: 'Looked', field: [{ name: 'found', number: 1, ...string }] },
  ],
};

const CARS = [{ wt: 2.62, hp: 110 }, { wt: 0 }];

function predict(more: Partial<GrpcCall> = {}): GrpcCall {
  const names = {
    method: '/fuel.v1.Fuel/Predict',
    request: 'fuel.v1.PredictRequest',
    response: 'fuel.v1.PredictResponse',
  };
  return { ...names, message: { cars: CARS }, ...more };
}

function look(message: unknown): GrpcCall {
  return { method: '/fuel.v1.Fuel/Look', request: 'fuel.v1.LookRequest', response: 'fuel.v1.Looked', message };
}

const CLAIMS = { iss: 'penstock-dev', aud: 'penstock', sub: 'alice', exp: 4_102_444_800 };
const TOKEN = aToken({ alg: 'HS256', typ: 'JWT' }, CLAIMS, hmac(SECRET));

/** One car of weight 2, in protobuf's wire format. */
const MESSAGE = Buffer.from('0a09090000000000000040', 'hex');

/** A call of `Predict` whose body is these bytes, whatever they are. */
const rawCall = (session: ClientHttp2Session, body: Buffer, fields: Readonly<Record<string, string>> = {}) =>
  callRaw(session, body, { ':path': '/fuel.v1.Fuel/Predict', ...fields });

interface Traits {
  readonly policy?: string;
  readonly more?: string;
  readonly proto?: string;
}

async function gatewayBefore(
  t: TestContext,
  upstream: ScriptedUpstream,
  { policy = '', more = '', proto = PROTO }: Traits = {},
) {
  const folder = aFolder(t);
  writeFileSync(join(folder, 'fuel.proto'), proto);
  return startGateway(t, {
    services: { fuel: [upstream.origin] },
    listen: 'h2c: true',
    routes: `
services: { fuel: { concurrency: 8, health: { interval: 60s } } }
routes:
  - id: fuel
    uri: lb://fuel
    predicates: ['Path=/api/fuel/**']
    filters: ['StripPrefix=2']
    grpc: { proto: '${join(folder, 'fuel.proto')}' }
    ${policy}
`,
    more,
    env: { PENSTOCK_JWT_SECRET: SECRET },
  });
}

const JSON_TYPE = { fields: 'Content-Type: application/json\r\n' };
const PREDICTED = answer('{".pred":[23.5,18]}', JSON_TYPE);

/** `POST /predict` and the body, which is all that REST and gRPC have in common by name. */
function partsOf({ head, body }: WireRequest) {
  return {
    line: head.slice(0, head.indexOf('\r\n')),
    type: /^content-type: (.*)$/im.exec(head)?.[1],
    body: String(body),
  };
}

describe('gRPC', () => {
  test('is answered by the request that REST would send, and shares its answer', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, { policy: 'pure: true' });
    await gateway.call('/api/fuel/predict', post(CARS));

    const ends = await callByGrpc({
      target: `127.0.0.1:${gateway.port}`,
      files: [DECLARED],
      calls: [
        predict({ metadata: [['x-request-id', 'mine-1']] }),
        predict({ compress: true, message: { cars: Array<object>(200).fill({ wt: 2, hp: 100 }) } }),
        look({ name: 'Fiat 128/X', full: false }),
        look({ full: true }),
        look({ name: '..' }),
      ],
    });

    assert.deepEqual(
      ends.map(({ code, message }) => ({ code, message })),
      [
        { code: 'OK', message: { pred: [23.5, 18] } },
        { code: 'OK', message: { pred: [23.5, 18] } },
        { code: 'OK', message: {} },
        { code: 'OK', message: {} },
        { code: 'INVALID_ARGUMENT', message: null },
      ],
    );
    assert.ok(ends[0]?.initial.some(pair => pair.join() === 'x-request-id,mine-1'));
    const [rest, grpc, packed, ...looked] = upstream.requests.map(partsOf);
    assert.deepEqual(grpc, rest);
    assert.deepEqual(JSON.parse(packed?.body ?? ''), Array(200).fill({ wt: 2, hp: 100 }));
    assert.deepEqual(
      looked.map(({ line }) => line),
      ['GET /cars/Fiat%20128%2FX?full=false HTTP/1.1', 'GET /cars?full=true HTTP/1.1'],
    );
    const [line] = gateway.requests().filter(({ id }) => id === 'mine-1');
    assert.deepEqual([line?.['path'], line?.['protocol'], line?.['status']], ['/fuel.v1.Fuel/Predict', 'grpc', 200]);
  });

  test('shares a cached answer with REST', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, { policy: 'pure: true\n    cache: { ttl: 60s }' });
    await gateway.call('/api/fuel/predict', post(CARS));

    const [end] = await callByGrpc({ target: `127.0.0.1:${gateway.port}`, files: [DECLARED], calls: [predict()] });

    assert.deepEqual(end?.message, { pred: [23.5, 18] });
    assert.equal(upstream.requests.length, 1);
    const requested = {
      method: 'POST',
      url: '/fuel.v1.Fuel/Predict',
      headers: {},
      body: JSON.stringify({ cars: CARS }),
    };
    const explained = await call(`${gateway.adminUrl}/api/explain`, post(requested));
    const { answers } = JSON.parse(explained.text) as {
      answers: { route: string; transcoded: object; sent: { target: string } };
    };
    assert.deepEqual([answers.route, answers.sent.target], ['fuel', '/predict']);
    assert.deepEqual(answers.transcoded, { form: 'gRPC', body: JSON.stringify(CARS), refusal: null });
  });

  test('ends with the codes that its clients know', async t => {
    const upstream = await startUpstream(t, answer('', { status: 204 }));
    const gateway = await gatewayBefore(t, upstream, {
      policy:
        'auth: { allow: [jwt] }\n    body: { max: 1KiB }\n    limits: [{ rate: 9, per: 10m }]\n    retry: { attempts: 1 }',
      more: IDENTITY,
    });
    const statuses = [400, 401, 403, 404, 418, 429, 500, 503];
    const answers = [
      ...statuses.map(status => answer('{"error":["no such car"]}', { status, ...JSON_TYPE })),
      answer('{".pred":"many"}', JSON_TYPE),
    ];
    upstream.play((socket, request) => (answers.shift() ?? (() => undefined))(socket, request));
    const known: GrpcCall['metadata'] = [['authorization', `Bearer ${TOKEN}`]];

    const ends = await callByGrpc({
      target: `127.0.0.1:${gateway.port}`,
      files: [DECLARED],
      calls: [
        predict(),
        ...statuses.map(() => predict({ metadata: known })),
        predict({ metadata: known }),
        predict({ metadata: known }),
        predict({ metadata: known, message: { cars: Array<object>(500).fill({ wt: 1 }) } }),
        { ...predict({ metadata: known }), method: '/fuel.v1.Fuel/Nothing' },
        { ...predict({ metadata: known }), method: '/fuel.v1.Other/Predict' },
      ],
    });

    assert.deepEqual(
      ends.map(({ code }) => code),
      [
        'UNAUTHENTICATED',
        ...[
          'INTERNAL',
          'UNAUTHENTICATED',
          'PERMISSION_DENIED',
          'UNIMPLEMENTED',
          'UNKNOWN',
          'UNAVAILABLE',
          'UNKNOWN',
          'UNAVAILABLE',
        ],
        ...['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED', 'UNIMPLEMENTED', 'UNIMPLEMENTED'],
      ],
    );
    assert.equal(ends[1]?.details, 'no such car');
    const refused = gateway.requests()[0];
    assert.deepEqual([refused?.['status'], refused?.['code']], [401, 'UNAUTHENTICATED']);
    assert.ok(ends[0]?.initial.some(([name]) => name === 'www-authenticate'));
    assert.ok(ends[0]?.trailing.some(([name]) => name === 'grpc-status-details-bin'));
  });

  test('is given up when its caller has waited long enough', async t => {
    const upstream = await startUpstream(t, () => undefined);
    const gateway = await gatewayBefore(t, upstream);
    const session = connect(gateway.url);
    t.after(() => session.destroy());

    const end = await rawCall(session, enveloped(MESSAGE), { 'grpc-timeout': '50m' });

    assert.deepEqual([end.trailers['grpc-status'], end.head[':status']], ['4', 200]);
    assert.equal(gateway.requests()[0]?.['code'], 'DEADLINE_EXCEEDED');
    upstream.reset();
  });

  test('takes nothing else for a message, and stays well', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, { policy: 'body: { max: 64KiB }' });
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const good = enveloped(MESSAGE);
    const codeOf = async (body: Buffer, fields?: Readonly<Record<string, string>>) => {
      const { head, trailers } = await rawCall(session, body, fields);
      return trailers['grpc-status'] ?? head['grpc-status'];
    };
    const flagged = (flags: number, content: Buffer) => {
      const whole = enveloped(content);
      whole[0] = flags;
      return whole;
    };
    const bomb = flagged(1, gzipSync(Buffer.alloc(10_000_000)));
    const wrong: readonly (readonly [string, Buffer, string, Readonly<Record<string, string>>?])[] = [
      ['nothing', Buffer.alloc(0), '3'],
      ['a prefix alone', good.subarray(0, 5), '3'],
      ['a message that is cut off', good.subarray(0, good.length - 1), '3'],
      ['two messages', Buffer.concat([good, good]), '3'],
      ['a frame of HTTP/2 settings', Buffer.from('PRI * HTTP/2.0\r\n\r\n'), '3'],
      ['JSON', Buffer.from(JSON.stringify({ cars: CARS })), '3'],
      ['a field without an end', enveloped(Buffer.from('0aff', 'hex')), '3'],
      ['a compressed message without a word of how', flagged(1, MESSAGE), '12'],
      ['one that is not compressed as it says', flagged(1, MESSAGE), '3', { 'grpc-encoding': 'gzip' }],
      ['one in a coding that is not taken', flagged(1, MESSAGE), '12', { 'grpc-encoding': 'snappy' }],
      ['a bomb', bomb, '8', { 'grpc-encoding': 'gzip' }],
      ['one that is too large', enveloped(Buffer.alloc(100_000)), '8'],
      ['a time that is none', good, '3', { 'grpc-timeout': '5' }],
    ];

    for (const [name, body, code, fields] of wrong) assert.equal(await codeOf(body, fields), code, name);
    const draw = seeded(7);
    for (let i = 0; i < 50; i++) {
      const mutated = Buffer.from(good);
      for (let j = 0; j <= draw.below(3); j++) mutated[draw.below(mutated.length)] = draw.below(256);
      assert.match(String(await codeOf(mutated)), /^(?:0|3|12)$/, mutated.toString('hex'));
    }
    assert.equal(await codeOf(good), '0');
  });
});

/** A published service, to be called by Debian's client. */
const callOf = (method: string, [request, response]: readonly [string, string], message: unknown): GrpcCall => {
  const within = method.slice(1, method.lastIndexOf('.') + 1);
  return { method, request: `${within}${request}`, response: `${within}${response}`, message };
};

describe('the services of gRPC’s own', () => {
  const HEALTH = '/grpc.health.v1.Health';
  const MESSAGES = ['HealthCheckRequest', 'HealthCheckResponse'] as const;
  const check = (service: string) => callOf(`${HEALTH}/Check`, MESSAGES, { service });

  test('tell what is served, so that a client can call it who knows nothing else, and how it is', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const proto = PROTO.replace(
      'message Looked {',
      'message Looked { map<string, google.protobuf.Timestamp> seen_at = 2;',
    );
    const gateway = await gatewayBefore(t, upstream, {
      proto: proto.replace('import ', 'import "google/protobuf/timestamp.proto";\nimport '),
      more: 'inference: {}',
    });
    const files = ['health', 'reflection'].map(name => {
      const service = name === 'health' ? 'grpc.health.v1.Health' : 'grpc.reflection.v1.ServerReflection';
      return readOwnProto(`grpc/${name}/v1/${name}.proto`, service).descriptor.json;
    });
    const target = `127.0.0.1:${gateway.port}`;
    const reflect = (message: unknown) =>
      callOf(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        ['ServerReflectionRequest', 'ServerReflectionResponse'],
        message,
      );

    const [listed, described, unknown, ...healths] = await callByGrpc({
      ...{ target, files },
      calls: [
        ...[{ listServices: '' }, { fileContainingSymbol: 'fuel.v1.Fuel.Look' }, { fileByFilename: '/etc/passwd' }].map(
          reflect,
        ),
        ...['', 'fuel', 'fuel.v1.Fuel', 'inference.GRPCInferenceService', 'none'].map(check),
        callOf(`${HEALTH}/List`, ['HealthListRequest', 'HealthListResponse'], {}),
      ],
    });
    const reported = described?.message as { fileDescriptorResponse: { fileDescriptorProto: string[] } };
    const [called] = await callByGrpc({
      target,
      files: reported.fileDescriptorResponse.fileDescriptorProto.toReversed(),
      calls: [predict()],
    });

    const services = (listed?.message as { listServicesResponse: { service: { name: string }[] } })
      .listServicesResponse;
    assert.deepEqual(
      services.service.map(({ name }) => name),
      [
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
        'inference.GRPCInferenceService',
        'fuel.v1.Fuel',
      ],
    );
    assert.equal((unknown?.message as { errorResponse: { errorCode: number } }).errorResponse.errorCode, 5);
    assert.deepEqual(called?.message, { '.pred': [23.5, 18] });
    assert.deepEqual(
      healths.slice(0, 5).map(({ code, message }) => (message as { status?: string } | null)?.status ?? code),
      ['SERVING', 'SERVING', 'SERVING', 'SERVING', 'NOT_FOUND'],
    );
    const { statuses } = healths[5]?.message as { statuses: object };
    assert.deepEqual(Object.keys(statuses).toSorted(), ['', ...services.service.map(({ name }) => name)].toSorted());
  });

  test('say nothing of what asks for a credential, and what is wrong in gRPC’s words', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, { policy: 'auth: { allow: [jwt] }', more: IDENTITY });
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const path = { ':path': '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo' };
    const [list, symbol] = [
      Buffer.from('3a00', 'hex'),
      Buffer.from('220c' + Buffer.from('fuel.v1.Fuel').toString('hex'), 'hex'),
    ];

    const both = await rawCall(session, Buffer.concat([enveloped(list), enveloped(symbol)]), path);
    const cut = await rawCall(session, enveloped(Buffer.alloc(5_000)), path);
    const nonsense = await rawCall(session, enveloped(Buffer.from('0aff', 'hex')), path);

    assert.equal(both.trailers['grpc-status'], '0');
    assert.match(both.body.toString('latin1'), /grpc\.health\.v1\.Health.*fuel\.v1\.Fuel is not known here/s);
    assert.doesNotMatch(both.body.subarray(0, both.body.readUInt32BE(1)).toString('latin1'), /fuel/);
    assert.deepEqual([cut.trailers['grpc-status'], nonsense.trailers['grpc-status']], ['3', '3']);
  });

  test('follow a service as it changes, until the gateway ends', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream);
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const head = { ':method': 'POST', ':path': `${HEALTH}/Watch`, 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request(head);
    stream.end(enveloped(Buffer.from('0a0c' + Buffer.from('fuel.v1.Fuel').toString('hex'), 'hex')));
    const statuses: number[] = [];
    stream.on('data', (chunk: Buffer) => statuses.push(chunk.at(-1) ?? 0));
    const trailed = once(stream, 'trailers') as Promise<[IncomingHttpHeaders]>;

    await until(() => statuses.length === 1, 'it is reported');
    const [instance] = (await gateway.service('fuel')).instances;
    await gateway.order('fuel', instance?.id ?? '', 'eject');
    await until(() => statuses.length === 2, 'the change is told');
    await gateway.gateway.drain();

    assert.deepEqual(statuses, [1, 2]);
    assert.equal((await trailed)[0]['grpc-status'], '14');
    stream.close();
  });
});

describe('gRPC-Web', () => {
  test('is spoken over HTTP/1.1, in bytes and in text, from pages that the route names', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, {
      policy: "cors: { origins: ['https://app.example.org'] }\n    timeout: 5s",
    });
    const path = '/fuel.v1.Fuel/Predict';
    const origin = { origin: 'https://app.example.org' };
    const preflightFields = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-grpc-web,grpc-timeout',
    };

    const preflight = await gateway.call(path, { method: 'OPTIONS', headers: { ...origin, ...preflightFields } });
    const requested = {
      method: 'POST',
      headers: { ...origin, 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' },
      body: enveloped(MESSAGE),
    };
    const bytes = await gateway.call(path, requested);
    const text = await gateway.call(path, {
      ...requested,
      headers: { 'content-type': 'application/grpc-web-text' },
      body: enveloped(MESSAGE).toString('base64'),
    });
    upstream.play(answer('{"message":"too heavy ✗"}', { status: 503, ...JSON_TYPE }));
    const failed = await gateway.call(path, requested);

    assert.equal(preflight.headers['access-control-allow-origin'], 'https://app.example.org');
    assert.match(preflight.headers['access-control-allow-headers'] ?? '', /grpc-timeout/);
    assert.deepEqual(
      [bytes.status, bytes.headers['content-type'], bytes.headers['access-control-allow-origin']],
      [200, 'application/grpc-web+proto', 'https://app.example.org'],
    );
    const message = Buffer.from('0a100000000000803740' + '0000000000003240', 'hex');
    const end = Buffer.from('800000000f', 'hex').toString('latin1') + 'grpc-status: 0\r\n';
    assert.equal(bytes.body.toString('latin1'), enveloped(message).toString('latin1') + end.replace('\x0f', '\x10'));
    assert.deepEqual(
      [text.headers['content-type'], Buffer.from(text.text, 'base64')],
      ['application/grpc-web-text', bytes.body],
    );
    assert.match(failed.text.slice(5), /^grpc-status: 14\r\ngrpc-message: too heavy %E2%9C%97\r\n$/);
    assert.deepEqual(
      gateway
        .requests()
        .map(({ protocol, status }) => [protocol, status])
        .slice(-1),
      [['grpc-web', 503]],
    );
  });
});

describe('Connect', () => {
  test('is spoken in JSON and in bytes, by POST and, where nothing is changed, by GET', async t => {
    const upstream = await startUpstream(t, PREDICTED);
    const gateway = await gatewayBefore(t, upstream, { policy: 'limits: [{ rate: 5, per: 10m }]' });
    const path = '/fuel.v1.Fuel/Predict';
    const ofLook = (more: Readonly<Record<string, string>>) =>
      `/fuel.v1.Fuel/Look?${String(new URLSearchParams({ connect: 'v1', encoding: 'json', ...more }))}`;

    const json = await gateway.call(
      path,
      post({ cars: CARS }, { 'connect-protocol-version': '1', 'connect-timeout-ms': '4000' }),
    );
    const bytes = await gateway.call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/proto' },
      body: MESSAGE,
    });
    const unread = await gateway.call(path, post({ cars: 'many' }));
    const byGet = await gateway.call(path + '?connect=v1&encoding=json&message=%7B%7D');
    upstream.play(answer('{"found":["a car"]}', JSON_TYPE));
    const looked = await gateway.call(ofLook({ message: '{"name":"a"}' }));
    const packed = await gateway.call(
      ofLook({ message: Buffer.from('{"name":"b"}').toString('base64url'), base64: '1' }),
    );
    const refused = await gateway.call(path, post({ cars: CARS }));
    const unknown = await gateway.call(path, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' });

    assert.deepEqual(
      [json.status, json.headers['content-type'], JSON.parse(json.text)],
      [200, 'application/json', { '.pred': [23.5, 18] }],
    );
    assert.deepEqual([bytes.status, bytes.body.toString('hex')], [200, '0a1000000000008037400000000000003240']);
    assert.deepEqual([unread.status, (JSON.parse(unread.text) as { code: string }).code], [400, 'invalid_argument']);
    assert.equal(byGet.status, 501);
    assert.deepEqual(
      [looked, packed].map(({ text }) => text),
      ['{"found":"a car"}', '{"found":"a car"}'],
    );
    assert.deepEqual([unknown.code, refused.status], ['UNSUPPORTED_MEDIA_TYPE', 429]);
    const said = JSON.parse(refused.text) as { code: string; details: { type: string; value: string }[] };
    assert.deepEqual([said.code, said.details[0]?.type], ['resource_exhausted', 'google.rpc.ErrorInfo']);
    assert.match(Buffer.from(said.details[0]?.value ?? '', 'base64').toString(), /RATE_LIMITED.*penstock/s);
    assert.deepEqual(
      upstream.requests.map(partsOf).map(({ line }) => line),
      ['POST /predict HTTP/1.1', 'POST /predict HTTP/1.1', 'GET /cars/a HTTP/1.1', 'GET /cars/b HTTP/1.1'],
    );
  });
});
