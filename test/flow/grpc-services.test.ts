import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect,
  constants,
  createServer as createHttp2Server,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { enveloped } from '../../gateway/domain/grpc/envelope.ts';
import { aCertificate } from '../support/certificates.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { callByGrpc, startGrpcServer } from '../support/grpc.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

function gatewayBefore(t: TestContext, instances: readonly string[], { service = '', health = 'interval: 60s' } = {}) {
  return startGateway(t, {
    services: { echo: instances },
    listen: 'h2c: true',
    routes: `
services: { echo: { health: { ${health} }, balance: { policy: round-robin }${service} } }
routes: [{ id: echo, uri: lb://echo, predicates: ['Path=/echo.Echo/**'], stream: true }]`,
  });
}

function sessionTo(t: TestContext, { url }: ComposedGateway): ClientHttp2Session {
  const session = connect(url);
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  return session;
}

function begin(
  session: ClientHttp2Session,
  method: string,
  fields: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/echo.Echo/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...fields,
  });
  stream.on('error', () => undefined);
  return stream;
}

const raw = (method: string, more: object = {}) => ({ method: `/echo.Echo/${method}`, raw: '68690a', ...more });

/** An address that takes no connection. */
async function nowhere(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return `grpc://127.0.0.1:${port}`;
}

