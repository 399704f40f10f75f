import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parse } from 'protobufjs';
import { enveloped } from '../../gateway/domain/grpc/envelope.ts';
import { INFERENCE_FILE, INFERENCE_SERVICE } from '../../gateway/domain/inference/rpc-form.ts';
import { readOwnProto } from '../../gateway/edges/protobufjs-own.ts';
import { post, type Received } from '../support/call.ts';
import { aCertificate } from '../support/certificates.ts';
import { IDENTITY, SECRET } from '../support/gateway-process.ts';
import { callByGrpc, callRaw, type GrpcCall } from '../support/grpc.ts';
import { CONTENTS, GEAR, GRPC_INFER, HP, ROWS, startModel, WT } from '../support/inference.ts';
import { seeded } from '../support/service-at-work.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

/** The gateway's own. */
const SERVER = aCertificate({ isAuthority: true });

const CLAIMS = { iss: 'penstock-dev', aud: 'penstock', sub: 'alice', exp: 4_102_444_800 };
const TOKEN = aToken({ alg: 'HS256', typ: 'JWT' }, CLAIMS, hmac(SECRET));

const ignore = () => undefined;
const NOTHING = { text: '{}' };
const jsonIn = ({ text }: Pick<Received, 'text'>) => JSON.parse(text) as Record<string, unknown>;
const double = (...values: number[]) => {
  const raw = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => raw.writeDoubleLE(value, i * 8));
  return raw.toString('base64');
};

