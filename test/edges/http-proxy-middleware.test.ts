import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { setDefaultCACertificates } from 'node:tls';
import type { Admitted } from '../../gateway/domain/call.ts';
import { anonymousCaller } from '../../gateway/domain/caller.ts';
import type { Clock } from '../../gateway/domain/clock.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Filter, Route } from '../../gateway/domain/route.ts';
import type { Finding, AcquiredStream } from '../../gateway/domain/service.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { createCarrier } from '../../gateway/edges/http-proxy-middleware.ts';
import { createStream } from '../../gateway/stages/stream.ts';
import { startServer } from '../support/gateway-server.ts';
import { manualClock } from '../support/manual-clock.ts';
import { startStreamApp } from '../support/plumber/stream-app.ts';
import { codeIn, rawCaller, sendAndReceive } from '../support/raw-caller.ts';
import { aMatched, instance, type RequestTraits } from '../support/requests.ts';
import { bytes, bytesThenReset, deadOrigin, stall, startUpstream } from '../support/scripted-upstream.ts';
import { startNode } from '../support/node-server.ts';

const MIB = 1024 * 1024;

interface CarryTraits {
  readonly origin: string;
  readonly clock?: Clock;
  readonly traits?: RequestTraits;
}

/** A real listener whose one route carries streams to one instance, and what its service was told. */
async function startCarrying(t: TestContext, { origin, clock = systemClock, traits = {} }: CarryTraits) {
  const findings: Finding[] = [];
  const events: GatewayEvent[] = [];
  const streams = { taken: 0, released: 0 };
  const acquireStream = (): AcquiredStream => {
    streams.taken += 1;
    return { instance: { ...instance, origin }, release: () => (streams.released += 1) };
  };
  const { route } = aMatched({ ...traits, policy: { isStream: true, streamIdleMs: 60_000, ...traits.policy } });
  const policy = { ...route.service.policy, balance: { policy: 'least-loaded' }, connectTimeoutMs: 1_000 };
  const report = (_instance: unknown, finding: Finding) => void findings.push(finding);
  const service = { ...route.service, policy, acquireStream, report } as unknown as Route['service'];
  const stream = createStream({ carrier: createCarrier({ clock }), clock, observe: event => events.push(event) });
  const started = await startServer(t, {
    clock,
    travel: call => {
      call.matched({ ...route, service }, new Map());
      stream(call.admitted(anonymousCaller(call.callerAddress)) satisfies Admitted);
      return undefined;
    },
  });
  return { ...started, findings, events, streams };
}

