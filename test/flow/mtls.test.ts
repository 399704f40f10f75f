import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientSessionOptions, type SecureClientSessionOptions } from 'node:http2';
import { request } from 'node:https';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { aCertificate, type TestCertificate } from '../support/certificates.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const SECRET = 'a secret of thirty-two bytes or more';
const server = aCertificate({ names: ['localhost', 'models.example', 'IP:127.0.0.1'] });
const more = aCertificate({ names: ['other.example'] });
const authority = aCertificate({ subject: '/CN=authority', names: [], isAuthority: true });
const later = aCertificate({ subject: '/CN=later', names: [], isAuthority: true });
const alice = aCertificate({ names: ['alice.example'], subject: '/O=Lab/CN=alice', by: authority });
const bob = aCertificate({ names: ['bob.example'], by: later });
const impostor = aCertificate({ names: ['alice.example'], subject: '/O=Lab/CN=alice' });

const ROUTES = `
routes:
  - { id: mtls, uri: lb://a, predicates: ['Path=/mtls/**'], auth: { allow: [mtls] } }
  - { id: stream, uri: lb://a, predicates: ['Path=/stream/**'], stream: true, auth: { allow: [mtls] } }
  - { id: either, uri: lb://a, predicates: ['Path=/either/**'] }
  - { id: open, uri: lb://a, predicates: ['Path=/**'], auth: { allow: [anonymous] } }
`;

async function startWithCertificates(t: TestContext, caller = 'san') {
  const instance = createServer((req, res) => res.end(JSON.stringify(req.headers)));
  instance.on('upgrade', (req, socket) => {
    const said = `X-Said: ${String(req.headers['x-penstock-subject'])}`;
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${said}\r\n\r\n`);
  });
  const port = await listen(t, instance);
  const folder = aFolder(t);
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const pair = (name: string, { cert, key }: TestCertificate) =>
    `cert: ${file(`${name}.pem`, cert)}, key: ${file(`${name}.key`, key)}`;
  const tls = `${pair('server', server)}, clientCa: ${file('ca.pem', authority.cert)}, more: [{ ${pair('more', more)} }]`;
  const gateway = await startGateway(t, {
    services: { a: [`http://127.0.0.1:${port}`] },
    listen: `tls: { ${tls} }`,
    more: `identity: { mtls: { caller: ${caller} }, jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '\${env:S}' }] }`,
    env: { S: SECRET },
    routes: ROUTES,
  });
  const send = async (path: string, traits: Traits = {}) => {
    const { shown, headers, ...rest } = traits;
    const pems = { ca: [server.cert, more.cert], ...shown };
    const options = { host: '127.0.0.1', port: gateway.port, path, headers, agent: false, ...pems, ...rest };
    const sent = request(options).end();
    const [answer] = (await Promise.race([once(sent, 'response'), once(sent, 'upgrade')])) as [IncomingMessage];
    if (answer.statusCode === 101) {
      answer.socket.destroy();
      return { status: 101, headers: answer.headers, said: {} };
    }
    let text = '';
    for await (const piece of answer) text += String(piece);
    return { status: answer.statusCode, headers: answer.headers, said: JSON.parse(text) as Record<string, unknown> };
  };
  return { gateway, send, file };
}

interface Traits {
  readonly shown?: TestCertificate | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly servername?: string;
}

const as = (shown: TestCertificate, headers: Readonly<Record<string, string>> = {}): Traits => ({ shown, headers });
const token = () =>
  aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub: 'carol', exp: Date.now() / 1000 + 600 }, hmac(SECRET));