describe('the Open Inference Protocol over gRPC', () => {
  test('is spoken with a client of another’s making, and asks R what REST asks', async t => {
    const { gateway, requested } = await startModel(t, { route: 'pure: true, body: { max: 2KiB }' });
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
    const sent = requested().map(({ head, body }) => [headOf(head).split('\r\n').sort().join('\n'), String(body)]);
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
    const { gateway, requested, infer, rpc } = await startModel(t, {
      route: 'pure: true, coalesce: true',
      held: () => held,
    });
    await gateway.call('/v2/models/fuel'); // the columns are known now

    const calls = [
      gateway.call('/api/cars/predict', post(ROWS)),
      infer({ inputs: [WT, HP, GEAR] }),
      rpc('ModelInfer', { modelName: 'fuel', inputs: CONTENTS }),
    ];
    await until(async () => (await gateway.metric('penstock_requests_in_flight')) === 3, 'all are in flight');
    await until(() => requested().length > 0, 'R is asked');
    release();
    const [byRest, byInference, byRpc] = await Promise.all(calls);

    assert.equal(byRest?.text, '{".pred":[21.5,"NA"]}');
    const outputs = [{ name: '.pred', datatype: 'FP64', shape: [2], data: [21.5, null] }];
    assert.deepEqual(jsonIn(byInference ?? NOTHING)['outputs'], outputs);
    const contents = { fp64Contents: [21.5, 'NaN'] };
    const [output] = jsonIn(byRpc ?? NOTHING)['outputs'] as [unknown];
    assert.deepEqual(output, { name: '.pred', datatype: 'FP64', shape: ['2'], contents });
    assert.equal(requested().length, 1);
    assert.equal(await gateway.metric('penstock_coalesced_total', { route: 'fuel' }), 2);
  });

  test('refuses with the codes of gRPC, and holds the route’s rules', async t => {
    const route = 'auth: { allow: [jwt] }, limits: [{ rate: 3, per: 1m, by: caller }]';
    const filters = 'StripPrefix=2, SetStatus=202';
    const { gateway, requested, rpc } = await startModel(t, { route, filters, more: IDENTITY });
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
    assert.match(String(beyond[2]), /^`wt`: R rounds whole numbers from 2\^53 on/);
    assert.deepEqual(over.slice(0, 2), [429, 'resource_exhausted']);
    assert.deepEqual(none, [404, 'not_found', 'No model of this name is published here.']);
    assert.equal(gateway.requests().at(-1)?.['code'], 'BAD_REQUEST'); // over HTTP/1.1
    assert.equal(requested().length, 1);
  });

  test('ends as its caller’s protocol does where there is no such method, service or path', async t => {
    const routes =
      "  - { id: csv, uri: lb://cars, predicates: ['Path=/csv/**'], filters: [StripPrefix=1], csv: true, validate: {} }";
    const { gateway, rpc } = await startModel(t, { routes });
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const endOf = async (path: string, type = 'application/grpc') => {
      const fields = { ':path': path, 'content-type': type };
      const { head, trailers, body } = await callRaw(session, enveloped(Buffer.alloc(0)), fields);
      const inBody = /grpc-status: *(\d+)/.exec(String(body))?.[1];
      return [head[':status'], trailers['grpc-status'] ?? head['grpc-status'] ?? inBody];
    };
    const nothing = `/${INFERENCE_SERVICE}/Nothing`;

    assert.deepEqual(await endOf('/csv/predict'), [200, '3'], 'a body that is no JSON');
    for (const path of [nothing, '/grpc.health.v1.Health/Nothing', '/no.Service/Method', '/api/none', '/open/%zz'])
      assert.deepEqual(await endOf(path), [200, path.includes('%') ? '3' : '12'], path);
    const line = gateway.requests().at(-2);
    for (const path of [nothing, '/no.Service/Method'])
      assert.deepEqual(await endOf(path, 'application/grpc-web+proto'), [200, '12'], path);
    const byConnect = await rpc('Nothing', {});
    const other = [await endOf('/no.Service/Method', 'application/json'), await endOf(nothing, 'text/plain')];

    assert.deepEqual([line?.['path'], line?.['protocol'], line?.['status']], ['/api/none', 'grpc', 404]);
    assert.deepEqual([byConnect.status, jsonIn(byConnect)['code']], [501, 'unimplemented']);
    assert.deepEqual(other, [[404, undefined], [415, undefined]]); // prettier-ignore
  });

  test('takes a key, a token or a certificate for who calls, and ends as each that does not hold should', async t => {
    const { listen, more, shown } = withSchemes(t);
    const { gateway, requested } = await startModel(t, {
      ...{ listen, more },
      route: 'auth: { allow: [jwt, api-key, mtls] }, limits: [{ rate: 2, per: 10m, by: caller }], body: { max: 2KiB }',
      routes: "  - { id: train, uri: lb://cars, predicates: ['Path=/train/**'], auth: { scopes: [train] } }",
    });
    const { json } = readOwnProto(INFERENCE_FILE, INFERENCE_SERVICE).descriptor;
    const infer = (metadata: GrpcCall['metadata'] = [], more: object = {}): GrpcCall => {
      const { isShown, ...message } = { isShown: false, modelName: 'fuel', inputs: CONTENTS, ...more };
      return { ...GRPC_INFER, message, metadata, isShown };
    };
    const key = ['x-api-key', 'good'] as const;
    const bearer = (token: string) => ['authorization', `Bearer ${token}`] as const;
    const forged = aToken({ alg: 'HS256', typ: 'JWT' }, CLAIMS, hmac('another secret of thirty-two bytes'));
    const ends: readonly (readonly [string, GrpcCall, string])[] = [
      ['a key', infer([key]), 'OK'],
      ['a token', infer([bearer(TOKEN)]), 'OK'],
      ['a certificate', infer([], { isShown: true }), 'OK'],
      ['nothing', infer(), 'UNAUTHENTICATED'],
      ['an unknown key', infer([['x-api-key', 'bad']]), 'UNAUTHENTICATED'],
      ['a forged token', infer([bearer(forged)]), 'UNAUTHENTICATED'],
      ['both', infer([key, bearer(TOKEN)]), 'INVALID_ARGUMENT'],
      ['a token without the scope', infer([bearer(TOKEN)], { modelName: 'train' }), 'PERMISSION_DENIED'],
      ['too large a message', infer([bearer(TOKEN)], { id: 'x'.repeat(3_000) }), 'RESOURCE_EXHAUSTED'],
      ['one more than the limit', infer([bearer(TOKEN)]), 'RESOURCE_EXHAUSTED'],
    ];

    const received = await callByGrpc({
      ...{ target: `localhost:${gateway.port}`, ca: SERVER.cert, shown, files: [json] },
      calls: ends.map(([, one]) => one),
    });

    for (const [i, [name, , code]] of ends.entries())
      assert.equal(received[i]?.code, code, `${name}: ${received[i]?.details}`);
    const callers = gateway.requests().flatMap(({ status, caller }) => (status === 200 ? [caller] : []));
    assert.deepEqual(callers, ['api-key/app', 'penstock-dev/alice', 'mtls/alice.example']);
    assert.match(String(received[3]?.initial), /www-authenticate/);
    assert.match(String(received[9]?.initial), /retry-after/);
    assert.match(String(received[9]?.trailing), new RegExp(Buffer.from('RATE_LIMITED').toString('hex')));
    assert.equal(requested().length, 3);
    for (const { head } of requested()) assert.doesNotMatch(head, /x-api-key|authorization|grpc-timeout/i);
  });

  test('ends when its caller has waited long enough, and takes nothing else for a message', async t => {
    let release: () => void = ignore;
    const held = new Promise<void>(resolve => (release = resolve));
    const { gateway, requested } = await startModel(t, { held: () => held, route: 'body: { max: 64KiB }' });
    await gateway.call('/v2/models/fuel'); // the columns are known now
    const session = connect(gateway.url);
    t.after(() => session.destroy());
    const endOf = async (body: Buffer, fields: Readonly<Record<string, string>> = {}) => {
      const { head, trailers } = await callRaw(session, body, { ':path': GRPC_INFER.method, ...fields });
      return trailers['grpc-status'] ?? head['grpc-status'];
    };
    const whole = { modelName: 'fuel', inputs: CONTENTS };
    const message = messageOf(whole);
    const good = enveloped(message);

    assert.equal(await endOf(good, { 'grpc-timeout': '100m' }), '4');
    assert.equal(gateway.requests().at(-1)?.['code'], 'DEADLINE_EXCEEDED');
    release();

    const raw = (bytes: Buffer, more: object = {}) => {
      const input = { name: 'wt', shape: [1], datatype: 'FP64', ...more };
      return enveloped(messageOf({ modelName: 'fuel', inputs: [input], rawInputContents: [bytes] }));
    };
    const flagged = (content: Buffer) => Buffer.concat([Buffer.from([1]), enveloped(content).subarray(1)]);
    const wrong: readonly (readonly [string, Buffer, string, Readonly<Record<string, string>>?])[] = [
      ['nothing', Buffer.alloc(0), '3'],
      ['a message that is cut off', good.subarray(0, -1), '3'],
      ['two messages', Buffer.concat([good, good]), '3'],
      ['JSON', Buffer.from('{"model_name":"fuel"}'), '3'],
      ['a bomb', flagged(gzipSync(Buffer.alloc(10_000_000))), '8', { 'grpc-encoding': 'gzip' }],
      ['one in a coding that is not taken', flagged(message), '12', { 'grpc-encoding': 'snappy' }],
      ['a message that is too large', enveloped(Buffer.alloc(3_000_000)), '8'],
      ['a time that is none', good, '3', { 'grpc-timeout': '5' }],
      ['raw contents without their last byte', raw(Buffer.alloc(7)), '3'],
      ['raw contents of another datatype', raw(Buffer.alloc(8), { datatype: 'FP32' }), '3'],
      ['a shape beyond all contents', raw(Buffer.alloc(8), { shape: ['9223372036854775807'] }), '3'],
      ['a shape of less than nothing', raw(Buffer.alloc(8), { shape: [-1] }), '3'],
      ['an output twice', enveloped(messageOf({ ...whole, outputs: [{ name: '.pred' }, { name: '.pred' }] })), '3'],
      ['no model', enveloped(messageOf({ inputs: CONTENTS })), '5'],
      ['a model of odd letters', enveloped(messageOf({ modelName: '../\0\r\nfuel?x=%2e#é😀' })), '5'],
      ['binary junk beside a message', good, '0', { 'x-junk-bin': 'AP//+w', 'x-junk': '\u00ff\u00fe' }],
    ];
    for (const [name, body, code, fields] of wrong) assert.equal(await endOf(body, fields), code, name);
    const dice = seeded(7);
    for (let i = 0; i < 100; i++) {
      const mutated = Buffer.from(good);
      for (let j = 0; j <= dice.below(3); j++) mutated[dice.below(mutated.length)] = dice.below(256);
      assert.match(String(await endOf(mutated)), /^(?:0|3|5|12)$/, mutated.toString('hex'));
    }
    assert.equal(await endOf(good), '0');
    assert.equal(requested().at(-1)?.body.toString(), ROWS);
  });
});

const { root } = parse(
  readFileSync(new URL(`../../gateway/edges/grpc/protos/${INFERENCE_FILE}`, import.meta.url), 'utf8'),
);
const REQUEST = root.lookupType(GRPC_INFER.request);

/** A `ModelInferRequest` in bytes. */
function messageOf(message: object): Buffer {
  return Buffer.from(REQUEST.encode(REQUEST.fromObject(message)).finish());
}

/** A gateway that takes keys, tokens and certificates, the last of an authority of the test's. */
function withSchemes(t: TestContext) {
  const folder = aFolder(t);
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
  const shown = aCertificate({ names: ['alice.example'], by: authority });
  const sha256 = createHash('sha256').update('good').digest('hex');
  const keys = file('keys.yaml', JSON.stringify([{ id: 'app', sha256, subject: 'app' }]));
  const pair = `cert: ${file('server.pem', SERVER.cert)}, key: ${file('server.key', SERVER.key)}`;
  return {
    shown,
    listen: `tls: { ${pair}, clientCa: ${file('ca.pem', authority.cert)} }`,
    more: IDENTITY.replace(/ \}$/, `, apiKeys: { file: ${keys} }, mtls: {} }`),
  };
}