async function listening(t: TestContext, server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    await once(server.close(), 'close');
  });
  return (server.address() as AddressInfo).port;
}

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** Writes pieces one by one, each as a packet of its own. */
async function inPieces(socket: Socket, pieces: Iterable<string>): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of pieces) {
    await new Promise(resolve => socket.write(piece, resolve));
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** An instance that switches, as it is told to, and gives what came behind the request's head when `upward` is whole. */
async function startSwitching(t: TestContext, { upward, begin }: SwitchTraits) {
  let emit: (came: string) => void;
  const came = new Promise<string>(resolve => (emit = resolve));
  const sockets = new Set<Socket>();
  const server = createTcpServer(socket => {
    sockets.add(socket);
    let received = '';
    socket
      .on('error', () => undefined)
      .on('data', chunk => {
        const isSwitched = received.includes('\r\n\r\n');
        received += chunk.toString('latin1');
        const end = received.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (!isSwitched) void begin(socket);
        if (received.length >= end + 4 + upward.length) emit(received.slice(end + 4));
      });
  });
  const port = await listening(t, server);
  t.after(() => sockets.forEach(socket => socket.destroy()));
  return { origin: `http://127.0.0.1:${port}`, came };
}

interface SwitchTraits {
  readonly upward: string;
  readonly begin: (socket: Socket) => unknown;
}

async function opened(t: TestContext, port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  t.after(() => socket.close());
  await once(socket, 'open');
  return socket;
}

async function receivedOn(socket: WebSocket): Promise<unknown> {
  const [message] = (await once(socket, 'message')) as [MessageEvent];
  return message.data;
}

const upgrade =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

describe('with a real httpuv application', () => {
  test('a WebSocket talks in both directions, and its place is given back once when it is over', async t => {
    const origin = await startStreamApp(t);
    const { port, streams, line, findings } = await startCarrying(t, { origin });
    const socket = await opened(t, port);

    for (const text of ['hello', 'x'.repeat(100_000)]) {
      const answer = receivedOn(socket);
      socket.send(text);
      assert.equal(await answer, text);
    }
    assert.deepEqual(streams, { taken: 1, released: 0 });
    socket.close();

    const { status, code, instance: reported, bytesIn, bytesOut } = await line();
    assert.deepEqual({ status, code, reported }, { status: 101, code: null, reported: 'fuel-9101' });
    assert.ok(bytesIn > 100_000 && bytesOut > 100_000);
    assert.deepEqual(streams, { taken: 1, released: 1 });
    assert.deepEqual(
      findings.map(finding => finding.outcome),
      ['ok'],
    );
  });

  test('R sees the fields that the gateway composed, and none of the caller’s own making', async t => {
    const origin = await startStreamApp(t);
    const { port } = await startCarrying(t, { origin, traits: { sharedSecret: 'open sesame' } });
    const caller = await rawCaller(t, port);
    const spoofed = upgrade.replace('\r\n\r\n', '\r\nX_Penstock_Subject: admin\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n');

    caller.say(spoofed);
    const received = await caller.receive(/\r\n\r\n/);
    const text = Buffer.from('fields');
    caller.say(Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0, ...text])); // masked by zeros
    const fields = await caller.receive(/HTTP_X_REQUEST_ID=/);

    assert.match(received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(received, /x-request-id: /i);
    assert.match(received, /sec-websocket-accept: ICX\+Yqv66kxgM0FcWaLWlFLwTAI=/i);
    assert.match(fields, /HTTP_X_FORWARDED_FOR=127\.0\.0\.1\n/);
    assert.match(fields, /HTTP_PLUMBER_SHARED_SECRET=open sesame/);
    assert.doesNotMatch(fields, /admin|6\.6\.6\.6/);
  });

  test('R sees each field as it was sent, whatever it is called', async t => {
    const origin = await startNode(t, ({ rawHeaders }, res) => {
      const received = rawHeaders.filter((_, i) => /^(?:constructor|toString)$/.test(rawHeaders[i - (i % 2)] ?? ''));
      res.end(received.join(' '));
    });
    const { url } = await startCarrying(t, { origin });

    const answer = await fetch(url, { headers: Object.entries({ constructor: 'a', toString: 'b' }) });

    assert.equal(await answer.text(), 'constructor a toString b');
  });

  test('a WebSocket that R closes, or whose R dies, is closed', async t => {
    const origin = await startStreamApp(t);
    const { port, streams } = await startCarrying(t, { origin });

    for (const word of ['close', 'die']) {
      const socket = await opened(t, port);
      const closed = once(socket, 'close');
      socket.send(word);
      await closed;
    }

    assert.deepEqual(streams, { taken: 2, released: 2 });
  });

  test('an event stream, an upload and a refusal come as R sends them', async t => {
    const origin = await startStreamApp(t);
    const { url, port } = await startCarrying(t, { origin });
    const close = { connection: 'close' };

    const events = await fetch(`${url}/events`, { headers: close });
    assert.equal(events.headers.get('content-type'), 'text/event-stream');
    assert.equal(await events.text(), 'data: 1\n\ndata: 2\n\ndata: 3\n\n');

    const body = new Blob([Buffer.alloc(5 * MIB)]).stream();
    const upload = await fetch(`${url}/length`, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: close,
    });
    assert.equal(await upload.text(), String(5 * MIB));

    const refused = await sendAndReceive(t, port, 'HEAD /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(refused, /^HTTP\/1\.1 404 Not Found\r\n/);
    assert.match(refused, /\r\n\r\n$/);
  });
});