describe('a client certificate', () => {
  test('lets its caller in where the route takes it, known to R, the log and limits by its name', async t => {
    const { gateway, send } = await startWithCertificates(t);

    const { status, said } = await send('/mtls', as(alice));

    assert.equal(status, 200);
    assert.deepEqual([said['x-penstock-issuer'], said['x-penstock-subject']], ['mtls', 'alice.example']);
    assert.equal(gateway.requests()[0]?.['caller'], 'mtls/alice.example');
  });

  test('counts for each host that the gateway has a certificate for, for streams and for WebSockets', async t => {
    const { send } = await startWithCertificates(t, 'subject');
    const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };

    const other = await send('/mtls', { ...as(alice, { Host: 'other.example' }), servername: 'other.example' });
    const stream = await send('/stream', as(alice));
    const socket = await send('/stream', as(alice, upgrade));

    assert.equal(other.said['x-penstock-subject'], 'CN=alice,O=Lab');
    assert.equal(stream.said['x-penstock-subject'], 'CN=alice,O=Lab');
    assert.equal(socket.headers['x-said'], 'CN=alice,O=Lab');
  });

  test('that is not there, or of another authority, is a 401 that says so, and only where the route wants one', async t => {
    const { gateway, send } = await startWithCertificates(t);

    const none = await send('/mtls');
    const untrusted = await send('/mtls', as(impostor));
    const stream = await send('/stream', as(impostor));

    assert.deepEqual([none.status, none.said['code']], [401, 'UNAUTHENTICATED']);
    assert.match(String(none.said['detail']), /needs a client certificate/);
    assert.equal(none.headers['www-authenticate'], 'Certificate realm="penstock"');
    assert.deepEqual([untrusted.status, stream.status], [401, 401]);
    assert.match(String(untrusted.said['detail']), /not of an authority/);
    assert.deepEqual([(await send('/x')).status, (await send('/x', as(impostor))).status], [200, 200]);
    assert.equal(gateway.requests().at(-1)?.['caller'], '127.0.0.1');
  });

  test('stands back behind a credential that the call itself brings', async t => {
    const { send } = await startWithCertificates(t);

    const said = async (headers: Record<string, string>, path = '/either') =>
      (await send(path, as(alice, headers))).said;

    assert.equal((await said({}))['x-penstock-subject'], 'alice.example');
    assert.equal((await said({ Authorization: `Bearer ${token()}` }))['x-penstock-subject'], 'carol');
    assert.equal((await said({ Authorization: 'Bearer forged.to.ken' }))['code'], 'UNAUTHENTICATED');
    assert.equal((await said({ Authorization: 'Bearer x' }, '/mtls'))['x-penstock-subject'], 'alice.example');
  });

  test('does not count for pages of other origins, which have any browser show it', async t => {
    const { send } = await startWithCertificates(t);
    const status = async (headers: Record<string, string>) => (await send('/mtls', as(alice, headers))).status;

    assert.equal(await status({ Host: 'models.example', Origin: 'https://models.example' }), 200);
    assert.equal(await status({ Origin: 'https://evil.example' }), 403);
    assert.equal(await status({ Origin: 'null' }), 403);
    assert.equal(await status({ 'Sec-Fetch-Site': 'cross-site' }), 403);
    assert.equal(await status({ 'Sec-Fetch-Site': 'same-origin' }), 200);
  });

  test('counts by HTTP/2, for each call on the connection', async t => {
    const { gateway } = await startWithCertificates(t);
    const say = async (options: ClientSessionOptions | SecureClientSessionOptions) => {
      const client = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca: server.cert, ...options });
      const texts: string[] = [];
      for (const path of ['/mtls/1', '/mtls/2', '/stream']) {
        let text = '';
        for await (const piece of client.request({ ':path': path })) text += String(piece);
        texts.push(text);
      }
      client.destroy();
      return texts.map(text => JSON.parse(text) as Record<string, unknown>);
    };

    const known = await say(alice);
    const unknown = await say({});

    assert.deepEqual(
      known.map(said => said['x-penstock-subject']),
      ['alice.example', 'alice.example', 'alice.example'],
    );
    assert.deepEqual(
      unknown.map(said => said['code']),
      ['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
    );
  });

  test('is never what a field says, and no such field reaches R', async t => {
    const { send } = await startWithCertificates(t);
    const claims = {
      'X-Client-Cert': 'alice',
      'X-SSL-Client-Cert': 'alice',
      'SSL-Client-S-DN': 'CN=alice',
      'X-SSL-Client-Verify': 'SUCCESS',
      'X-Client-Verify': 'SUCCESS',
      'X-Client-DN': 'CN=alice',
      'X-Forwarded-Client-Cert': 'Subject="CN=alice"',
      'Client-Cert': ':MIIB:',
      'Client-Cert-Chain': ':MIIB:',
      'Cf-Client-Cert-Subject-DN': 'CN=alice',
      'X-Amzn-Mtls-Clientcert-Subject': 'CN=alice',
      'X-ARR-ClientCert': 'alice',
    };

    assert.equal((await send('/mtls', { headers: claims })).status, 401);
    const { said } = await send('/x', { headers: { ...claims, 'X-Client-Name': 'R' } });

    const names = Object.keys(claims).map(name => name.toLowerCase());
    assert.deepEqual(
      names.filter(name => name in said),
      [],
    );
    assert.equal(said['x-client-name'], 'R');
  });

  test('counts by the authorities as their file is now; a broken file leaves those in force', async t => {
    const { gateway, send, file } = await startWithCertificates(t);
    const socket = connectTls({ port: gateway.port, ca: server.cert, ...alice, maxVersion: 'TLSv1.3' });
    const session = sessionOf(socket);
    socket.write('GET /mtls HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const taken = await session;
    file('ca.pem', 'nothing');
    await until(() => gateway.log.of('notice').some(({ level }) => level === 'error'), 'the broken file is reported');
    assert.equal((await send('/mtls', as(alice))).status, 200);

    file('ca.pem', later.cert);
    await until(async () => (await send('/mtls', as(bob))).status === 200, 'the new authority counts');

    assert.equal((await send('/mtls', as(alice))).status, 401);
    const again = connectTls({ port: gateway.port, ca: server.cert, ...alice, session: taken });
    again.write('GET /mtls HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    assert.match(String((await once(again, 'data'))[0]), /^HTTP\/1.1 401 /, 'a session that is taken up again');
    again.destroy();
    socket.destroy();
  });
});

/** What a connection may be taken up by again. */
async function sessionOf(socket: TLSSocket): Promise<Buffer> {
  const [[session]] = (await Promise.all([once(socket, 'session'), once(socket, 'data')])) as [[Buffer], unknown];
  return session;
}
