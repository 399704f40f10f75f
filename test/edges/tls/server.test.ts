import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { Agent, request as requestTls } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { ListenOptions } from '../../../gateway/edges/express/intake.ts';
import { aCertificate, type TestCertificate } from '../../support/certificates.ts';
import { anAnswer, startServer } from '../../support/gateway-server.ts';
import { until } from '../../support/until.ts';
import { aFolder } from '../../support/folder.ts';

const first = aCertificate({ names: ['a.example.org'] });
const wild = aCertificate({ names: ['*.b.example.org'] });
const exact = aCertificate({ names: ['x.b.example.org'] });

interface TlsTraits {
  readonly hstsSeconds?: number;
  readonly listen?: Partial<ListenOptions>;
}

/** A listener with three certificates, which answers with scheme and host. */
async function startTls(t: TestContext, { hstsSeconds = 0, listen = {} }: TlsTraits = {}) {
  const folder = aFolder(t);
  const save = (name: string, { cert, key }: TestCertificate) => {
    // Renamed over, as tools that renew certificates do it.
    for (const [ending, text] of Object.entries({ cert, key })) {
      writeFileSync(join(folder, `${name}.${ending}.new`), text);
      renameSync(join(folder, `${name}.${ending}.new`), join(folder, `${name}.${ending}`));
    }
    return { cert: join(folder, `${name}.cert`), key: join(folder, `${name}.key`) };
  };
  const tls = { ...save('first', first), more: [save('wild', wild), save('exact', exact)], hstsSeconds };
  const started = await startServer(t, {
    listen: { ...listen, tls },
    travel: ({ scheme, host }) => anAnswer(`${scheme} ${host}`),
  });
  return { ...started, save };
}

/** A connection by TLS, without a look at who signed the certificate. */
async function shake(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Says a request and gives the answer, on a connection that stays. */
async function send(socket: TLSSocket, host: string): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [received] = (await once(socket, 'data')) as [Buffer];
  return received.toString();
}

const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subjectaltname;