describe('the first bytes of a WebSocket', () => {
  const down = 'from R, at once';
  const up = 'from the caller, at once';
  const begins: Record<string, SwitchTraits['begin']> = {
    'in one packet with its 101': socket => socket.write(SWITCHING + down),
    'in the packet behind its 101': socket => inPieces(socket, [SWITCHING, down]),
    'byte by byte': socket => inPieces(socket, [SWITCHING, ...down.split(/(?<=.)/)]),
    'across its 101': socket => inPieces(socket, [SWITCHING.slice(0, -3), SWITCHING.slice(-3) + down]),
    'when the caller’s are there': socket => setImmediate(() => socket.write(SWITCHING + down)),
  };
  const says: Record<string, (socket: Socket) => unknown> = {
    'behind its head': socket => socket.write(upgrade + up),
    'in the packet behind its head': socket => inPieces(socket, [upgrade, up]),
    'byte by byte': socket => inPieces(socket, [upgrade, ...up.split(/(?<=.)/)]),
    'across its head': socket => inPieces(socket, [upgrade.slice(0, -2), upgrade.slice(-2) + up]),
  };
  for (const [howDown, begin] of Object.entries(begins)) {
    for (const [howUp, say] of Object.entries(says)) {
      test(`arrive, R’s ${howDown}, the caller’s ${howUp}`, async t => {
        const { origin, came } = await startSwitching(t, { upward: up, begin });
        const { port, line } = await startCarrying(t, { origin });
        const caller = await rawCaller(t, port);

        void say(caller.socket);

        const received = await caller.receive(new RegExp(down));
        assert.equal(await came, up);
        assert.equal(received.slice(received.indexOf('\r\n\r\n') + 4), down);
        caller.socket.destroy();
        const { bytesIn, bytesOut } = await line();
        assert.deepEqual({ bytesIn, bytesOut }, { bytesIn: up.length, bytesOut: down.length });
      });
    }
  }
});

