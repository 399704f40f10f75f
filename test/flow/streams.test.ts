import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { beginCall } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { startStreamApp } from '../support/plumber/stream-app.ts';
import { rawCaller } from '../support/raw-caller.ts';
import { bytes, startUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';
import { listen } from '../support/node-server.ts';

/** An instance that begins an event stream and goes on when the test says so. */
async function startEvents(t: TestContext) {
  const streams: ServerResponse[] = [];
  const server = createServer((_req: IncomingMessage, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: 1\n\n');
    streams.push(res);
  });
  const port = await listen(t, server);
  return { origin: `http://127.0.0.1:${port}`, streams };
}

async function gatewayTo(t: TestContext, origin: string, { service = '', policy = '', more = '' } = {}) {
  const gateway = await startGateway(t, {
    more,
    services: { events: [origin] },
    routes: `
services: { events: { health: { interval: 1h }${service && `, ${service}`} } }
routes:
  - { id: stream, uri: lb://events, predicates: ['Path=/stream/**'], filters: [StripPrefix=1], stream: true${policy && `, ${policy}`} }
  - { id: plain, uri: lb://events, predicates: ['Path=/plain/**'], filters: [StripPrefix=1], timeout: 5s }
`,
  });
  const instance = async () => {
    const [only] = (await gateway.service('events')).instances;
    assert.ok(only);
    return only;
  };
  return { gateway, instance };
}

async function nextPiece(answer: IncomingMessage): Promise<string> {
  const piece = once(answer, 'data');
  answer.resume();
  const [chunk] = (await piece) as [Buffer];
  answer.pause();
  return chunk.toString();
}

describe('an event stream', () => {
  test('comes piece by piece, beside the permits, and outlives the route’s timeout', async t => {
    const { origin, streams } = await startEvents(t);
    const { gateway, instance } = await gatewayTo(t, origin, { policy: 'timeout: 300ms' });
    const startedMs = performance.now();

    const answer = await beginCall(`${gateway.url}/stream/a`).answered;
    const first = await nextPiece(answer);
    const { inFlight, streams: carried } = await instance();
    await until(() => performance.now() - startedMs > 600, 'twice the timeout');
    const ended = once(answer, 'end');
    streams[0]?.end('data: 2\n\n');
    const second = await nextPiece(answer);
    answer.resume();
    await ended;

    assert.deepEqual([first, second], ['data: 1\n\n', 'data: 2\n\n']);
    assert.deepEqual([inFlight, carried], [0, 1]);
    const line = await gateway.log.line(({ event }) => event === 'request');
    assert.deepEqual(
      [line['status'], line['code'], line['bytesOut'], line['instance']],
      [200, null, 18, origin.slice(7)],
    );
  });

  test('on a route that carries none is refused by the key to set', async t => {
    const { origin } = await startEvents(t);
    const { gateway } = await gatewayTo(t, origin);

    const received = await gateway.call('/plain/a');

    assert.deepEqual([received.status, received.code], [501, 'STREAM_NOT_ENABLED']);
    assert.match(received.text, /stream: true.*\\"plain\\"/);
  });

  test('on a route that carries none is refused so, too, where the instance switches protocols unasked', async t => {
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const { origin } = await startUpstream(t, bytes(switching));
    const { gateway } = await gatewayTo(t, origin);

    const received = await gateway.call('/plain/a');

    assert.deepEqual([received.status, received.code], [501, 'STREAM_NOT_ENABLED']);
  });

  test('takes the place of no other beyond `streamsMax`', async t => {
    const { origin, streams } = await startEvents(t);
    const { gateway } = await gatewayTo(t, origin, { service: 'streamsMax: 1' });
    const answer = await beginCall(`${gateway.url}/stream/a`).answered;
    answer.resume();

    const second = await gateway.call('/stream/b');
    streams[0]?.end();
    await once(answer, 'end');

    assert.deepEqual([second.status, second.code], [503, 'SERVICE_UNAVAILABLE']);
  });

  test('ends on R’s side when its caller has left', async t => {
    const { origin, streams } = await startEvents(t);
    const { gateway, instance } = await gatewayTo(t, origin);
    const { sent, answered } = beginCall(`${gateway.url}/stream/a`);
    await nextPiece(await answered);
    const [stream] = streams;
    assert.ok(stream);
    const closed = once(stream, 'close');

    sent.destroy();
    await closed;
    await until(async () => (await instance()).streams === 0, 'its place is free');

    const line = await gateway.log.line(({ event }) => event === 'request');
    assert.deepEqual([line['status'], line['code']], [200, null], 'that is how most streams end');
  });

  test('is left alone by a reload, even of one that takes its route away', async t => {
    const { origin, streams } = await startEvents(t);
    const { gateway } = await gatewayTo(t, origin);
    const answer = await beginCall(`${gateway.url}/stream/a`).answered;
    await nextPiece(answer);

    writeFileSync(gateway.routesFile, 'routes: []');
    await gateway.reload();
    const gone = await gateway.call('/stream/b');
    streams[0]?.write('data: 2\n\n');
    const piece = await nextPiece(answer);
    const ended = once(answer, 'end');
    streams[0]?.end();
    answer.resume();
    await ended;

    assert.deepEqual([gone.status, piece, answer.complete], [404, 'data: 2\n\n', true]);
  });

  test('has its time when the gateway drains, which takes no new one, and is cut when that is over', async t => {
    const { origin, streams } = await startEvents(t);
    const { gateway } = await gatewayTo(t, origin, { more: 'drain: { grace: 0s, timeout: 500ms }' });
    const [short, long] = await Promise.all(
      ['a', 'b'].map(name => beginCall(`${gateway.url}/stream/${name}`).answered),
    );
    assert.ok(short && long);
    await Promise.all([short, long].map(nextPiece));
    const late = await rawCaller(t, gateway.port);
    late.say('GET /stream/c HTTP/1.1\r\nHost: a\r\n');
    const closed = new Promise(resolve => long.once('close', resolve));
    const ended = once(short, 'end');

    const drained = gateway.gateway.drain();
    await gateway.log.line(({ phase }) => phase === 'refusing');
    late.say('\r\n');
    const refused = await late.receiveAll();
    for (const answer of [short, long]) answer.on('error', () => undefined).resume();
    for (const stream of streams) if (stream.req.url === '/a') stream.end('data: 2\n\n');
    await ended;
    await Promise.all([drained, closed]);

    assert.match(refused, /^$|DRAINING/);
    assert.equal(streams.length, 2, 'the instance got no third');
    assert.deepEqual([short.complete, long.complete], [true, false]);
  });

  test('in which nothing moves is ended', async t => {
    const { origin } = await startEvents(t);
    const { gateway } = await gatewayTo(t, origin, { policy: 'streamIdle: 1s' });
    const answer = await beginCall(`${gateway.url}/stream/a`).answered;
    answer.on('error', () => undefined).resume(); // 'close' follows

    await new Promise(resolve => answer.once('close', resolve));

    assert.equal(answer.complete, false, 'it was cut, and does not look whole');
  });
});

describe('a WebSocket', () => {
  test('talks to a real httpuv application through the whole flow, and is admitted like any call', async t => {
    const { gateway, instance } = await gatewayTo(t, await startStreamApp(t));
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/stream/ws`);
    await once(socket, 'open');

    socket.send('hello');
    const [message] = (await once(socket, 'message')) as [MessageEvent];
    const { streams } = await instance();
    socket.close();
    await once(socket, 'close');
    const line = await gateway.log.line(({ event }) => event === 'request');

    assert.equal(message.data, 'hello');
    assert.equal(streams, 1);
    assert.deepEqual([line['status'], line['route'], line['attempts']], [101, 'stream', 1]);
  });

  test('carries messages of megabytes whole, in both directions', async t => {
    const { gateway } = await gatewayTo(t, await startStreamApp(t));
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/stream/ws`);
    await once(socket, 'open');
    const text = 'abcdefgh'.repeat(512 * 1024);

    socket.send(text);
    const [message] = (await once(socket, 'message')) as [MessageEvent];
    socket.close();
    await once(socket, 'close');

    assert.ok(message.data === text);
  });

  test('on a route that carries none, or on none, is refused in HTTP', async t => {
    const upstream = await startUpstream(t, bytes('never'));
    const { gateway } = await gatewayTo(t, upstream.origin);
    const knock = async (path: string) => {
      const caller = await rawCaller(t, gateway.port);
      const upgrade =
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
      caller.say(`GET ${path} HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n\r\n`);
      return caller.receiveAll();
    };

    assert.match(await knock('/plain/a'), /^HTTP\/1\.1 501 [^]*STREAM_NOT_ENABLED/);
    assert.match(await knock('/nowhere'), /^HTTP\/1\.1 404 [^]*NO_ROUTE/);
    assert.equal(upstream.requests.length, 0);
  });
});