describe('a service of gRPC', () => {
  test('is called as it is: metadata, trailers, errors, instance by instance', async t => {
    const [one, other] = await Promise.all([startGrpcServer(t, 'one'), startGrpcServer(t, 'other')]);
    const gateway = await gatewayBefore(t, [one.origin, other.origin]);

    const ends = await callByGrpc({
      target: `127.0.0.1:${gateway.port}`,
      calls: [raw('Say'), raw('Say'), raw('Fail'), raw('Nothing')],
    });

    assert.deepEqual(
      ends.map(({ code, details, message }) => [code, details, message]),
      [
        ['OK', '', '68690a'],
        ['OK', '', '68690a'],
        ['FAILED_PRECONDITION', 'nö', null],
        ['UNIMPLEMENTED', 'Method not found!', null],
      ],
    );
    const said = (name: string) =>
      ends.map(({ initial, trailing }) => [...initial, ...trailing].find(([key]) => key === name)?.[1]);
    assert.deepEqual(new Set(said('x-first').slice(0, 2)), new Set(['one', 'other']));
    assert.deepEqual(said('x-last').slice(0, 2), said('x-first').slice(0, 2));
    assert.deepEqual(said('x-bytes-bin').slice(0, 2), ['00ff', '00ff']);
    assert.ok(said('x-request-id').every(id => id !== undefined));
  });

  test('is called by TLS where its certificate verifies, and only there', async t => {
    const folder = aFolder(t);
    const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
    const { cert, key } = aCertificate({ names: ['echo.internal'], by: authority });
    writeFileSync(join(folder, 'ca.pem'), authority.cert);
    writeFileSync(join(folder, 'both.pem'), key + cert);
    const { origin } = await startGrpcServer(t, 'one', join(folder, 'both.pem'));
    const callBy = async (tls: string, why: RegExp) => {
      const service = `, tls: { ca: ${join(folder, 'ca.pem')}${tls} }`;
      const gateway = await gatewayBefore(t, [origin], { service, health: 'interval: 100ms, fails: 1' });
      const [end] = await callByGrpc({ target: `127.0.0.1:${gateway.port}`, calls: [raw('Say')] });
      const reported = async () => (await gateway.service('echo')).instances[0]?.why ?? '';
      await until(async () => why.test(await reported()), 'the check says so as well');
      await gateway.gateway.drain(); // one at a time, so that each is seen to leave nothing
      return [end?.code, gateway.requests()[0]?.['code']];
    };

    assert.deepEqual(await callBy(', serverName: echo.internal', /^$/), ['OK', null]);
    assert.deepEqual(await callBy('', /^untrusted: the certificate/), ['UNAVAILABLE', 'UPSTREAM_UNTRUSTED']);
  });

  test('is heard while its caller speaks', async t => {
    const { origin } = await startGrpcServer(t, 'one');
    const gateway = await gatewayBefore(t, [origin]);
    const stream = begin(sessionTo(t, gateway), 'Chat');
    const trailers = once(stream, 'trailers') as Promise<[IncomingHttpHeaders]>;
    const received: string[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk.toString('hex')));

    for (const word of ['a', 'b', 'c']) {
      stream.write(enveloped(Buffer.from(word)));
      await until(() => received.join('').endsWith(Buffer.from(word).toString('hex')), `${word} has come back`);
    }
    stream.end();

    const [fields] = await trailers;
    assert.equal(fields['grpc-status'], '0');
  });

  test('is told when its caller leaves, and when the time is over', async t => {
    const server = await startGrpcServer(t, 'one');
    const gateway = await gatewayBefore(t, [server.origin]);
    const session = sessionTo(t, gateway);
    const left = begin(session, 'Wait').end(enveloped(Buffer.from('a')));
    await once(left, 'data');

    left.close(8);
    await until(() => server.lines.length === 1, 'the server has heard of it');
    const begun: Buffer[] = [];
    for (const time of ['300m', '3S', '30S']) {
      const late = begin(session, 'Wait', { 'grpc-timeout': time }).end(enveloped(Buffer.from('a')));
      late.on('data', (chunk: Buffer) => begun.push(chunk));
      const [fields] = (await once(late, 'trailers')) as [IncomingHttpHeaders];
      assert.equal(fields['grpc-status'], '4');
      if (begun.length > 0) break; // else it was over before the server saw it
    }

    assert.equal(begun.length, 1);
    await until(() => server.lines.length >= 2, 'the server has heard of that');
  });

  test('is called elsewhere where an instance takes no connection', async t => {
    const { origin } = await startGrpcServer(t, 'one');
    const gateway = await gatewayBefore(t, [await nowhere(), origin]);

    const ends = await callByGrpc({ target: `127.0.0.1:${gateway.port}`, calls: [raw('Say'), raw('Say')] });

    assert.deepEqual(
      ends.map(({ code }) => code),
      ['OK', 'OK'],
    );
    assert.equal(gateway.log.of('retry').length, 1);
  });

  test('is called elsewhere, with all that it says, where an instance refuses its stream', async t => {
    const { origin } = await startGrpcServer(t, 'one');
    let refused = 0;
    const server = createHttp2Server().on('stream', stream => {
      stream.on('error', () => undefined);
      const refuse = () => {
        refused += 1;
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
      };
      if (refused === 0) refuse();
      else stream.resume().once('end', refuse);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    const refusing = `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gateway = await gatewayBefore(t, [refusing, origin], { health: 'interval: 1h' });

    const long = '00'.repeat(70_000);
    const ends = await callByGrpc({
      target: `127.0.0.1:${gateway.port}`,
      calls: ['68', '68', '68', '68', long, long].map(message => raw('Say', { raw: message })),
    });

    assert.deepEqual(
      ends.slice(0, 4).map(({ message }) => message),
      ['68', '68', '68', '68'],
    );
    assert.deepEqual(
      ends
        .slice(4)
        .map(({ code }) => code)
        .toSorted(),
      ['OK', 'UNAVAILABLE'],
      'not kept for another',
    );
    assert.equal(refused, 3);
    assert.equal(gateway.log.of('retry').length, 2);
  });

  test('is refused in its own protocol, where no instance can be called or the caller speaks HTTP/1.1', async t => {
    const gateway = await gatewayBefore(t, [await nowhere()]);

    const [end] = await callByGrpc({ target: `127.0.0.1:${gateway.port}`, calls: [raw('Say')] });
    const older = await gateway.call('/echo.Echo/Say', { method: 'POST', body: 'a' });

    assert.equal(end?.code, 'UNAVAILABLE');
    assert.equal(gateway.requests()[0]?.['code'], 'CONNECT_FAILED');
    assert.equal(older.code, 'BAD_REQUEST');
  });

  test('is well where it says so, and ill where it breaks off or speaks something else', async t => {
    const server = await startGrpcServer(t, 'one');
    const stranger = createServer(socket =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('220 smtp.example.org\r\n'),
    );
    await once(stranger.listen(0, '127.0.0.1'), 'listening');
    t.after(() => stranger.close());
    const { port } = stranger.address() as AddressInfo;
    const gateway = await gatewayBefore(t, [server.origin, `grpc://127.0.0.1:${port}`], {
      health: 'interval: 100ms, fails: 1',
    });
    const state = (id: string) => async () => (await gateway.instance('echo', id)).state;

    await until(async () => (await state(`127.0.0.1:${port}`)()) === 'unhealthy', 'the stranger is found out');
    const stream = begin(sessionTo(t, gateway), 'Wait').end(enveloped(Buffer.from('a')));
    await once(stream, 'data');
    const closed = new Promise(resolve => stream.once('close', resolve)); // an error before it is meant
    await server.stop();
    await closed;

    assert.notEqual(stream.rstCode, 0);
    const { host } = new URL(server.origin);
    await until(async () => (await state(host)()) === 'unhealthy', 'the dead one is found out');
  });
});