describe('a stream over HTTP', () => {
  for (const coding of ['gzip, chunked', 'chunked, chunked', 'foo']) {
    test(`is a 502 where its body comes in the coding ${coding}`, async t => {
      const head = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n`;
      const { origin } = await startUpstream(t, bytes(`${head}3\r\nabc\r\n0\r\n\r\n`));
      const { port, findings } = await startCarrying(t, { origin });

      const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

      assert.equal(codeIn(received), 'UPSTREAM_FAULT');
      assert.equal(findings[0]?.outcome, 'fault');
    });
  }

  const early =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n';
  for (const [version, expected] of [
    [
      '1.1',
      /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 /,
    ],
    ['1.0', /^HTTP\/1\.1 200 /],
  ] as const) {
    test(`passes interim answers on to HTTP/${version} as that knows them`, async t => {
      const { origin } = await startUpstream(t, bytes(`${early}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`));
      const { port } = await startCarrying(t, { origin });

      const received = await sendAndReceive(t, port, `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);

      assert.match(received, expected);
    });
  }

  test('bounds the request’s body where a bound is written, as it passes', async t => {
    const origin = await startNode(t, (req, res) => req.on('end', () => res.end('never')).resume());
    const traits = { policy: { streamBodyBytesMax: 1_000 } };
    const { port, streams, findings } = await startCarrying(t, { origin, traits });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 3; i += 1) caller.say(`1f4\r\n${'x'.repeat(500)}\r\n`);
    const inChunks = codeIn(await caller.receive(/"message":/));
    const announced = await sendAndReceive(
      t,
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nConnection: close\r\n\r\n${'x'.repeat(1001)}`,
    );

    assert.deepEqual([inChunks, codeIn(announced)], ['BODY_TOO_LARGE', 'BODY_TOO_LARGE']);
    assert.deepEqual(streams, { taken: 1, released: 1 }, 'what is announced too large takes no place');
    assert.deepEqual(
      findings.map(finding => finding.outcome),
      ['abandoned'],
    );
  });

  test('is cut where the request’s body goes beyond its bound after the answer has begun', async t => {
    const origin = await startNode(t, (req, res) => {
      res.writeHead(200, { 'content-length': '10' });
      res.write('begun');
      req.resume();
    });
    const { port, line } = await startCarrying(t, { origin, traits: { policy: { streamBodyBytesMax: 1_000 } } });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await caller.receive(/begun/);
    caller.say(`3e8\r\n${'x'.repeat(1_000)}\r\n`);
    await caller.receiveAll();

    assert.equal((await line()).code, 'BODY_TOO_LARGE');
  });

  test('to HTTP/1.0 comes without chunks, and where it is cut its connection is reset', async t => {
    const chunks = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n';
    const upstream = await startUpstream(t, bytes(`${chunks}0\r\n\r\n`));
    const { port } = await startCarrying(t, { origin: upstream.origin });

    const whole = await sendAndReceive(t, port, 'GET / HTTP/1.0\r\n\r\n');
    upstream.play(bytesThenReset(chunks));
    const caller = await rawCaller(t, port);
    const failed = once(caller.socket, 'error');
    caller.say('GET / HTTP/1.0\r\n\r\n');

    assert.match(whole, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nabc$/);
    assert.doesNotMatch(whole, /chunked/i);
    assert.equal(((await failed) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
  });

  test('arrives event by event, as it is sent', async t => {
    const origin = await startNode(t, (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      send = text => res.write(text);
      left = once(res, 'close');
    });
    let send: (text: string) => void = () => undefined;
    let left: Promise<unknown> = Promise.resolve();
    const { port, streams, line } = await startCarrying(t, { origin });
    const caller = await rawCaller(t, port);

    caller.say('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.receive(/\r\n\r\n/); // the head comes before any event
    send('data: 1\n\n');
    await caller.receive(/data: 1\n\n/);
    send('data: 2\n\n');
    await caller.receive(/data: 2\n\n/);
    caller.socket.destroy();

    await left;
    const { status, code, bytesOut } = await line();
    assert.deepEqual({ status, code, bytesOut }, { status: 200, code: null, bytesOut: 18 });
    assert.deepEqual(streams, { taken: 1, released: 1 });
  });

  test('keeps its length where the instance said one', async t => {
    const origin = await startNode(t, (_req, res) => res.end(Buffer.alloc(3 * MIB)));
    const { url } = await startCarrying(t, { origin });

    const response = await fetch(url, { headers: { connection: 'close' } });

    assert.equal(response.headers.get('content-length'), String(3 * MIB));
    assert.equal((await response.arrayBuffer()).byteLength, 3 * MIB);
  });

  test('has no length where it has no content', async t => {
    const { origin } = await startUpstream(t, bytes('HTTP/1.1 204 Nothing\r\nContent-Length: 2\r\n\r\n'));
    const { port } = await startCarrying(t, { origin });

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(received, /^HTTP\/1\.1 204 /);
    assert.doesNotMatch(received, /content-length/i);
  });

  test('is cut, not ended, where the instance breaks it off', async t => {
    const { origin } = await startUpstream(
      t,
      bytesThenReset('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
    );
    const { port, line, streams } = await startCarrying(t, { origin });

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');

    assert.doesNotMatch(received, /\r\n0\r\n/);
    assert.equal((await line()).code, 'CONNECTION_LOST');
    assert.deepEqual(streams, { taken: 1, released: 1 });
  });

  test('ends when not a byte has passed for long enough', async t => {
    const clock = manualClock();
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
    );
    const { port, line, streams } = await startCarrying(t, { origin: upstream.origin, clock });
    const caller = await rawCaller(t, port);
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.receive(/data: 1/);

    for (let i = 0; i < 8; i += 1) clock.advance(7_500);
    assert.equal(caller.socket.destroyed, false);
    for (let i = 0; i < 4; i += 1) clock.advance(7_500);

    await caller.receiveAll();
    assert.equal((await line()).code, null);
    assert.deepEqual(streams, { taken: 1, released: 1 });
    assert.equal(clock.alarms, 0);
  });
});

describe('a stream that does not come about', () => {
  test('is a 502 when the instance switches protocols unasked', async t => {
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    );
    const { port, streams } = await startCarrying(t, { origin: upstream.origin });

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.equal(codeIn(received), 'CONNECTION_LOST');
    assert.deepEqual(streams, { taken: 1, released: 1 });
  });

  test('is a 400 when its body is none from the first piece', async t => {
    const upstream = await startUpstream(t, stall);
    const { port, streams } = await startCarrying(t, { origin: upstream.origin });

    const received = await sendAndReceive(
      t,
      port,
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n',
    );

    assert.equal(codeIn(received), 'BAD_REQUEST');
    assert.deepEqual(streams, { taken: 1, released: 1 });
  });

  const requests = { 'over HTTP': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'as an upgrade': upgrade };
  for (const [how, text] of Object.entries(requests)) {
    test(`${how} is a 502 where nothing listens`, async t => {
      const { port, streams, findings, server } = await startCarrying(t, { origin: await deadOrigin() });

      const received = await sendAndReceive(t, port, text);

      assert.match(received, /^HTTP\/1\.1 502 /);
      assert.equal(codeIn(received), 'CONNECT_FAILED');
      assert.match(received, /X-Request-Id: /);
      assert.deepEqual(streams, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'refused');
      assert.equal(server.inFlight, 0);
    });

    test(`${how} is a 502 when the instance breaks off before a word`, async t => {
      const upstream = await startUpstream(t, bytesThenReset(''));
      const { port, streams, findings } = await startCarrying(t, { origin: upstream.origin });

      const received = await sendAndReceive(t, port, text);

      assert.equal(codeIn(received), 'CONNECTION_LOST');
      assert.deepEqual(streams, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'lost');
    });

    test(`${how} is a 502 when the instance does not speak HTTP`, async t => {
      const upstream = await startUpstream(t, bytes('220 smtp ESMTP\r\n'));
      const { port, findings } = await startCarrying(t, { origin: upstream.origin });

      assert.equal(codeIn(await sendAndReceive(t, port, text)), 'UPSTREAM_FAULT');
      assert.equal(findings[0]?.outcome, 'fault');
    });

    test(`${how} is a 504 when the instance says nothing for long enough`, async t => {
      const clock = manualClock();
      const upstream = await startUpstream(t, stall);
      const { port, findings } = await startCarrying(t, { origin: upstream.origin, clock });
      const caller = await rawCaller(t, port);
      caller.say(text);
      await once(upstream.events, 'request');

      for (let i = 0; i < 12; i += 1) clock.advance(7_500);

      assert.equal(codeIn(await caller.receiveAll()), 'ATTEMPT_TIMEOUT');
      assert.equal(findings[0]?.outcome, 'timeout');
    });

    test(`${how} leaves the instance at once when the caller hangs up`, async t => {
      const clock = manualClock();
      const upstream = await startUpstream(t, stall);
      const { port, streams, line, findings } = await startCarrying(t, { origin: upstream.origin, clock });
      const caller = await rawCaller(t, port);
      caller.say(text);
      await once(upstream.events, 'request');
      const left = once(upstream.events, 'disconnection');

      caller.socket.destroy();
      await left;

      assert.equal((await line()).code, 'CALLER_GONE');
      assert.deepEqual(streams, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'abandoned');
      assert.equal(clock.alarms, 0);
    });
  }

  test('for a long upload is a 502 that the caller gets to hear', async t => {
    const { port, streams } = await startCarrying(t, { origin: await deadOrigin() });
    const caller = await rawCaller(t, port);

    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    caller.say(Buffer.alloc(4 * MIB));

    assert.equal(codeIn(await caller.receiveAll()), 'CONNECT_FAILED');
    assert.deepEqual(streams, { taken: 1, released: 1 });
  });

  test('as an upgrade is what the instance answers instead', async t => {
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 426 Dunno\r\nX-Why: version\r\nContent-Length: 4\r\n\r\nnope'),
    );
    const { port, line } = await startCarrying(t, { origin: upstream.origin });

    const received = await sendAndReceive(t, port, upgrade);

    assert.match(received, /^HTTP\/1\.1 426 Upgrade Required\r\n/);
    assert.match(received, /X-Why: version\r\n/);
    assert.match(received, /X-Request-Id: /);
    assert.match(received, /nope$/);
    assert.equal((await line()).status, 426);
  });
});

describe('a stream to an instance behind TLS', () => {
  const startSecure = async (t: TestContext) => {
    const server = createTlsServer({ cert: CERTIFICATE, key: KEY }, (req, res) =>
      res.end(`for ${req.headers.host ?? ''}`),
    );
    server.on('upgrade', (_req, socket) => socket.end(SWITCHING));
    t.after(() => server.closeAllConnections());
    return listening(t, server);
  };

  test('is checked under the service’s own name, whatever host the caller names', async t => {
    setDefaultCACertificates([CERTIFICATE]);
    const securePort = await startSecure(t);
    const filters = [preserveHost];
    const { port, findings } = await startCarrying(t, {
      origin: `https://localhost:${securePort}`,
      traits: { filters },
    });

    const received = await sendAndReceive(
      t,
      port,
      'GET / HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n',
    );
    const switched = await sendAndReceive(t, port, upgrade.replace('Host: a', 'Host: evil.example.org'));

    assert.match(received, /for evil\.example\.org$/);
    assert.match(switched, /^HTTP\/1\.1 101 /);
    assert.deepEqual(
      findings.map(({ outcome }) => outcome),
      ['ok', 'ok'],
    );
  });

  test('is a 502 where its certificate is another’s, though the caller names that other', async t => {
    setDefaultCACertificates([CERTIFICATE]);
    const securePort = await startSecure(t);
    const filters = [preserveHost];
    const { port, findings } = await startCarrying(t, {
      origin: `https://127.0.0.1:${securePort}`,
      traits: { filters },
    });

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');

    assert.equal(codeIn(received), 'UPSTREAM_UNTRUSTED');
    assert.equal(findings[0]?.outcome, 'untrusted');
  });
});