describe('a listener with TLS', () => {
  test('says of a call that it came by https', async t => {
    const { port } = await startTls(t);
    const socket = await shake(t, port);

    assert.match(await send(socket, '127.0.0.1'), /200 OK[\s\S]*https 127\.0\.0\.1$/);
  });

  test('shows the certificate of the name that is asked for, a name of its own before a wildcard', async t => {
    const { port } = await startTls(t);

    for (const [servername, shown] of [
      ['a.example.org', 'a.example.org'],
      ['Y.b.example.org', '*.b.example.org'],
      ['x.b.example.org', 'x.b.example.org'],
      ['elsewhere.example.org', 'a.example.org'],
      ['', 'a.example.org'],
    ] as const) {
      assert.equal(nameOf(await shake(t, port, { servername })), `DNS:${shown}`, servername);
    }
  });

  test('speaks TLS 1.2 and 1.3, and nothing older or weaker', async t => {
    const { port } = await startTls(t);

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await shake(t, port, { minVersion: version, maxVersion: version });
      assert.equal(socket.getProtocol(), version);
    }
    for (const weaker of [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    ] as const) {
      await assert.rejects(shake(t, port, weaker), /alert|no protocols|no ciphers/, JSON.stringify(weaker));
    }
  });

  test('lets no caller negotiate anew', async t => {
    const { port } = await startTls(t);
    const client = spawn('openssl', ['s_client', '-tls1_2', '-connect', `127.0.0.1:${port}`]);
    t.after(() => client.kill());
    let said = '';
    for (const stream of [client.stdout, client.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
    client.stdin.write('R\n'); // to negotiate anew, in its own language
    await once(client, 'close');

    assert.match(said, /RENEGOTIATING[\s\S]*no renegotiation/);
  });

  test('takes new certificates when the files change, and loses no connection', async t => {
    const { port, save, server, reported } = await startTls(t);
    const renewed = aCertificate({ names: ['a.example.org', 'new.example.org'], days: 90 });
    const before = await shake(t, port, { servername: 'a.example.org' });
    await send(before, 'a.example.org');
    const expirySeconds = () => server.expiries()[0]?.atSeconds ?? 0;
    const beforeSeconds = expirySeconds();

    save('first', renewed);
    save('wild', aCertificate({ names: ['*.c.example.org'] }));

    await until(() => server.expiries()[1]?.name === '*.c.example.org', 'the new certificates');
    assert.match(await send(before, 'a.example.org'), /200 OK/);
    assert.equal(nameOf(await shake(t, port)), 'DNS:a.example.org, DNS:new.example.org');
    assert.equal(nameOf(await shake(t, port, { servername: 'y.c.example.org' })), 'DNS:*.c.example.org');
    assert.ok(expirySeconds() - beforeSeconds > 59 * 86_400);
    assert.ok(reported.some(event => event.kind === 'notice' && event.text.includes('read again')));
  });

  test('keeps the certificates it has where the new files do not fit together, and says so', async t => {
    const { port, save, reported } = await startTls(t);

    save('first', { cert: first.cert, key: wild.key });

    const findNotice = () => reported.find(event => event.kind === 'notice' && event.level === 'error');
    await until(() => findNotice() !== undefined, 'the notice');
    assert.match(JSON.stringify(findNotice()), /those in force stay.*first\.cert.*does not belong to the certificate/);
    assert.equal(nameOf(await shake(t, port)), 'DNS:a.example.org');
  });

  test('does not begin with files that cannot be used', async t => {
    const tls = { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem', more: [], hstsSeconds: 0 };

    await assert.rejects(
      startServer(t, { listen: { tls }, travel: () => anAnswer() }),
      /\/nowhere\/cert\.pem cannot be/,
    );
  });

  test('refuses a host that neither was asked for nor is named by the certificate', async t => {
    const { port, line } = await startTls(t);
    const socket = await shake(t, port, { servername: 'a.example.org' });

    assert.match(await send(socket, 'y.b.example.org'), /421 Misdirected Request[\s\S]*"code":"MISDIRECTED"/);
    assert.equal((await line()).code, 'MISDIRECTED');
    assert.match(await send(socket, 'A.example.org.:443'), /200 OK/);
    assert.match(await send(socket, 'x.b.example.org'), /421 /);
  });

  test('takes a host that the certificate names, or that was asked for, or any where none was asked for', async t => {
    const { port } = await startTls(t);

    for (const [servername, host] of [
      ['y.b.example.org', 'z.b.example.org:8443'],
      ['elsewhere.example.org', 'elsewhere.example.org'],
      ['', 'anything.example.org'],
    ] as const) {
      assert.match(await send(await shake(t, port, { servername }), host), /200 OK/, host);
    }
  });

  test('takes any host from a proxy that it trusts', async t => {
    const { port } = await startTls(t, { listen: { trustedProxies: ['127.0.0.0/8'] } });
    const socket = await shake(t, port, { servername: 'a.example.org' });

    assert.match(await send(socket, 'y.b.example.org'), /200 OK/);
  });

  test('tells browsers to stay with https where that is wanted, on refusals as well', async t => {
    const { port } = await startTls(t, { hstsSeconds: 3_600 });
    const socket = await shake(t, port, { servername: 'a.example.org' });

    for (const host of ['a.example.org', 'b.example.org']) {
      assert.match(await send(socket, host), /\r\nStrict-Transport-Security: max-age=3600\r\n/, host);
    }
  });

  test('says nothing of it unless that is wanted', async t => {
    const { port } = await startTls(t);

    assert.doesNotMatch(await send(await shake(t, port), 'a.example.org'), /Strict-Transport-Security/i);
  });

  test('ends a handshake that does not come, and waits for none when it closes', async t => {
    const { port, server, reported } = await startTls(t, { listen: { headersTimeoutMs: 200 } });
    const silent = connectTcp({ host: '127.0.0.1', port });
    silent.on('error', () => undefined);
    await once(silent, 'close');
    const late = connectTcp({ host: '127.0.0.1', port });
    late.on('error', () => undefined);
    await once(late, 'connect');
    const lateClosed = once(late, 'close');

    await server.close(0);

    await lateClosed;
    assert.deepEqual(reported, []);
  });

  test('ends a connection that does not speak TLS', async t => {
    const { port, reported } = await startTls(t);
    const plain = connectTcp({ host: '127.0.0.1', port });
    plain.on('error', () => undefined);
    plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');

    await once(plain.resume(), 'close');

    assert.deepEqual(reported, []);
  });

  test('keeps a connection for the next request', async t => {
    const { port } = await startTls(t);
    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
    t.after(() => agent.destroy());
    const localPorts: (number | undefined)[] = [];
    for (const path of ['/1', '/2']) {
      const sent = requestTls({ host: '127.0.0.1', port, path, agent }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      await once(answer.resume(), 'end');
      localPorts.push(sent.socket?.localPort);
    }

    assert.equal(localPorts[0], localPorts[1]);
  });
});

describe('the plain port of redirectFrom', () => {
  const redirectOf = async (t: TestContext, send: { path: string; host: string; method?: string }) => {
    const { server, port } = await startTls(t, { listen: { redirectFrom: 0 } });
    const sent = request({
      ...{ host: '127.0.0.1', port: server.redirectPort, path: send.path, method: send.method ?? 'GET', agent: false },
      headers: { host: send.host, ...(send.method === 'POST' && { 'content-length': 3 }) },
    }).end(send.method === 'POST' ? 'abc' : undefined);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    return { status: answer.statusCode, location: answer.headers.location?.replace(`:${port}`, ':PORT') };
  };

  for (const [name, requested, expected] of [
    ['a path with its query', { path: '/a/b?c=%20d', host: 'a.example.org' }, 'https://a.example.org:PORT/a/b?c=%20d'],
    ['a host with its port', { path: '/', host: 'a.example.org:8081' }, 'https://a.example.org:PORT/'],
    ['an address', { path: '/', host: '[::1]:8081' }, 'https://[::1]:PORT/'],
    ['a POST, as a POST', { path: '/a', host: 'a', method: 'POST' }, 'https://a:PORT/a'],
    ['a path as it is written', { path: '/a//..%2f;b', host: 'a' }, 'https://a:PORT/a//..%2f;b'],
    ['an absolute target', { path: 'http://b.example.org/x', host: 'a' }, 'https://b.example.org:PORT/x'],
  ] as const) {
    test(`redirects ${name}`, async t => {
      assert.deepEqual(await redirectOf(t, requested), { status: 308, location: expected });
    });
  }

  for (const [name, requested] of [
    ['a malformed host', { path: '/', host: 'a/b' }],
    ['an asterisk', { path: '*', host: 'a', method: 'OPTIONS' }],
    ['an address without a host', { path: 'http:///a', host: 'a' }],
  ] as const) {
    test(`refuses ${name}`, async t => {
      assert.deepEqual(await redirectOf(t, requested), { status: 400, location: undefined });
    });
  }
});
