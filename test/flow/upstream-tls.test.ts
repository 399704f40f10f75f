import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { createServer, type ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { aCertificate, type TestCertificate } from '../support/certificates.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { until } from '../support/until.ts';
import { listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
const stranger = aCertificate({ subject: '/CN=stranger', names: [], isAuthority: true });
const forAddress = aCertificate({ names: ['IP:127.0.0.1'], by: authority });
const forName = aCertificate({ names: ['fuel.internal'], by: authority });
const ofGateway = aCertificate({ subject: '/CN=penstock', names: [], by: authority });

/** What TLS shows of a connection. */
interface Seen {
  readonly servername?: string | false;
  readonly getPeerX509Certificate: () => X509Certificate | undefined;
}

/** An instance that speaks TLS, and tells what it saw of its caller. */
async function startSecure(t: TestContext, { cert, key }: TestCertificate, options: ServerOptions = {}) {
  const server = createServer({ cert, key, ...options }, (req, res) => {
    const { servername: requested, getPeerX509Certificate: shown } = req.socket as unknown as Seen;
    const caller = /^CN=(.*)$/m.exec(shown.call(req.socket)?.subject ?? '')?.[1];
    res.end(JSON.stringify({ host: req.headers.host, requested, caller }));
  });
  server.on('upgrade', (_req, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
  });
  server.on('tlsClientError', () => undefined);
  const port = await listen(t, server);
  return port;
}

/** OpenSSL's own server, which takes certificates of one authority alone, and says so. */
async function startRefusing(t: TestContext): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-refusing-'));
  const pems = { 'cert.pem': forAddress.cert, 'key.pem': forAddress.key, 'ca.pem': stranger.cert };
  for (const [name, text] of Object.entries(pems)) writeFileSync(join(folder, name), text);
  const args = ['s_server', '-accept', '0', '-cert', 'cert.pem', '-key', 'key.pem', '-CAfile', 'ca.pem', '-www'];
  const server = spawn('openssl', [...args, '-Verify', '1', '-verify_return_error'], { cwd: folder });
  t.after(async () => {
    server.kill();
    await once(server, 'close');
    rmSync(folder, { recursive: true });
  });
  let said = '';
  server.stdout.on('data', piece => (said += String(piece)));
  const port = () => /ACCEPT \S*:(\d+)\n/.exec(said)?.[1];
  while (port() === undefined) await once(server.stdout, 'data');
  return Number(port());
}

const ROUTES = `
routes:
  - { id: stream, uri: lb://a, predicates: ['Path=/stream/**'], stream: true, filters: [PreserveHostHeader] }
  - { id: rest, uri: lb://a, predicates: ['Path=/**'], filters: [PreserveHostHeader] }
`;

/** A gateway before that instance, with what a service says of TLS; files it may name lie beside its routes. */
async function startBefore(t: TestContext, port: number, tls: string) {
  const folder = aFolder(t);
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('ca.pem', authority.cert);
  write('other.pem', stranger.cert);
  write('cert.pem', ofGateway.cert);
  write('key.pem', ofGateway.key);
  const service = `health: { interval: 100ms, fails: 1 }, connection: { connectTimeout: 10s }, tls: ${tls}`;
  const gateway = await startGateway(t, {
    services: { a: [`https://127.0.0.1:${port}`] },
    listen: 'h2c: true',
    routes: `services: { a: { ${service.replaceAll('~', folder)} } }${ROUTES}`,
  });
  return { gateway, write };
}

const HOST = { headers: { Host: 'evil.example.org' } };

/** The code of each way a call can come: answered, as a stream, as a WebSocket, and as a stream by HTTP/2. */
async function codesOf(gateway: ComposedGateway) {
  const { port, url } = gateway;
  const upgrade = request(`${url}/stream`, {
    ...{ agent: false, headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' } },
  }).end();
  const received = Promise.race([once(upgrade, 'response'), once(upgrade, 'upgrade')]) as Promise<[IncomingMessage]>;
  const [answer] = await received;
  const socketCode = answer.statusCode === 101 ? undefined : codeIn(await textOf(answer));
  answer.destroy();
  const client = connectHttp2(`http://127.0.0.1:${port}`);
  const text = await textOf(client.request({ ':path': '/stream' }));
  client.destroy();
  return [(await gateway.call('/x', HOST)).code, (await gateway.call('/stream', HOST)).code, socketCode, codeIn(text)];
}

async function textOf(readable: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const piece of readable) text += String(piece);
  return text;
}

function codeIn(text: string): unknown {
  return (JSON.parse(text) as { code?: unknown }).code;
}

const UNTRUSTED = Array(4).fill('UPSTREAM_UNTRUSTED');
const FINE = Array(4).fill(undefined);

describe('an instance with TLS', () => {
  test('is verified by the service’s authority under its own address, whatever host the caller wrote', async t => {
    const { gateway } = await startBefore(t, await startSecure(t, forAddress), '{ ca: ~/ca.pem }');

    const { text } = await gateway.call('/x', HOST);

    assert.deepEqual(JSON.parse(text), { host: 'evil.example.org', requested: false });
    assert.deepEqual(await codesOf(gateway), FINE);
  });

  test('is asked for and verified as the name that the service says, and shown its certificate', async t => {
    const port = await startSecure(t, forName, { requestCert: true, ca: authority.cert });
    const tls = '{ ca: ~/ca.pem, serverName: fuel.internal, cert: ~/cert.pem, key: ~/key.pem }';
    const { gateway } = await startBefore(t, port, tls);

    for (const path of ['/x', '/stream']) {
      const { text } = await gateway.call(path, HOST);
      assert.deepEqual(JSON.parse(text), { host: 'evil.example.org', requested: 'fuel.internal', caller: 'penstock' });
    }
    assert.deepEqual(await codesOf(gateway), FINE);
  });

  const distrusted: Record<string, readonly [TestCertificate, string, RegExp]> = {
    'of another authority': [forAddress, '{ ca: ~/other.pem }', /issuer|verify the first/],
    'for another host': [forName, '{ ca: ~/ca.pem }', /does not match/],
    'for another name than the service says': [forAddress, '{ ca: ~/ca.pem, serverName: b.internal }', /b\.internal/],
  };
  for (const [fault, [certificate, tls, why]] of Object.entries(distrusted)) {
    test(`with a certificate ${fault} is a 502 on every way, told loudly, and stays in rotation`, async t => {
      const { gateway } = await startBefore(t, await startSecure(t, certificate), tls);
      const reported = () => gateway.log.of('notice').filter(({ text }) => String(text).includes('not trusted'));

      assert.deepEqual(await codesOf(gateway), UNTRUSTED);
      await until(() => reported().some(({ about }) => why.test(JSON.stringify(about))), 'why is told');

      const instance = (await gateway.service('a')).instances[0];
      assert.equal(instance?.state, 'in-rotation');
      assert.match(instance.why ?? '', /^untrusted: the certificate of the instance does not verify: /);
      assert.ok(reported().every(({ level }) => level === 'error'));
      assert.equal(await gateway.metric('penstock_attempts_total', { outcome: 'untrusted' }), 4);
      assert.deepEqual(await codesOf(gateway), UNTRUSTED);
    });
  }

  test('that takes no certificate of the gateway’s is a 502 of configuration, too', async t => {
    const port = await startRefusing(t);
    const { gateway } = await startBefore(t, port, '{ ca: ~/ca.pem, cert: ~/cert.pem, key: ~/key.pem }');

    assert.deepEqual(await codesOf(gateway), UNTRUSTED);
  });

  test('is believed unverified where verification is turned off, which every start warns of', async t => {
    const { gateway } = await startBefore(t, await startSecure(t, forName), '{ verify: false }');

    assert.deepEqual(await codesOf(gateway), FINE);
    assert.match(JSON.stringify(gateway.log.of('config-loaded')), /certificates are not verified/);
  });

  test('is trusted as soon as the file of its authority is the right one', async t => {
    const { gateway, write } = await startBefore(t, await startSecure(t, forAddress), '{ ca: ~/other.pem }');
    assert.deepEqual(await codesOf(gateway), UNTRUSTED);

    write('other.pem', authority.cert);
    await until(async () => (await gateway.call('/x')).code === undefined, 'the new authority');

    assert.deepEqual(await codesOf(gateway), FINE);
    await until(async () => (await gateway.service('a')).instances[0]?.why === null, 'nothing to remark');

    write('new.pem', stranger.cert);
    writeFileSync(gateway.routesFile, readFileSync(gateway.routesFile, 'utf8').replace('other.pem', 'new.pem'));
    await until(async () => (await gateway.call('/x')).code !== undefined, 'another file');
    write('new.pem', authority.cert);
    await until(async () => (await gateway.call('/x')).code === undefined, 'a file that a reload has named');
  });
});