const preserveHost: Filter = {
  name: 'PreserveHostHeader',
  text: 'PreserveHostHeader',
  onRequest: (draft, call) => {
    draft.host = call.host;
  },
};

/** Signed by itself for `localhost`, and good for a hundred years; the key protects nothing. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIULl7I6zHVw/2rVUamsCJphDMKoWowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODA1MjczOFoYDzIxMjYxMTA0
MDUyNzM4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAROPCLi5aE8JQUyBdr4h3YgHg6nrZAtEaUjZSZzM5zfOy7gM9Ky0T0m
TNdB1kV5hBRmhSdR+SibX1QoVsfFMtj/o2kwZzAdBgNVHQ4EFgQU1EPpzWPFr1Xp
qyy99oaEwS1s7vMwHwYDVR0jBBgwFoAU1EPpzWPFr1Xpqyy99oaEwS1s7vMwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIgMSOVL95uT1xNbMEEth6ybHUM9HwcOszhBBgIHMorGF0CIQDYsGpSWU1n
60PTeRus46ExYpN7y8PBOEfzh05sAZPJZw==
-----END CERTIFICATE-----`;
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGoJ1F8a5K4lcsPPp
1EN2YhjhmVaf8MXSduFDWzX4SD+hRANCAAROPCLi5aE8JQUyBdr4h3YgHg6nrZAt
EaUjZSZzM5zfOy7gM9Ky0T0mTNdB1kV5hBRmhSdR+SibX1QoVsfFMtj/
-----END PRIVATE KEY-----`;
