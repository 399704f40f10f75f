import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { aCertificate } from '../support/certificates.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const certificate = aCertificate({ names: ['localhost', 'IP:127.0.0.1'], days: 30 });

/** A gateway that speaks TLS, and an instance that tells what it was sent and begins an event stream. */
async function startSecure(t: TestContext) {
  const instance = createServer((req, res) => {
    if (req.url === '/ping') res.end();
    else if (req.url === '/events/long') res.end(Buffer.alloc(3_000_000));
    else if (req.url === '/events/cut') res.write('a', () => res.destroy());
    else if (req.url === '/events') res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n');
    else res.end(JSON.stringify(req.headers));
  });
  instance.on('upgrade', (_req, socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
    socket.once('end', () => socket.end());
  });
  const port = await listen(t, instance);
  const folder = aFolder(t);
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(cert, certificate.cert);
  writeFileSync(key, certificate.key);
  const gateway = await startGateway(t, {
    services: { a: [`http://127.0.0.1:${port}`] },
    listen: `tls: { cert: ${cert}, key: ${key}, hsts: 1h }`,
    routes: `
routes:
  - { id: events, uri: lb://a, predicates: ['Path=/events/**'], stream: true }
  - { id: rest, uri: lb://a, predicates: ['Path=/**'] }
`,
  });
  const begin = (path: string, headers: Record<string, string> = {}) =>
    request({ host: '127.0.0.1', port: gateway.port, path, headers, ca: certificate.cert, agent: false }).end();
  return { gateway, begin };
}

async function answerTo(sent: ReturnType<typeof request>): Promise<IncomingMessage> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return answer;
}

describe('a gateway with TLS', () => {
  test('tells the instance so, tells browsers to stay, and tells when its certificate expires', async t => {
    const { gateway, begin } = await startSecure(t);

    const answer = await answerTo(begin('/x'));

    const [body] = (await once(answer, 'data')) as [Buffer];
    assert.equal((JSON.parse(body.toString()) as Record<string, string>)['x-forwarded-proto'], 'https');
    assert.equal(answer.headers['strict-transport-security'], 'max-age=3600');
    const expirySeconds = await gateway.metric('penstock_tls_certificate_expiry_seconds', { name: 'localhost' });
    assert.ok(Math.abs(expirySeconds - (Date.now() / 1_000 + 30 * 86_400)) < 3_600);
  });

  test('carries an event stream as it comes', async t => {
    const { begin } = await startSecure(t);
    const sent = begin('/events');

    const answer = await answerTo(sent);
    const [piece] = (await once(answer, 'data')) as [Buffer];

    assert.equal(piece.toString(), 'data: 1\n\n');
    assert.equal(answer.headers['strict-transport-security'], 'max-age=3600');
    sent.destroy();
  });

  test('carries an event stream by HTTP/2, a body towards it, and ends both', async t => {
    const { gateway } = await startSecure(t);
    const client = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca: certificate.cert });
    t.after(() => client.destroy());
    const stream = client.request({ ':path': '/events', ':method': 'POST' }).on('error', () => undefined);
    stream.write('abc');

    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    const [piece] = (await once(stream, 'data')) as [Buffer];
    stream.close(8);
    await gateway.untilIdle();

    assert.deepEqual([headers[':status'], headers['content-type']], [200, 'text/event-stream']);
    assert.equal(piece.toString(), 'data: 1\n\n');
    const [line] = gateway.requests();
    assert.deepEqual([line?.['status'], line?.['bytesIn'], line?.['bytesOut']], [200, 3, 9]);
  });

  test('carries a long answer by HTTP/2 to its end, and says where it is cut', async t => {
    const { gateway } = await startSecure(t);
    const client = connectHttp2(`https://127.0.0.1:${gateway.port}`, { ca: certificate.cert });
    t.after(() => client.destroy());
    const read = async (path: string) => {
      let bytes = 0;
      const stream = client.request({ ':path': path });
      for await (const chunk of stream as AsyncIterable<Buffer>) bytes += chunk.length;
      return bytes;
    };

    assert.equal(await read('/events/long'), 3_000_000);
    await assert.rejects(read('/events/cut'), /NGHTTP2_INTERNAL_ERROR/);
  });

  test('carries a WebSocket', async t => {
    const { begin } = await startSecure(t);
    const sent = begin('/events', { Connection: 'Upgrade', Upgrade: 'websocket' });

    const [answer, socket, head] = (await once(sent, 'upgrade')) as [IncomingMessage, Socket, Buffer];
    const first = head.length > 0 ? head : ((await once(socket, 'data')) as [Buffer])[0];

    assert.equal(answer.statusCode, 101);
    assert.equal(first.toString(), 'hello');
    socket.destroy();
  });
});
