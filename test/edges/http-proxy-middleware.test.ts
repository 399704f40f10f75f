import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { learn, type Admitted, type Matched, type Place } from '../../gateway/domain/exchange.ts';
import type { Clock } from '../../gateway/domain/ports.ts';
import type { Finding } from '../../gateway/domain/service.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { createCarrier } from '../../gateway/edges/http-proxy-middleware.ts';
import { createCarry } from '../../gateway/stages/carry.ts';
import { startServer } from '../support/gateway-server.ts';
import { manualClock } from '../support/manual-clock.ts';
import { startStreamApp } from '../support/plumber/stream-app.ts';
import { codeIn, rawCaller, sayAndHearOut } from '../support/raw-caller.ts';
import { aMatched, instance, type RequestTraits } from '../support/requests.ts';
import { bytes, bytesThenReset, deadOrigin, stall, startUpstream } from '../support/scripted-upstream.ts';

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
  const places = { taken: 0, released: 0 };
  const board = (): Place => {
    places.taken += 1;
    return { instance: { ...instance, origin }, release: () => (places.released += 1) };
  };
  const { route } = aMatched({ ...traits, policy: { isStream: true, streamIdleMs: 60_000, ...traits.policy } });
  const policy = { ...route.service.policy, balance: { policy: 'least-loaded' }, connectTimeoutMs: 1_000 };
  const report = (_instance: unknown, finding: Finding) => void findings.push(finding);
  const service = { ...route.service, policy, board, report } as unknown as Matched['route']['service'];
  const caller = { kind: 'anonymous', id: 'someone', subject: undefined, scopes: [], roles: [] } as const;
  const carry = createCarry({ carrier: createCarrier({ clock }), clock, observe: event => events.push(event) });
  const started = await startServer(t, {
    clock,
    travel: received => {
      const learned = {
        route: { ...route, service },
        variables: new Map<string, string>(),
        isPreflight: false,
        caller,
      };
      return carry(learn(received, learned) satisfies Admitted);
    },
  });
  return { ...started, findings, events, places };
}

/** An instance that is an ordinary Node server. */
async function startNode(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function opened(t: TestContext, port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  t.after(() => socket.close());
  await once(socket, 'open');
  return socket;
}

async function heardOn(socket: WebSocket): Promise<unknown> {
  const [message] = (await once(socket, 'message')) as [MessageEvent];
  return message.data;
}

const upgrade =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

describe('with a real httpuv application', () => {
  test('a WebSocket talks in both directions, and its place is given back once when it is over', async t => {
    const origin = await startStreamApp(t);
    const { port, places, line, findings } = await startCarrying(t, { origin });
    const socket = await opened(t, port);

    for (const text of ['hello', 'x'.repeat(100_000)]) {
      const answer = heardOn(socket);
      socket.send(text);
      assert.equal(await answer, text);
    }
    assert.deepEqual(places, { taken: 1, released: 0 });
    socket.close();

    const { status, code, instance: told, bytesIn, bytesOut } = await line();
    assert.deepEqual({ status, code, told }, { status: 101, code: null, told: 'fuel-9101' });
    assert.ok(bytesIn > 100_000 && bytesOut > 100_000);
    assert.deepEqual(places, { taken: 1, released: 1 });
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
    const heard = await caller.hear(/\r\n\r\n/);
    const text = Buffer.from('fields');
    caller.say(Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0, ...text])); // masked by zeros
    const fields = await caller.hear(/HTTP_X_REQUEST_ID=/);

    assert.match(heard, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(heard, /x-request-id: /i);
    assert.match(heard, /sec-websocket-accept: ICX\+Yqv66kxgM0FcWaLWlFLwTAI=/i);
    assert.match(fields, /HTTP_X_FORWARDED_FOR=127\.0\.0\.1\n/);
    assert.match(fields, /HTTP_PLUMBER_SHARED_SECRET=open sesame/);
    assert.doesNotMatch(fields, /admin|6\.6\.6\.6/);
  });

  test('a WebSocket that R closes, or whose R dies, is closed', async t => {
    const origin = await startStreamApp(t);
    const { port, places } = await startCarrying(t, { origin });

    for (const word of ['close', 'die']) {
      const socket = await opened(t, port);
      const closed = once(socket, 'close');
      socket.send(word);
      await closed;
    }

    assert.deepEqual(places, { taken: 2, released: 2 });
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

    const refused = await sayAndHearOut(t, port, 'HEAD /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.match(refused, /^HTTP\/1\.1 404 Not Found\r\n/);
    assert.match(refused, /\r\n\r\n$/);
  });
});

describe('a stream over HTTP', () => {
  test('arrives event by event, as it is sent', async t => {
    const origin = await startNode(t, (_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      send = text => res.write(text);
      left = once(res, 'close');
    });
    let send: (text: string) => void = () => undefined;
    let left: Promise<unknown> = Promise.resolve();
    const { port, places, line } = await startCarrying(t, { origin });
    const caller = await rawCaller(t, port);

    caller.say('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.hear(/\r\n\r\n/); // the head comes before any event
    send('data: 1\n\n');
    await caller.hear(/data: 1\n\n/);
    send('data: 2\n\n');
    await caller.hear(/data: 2\n\n/);
    caller.socket.destroy();

    await left;
    const { status, code, bytesOut } = await line();
    assert.deepEqual({ status, code, bytesOut }, { status: 200, code: null, bytesOut: 18 });
    assert.deepEqual(places, { taken: 1, released: 1 });
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

    const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(heard, /^HTTP\/1\.1 204 /);
    assert.doesNotMatch(heard, /content-length/i);
  });

  test('is cut, not ended, where the instance breaks it off', async t => {
    const { origin } = await startUpstream(
      t,
      bytesThenReset('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
    );
    const { port, line, places } = await startCarrying(t, { origin });

    const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');

    assert.doesNotMatch(heard, /\r\n0\r\n/);
    assert.equal((await line()).code, 'CONNECTION_LOST');
    assert.deepEqual(places, { taken: 1, released: 1 });
  });

  test('ends when not a byte has passed for long enough', async t => {
    const clock = manualClock();
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
    );
    const { port, line, places } = await startCarrying(t, { origin: upstream.origin, clock });
    const caller = await rawCaller(t, port);
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.hear(/data: 1/);

    for (let i = 0; i < 8; i += 1) clock.advance(7_500);
    assert.equal(caller.socket.destroyed, false);
    for (let i = 0; i < 4; i += 1) clock.advance(7_500);

    await caller.hearOut();
    assert.equal((await line()).code, null);
    assert.deepEqual(places, { taken: 1, released: 1 });
    assert.equal(clock.alarms, 0);
  });
});

describe('a stream that does not come about', () => {
  test('is a 502 when the instance switches protocols unasked', async t => {
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    );
    const { port, places } = await startCarrying(t, { origin: upstream.origin });

    const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.equal(codeIn(heard), 'CONNECTION_LOST');
    assert.deepEqual(places, { taken: 1, released: 1 });
  });

  test('is a 400 when its body is none from the first piece', async t => {
    const upstream = await startUpstream(t, stall);
    const { port, places } = await startCarrying(t, { origin: upstream.origin });

    const heard = await sayAndHearOut(
      t,
      port,
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n',
    );

    assert.equal(codeIn(heard), 'BAD_REQUEST');
    assert.deepEqual(places, { taken: 1, released: 1 });
  });

  const asks = { 'over HTTP': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'as an upgrade': upgrade };
  for (const [how, ask] of Object.entries(asks)) {
    test(`${how} is a 502 when nobody is there`, async t => {
      const { port, places, findings, server } = await startCarrying(t, { origin: await deadOrigin() });

      const heard = await sayAndHearOut(t, port, ask);

      assert.match(heard, /^HTTP\/1\.1 502 /);
      assert.equal(codeIn(heard), 'CONNECT_FAILED');
      assert.match(heard, /X-Request-Id: /);
      assert.deepEqual(places, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'refused');
      assert.equal(server.inFlight, 0);
    });

    test(`${how} is a 502 when the instance breaks off before a word`, async t => {
      const upstream = await startUpstream(t, bytesThenReset(''));
      const { port, places, findings } = await startCarrying(t, { origin: upstream.origin });

      const heard = await sayAndHearOut(t, port, ask);

      assert.equal(codeIn(heard), 'CONNECTION_LOST');
      assert.deepEqual(places, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'lost');
    });

    test(`${how} is a 502 when the instance does not speak HTTP`, async t => {
      const upstream = await startUpstream(t, bytes('220 smtp ESMTP\r\n'));
      const { port, findings } = await startCarrying(t, { origin: upstream.origin });

      assert.equal(codeIn(await sayAndHearOut(t, port, ask)), 'UPSTREAM_FAULT');
      assert.equal(findings[0]?.outcome, 'fault');
    });

    test(`${how} is a 504 when the instance says nothing for long enough`, async t => {
      const clock = manualClock();
      const upstream = await startUpstream(t, stall);
      const { port, findings } = await startCarrying(t, { origin: upstream.origin, clock });
      const caller = await rawCaller(t, port);
      caller.say(ask);
      await once(upstream.events, 'request');

      for (let i = 0; i < 12; i += 1) clock.advance(7_500);

      assert.equal(codeIn(await caller.hearOut()), 'ATTEMPT_TIMEOUT');
      assert.equal(findings[0]?.outcome, 'timeout');
    });

    test(`${how} leaves the instance at once when the caller hangs up`, async t => {
      const clock = manualClock();
      const upstream = await startUpstream(t, stall);
      const { port, places, line, findings } = await startCarrying(t, { origin: upstream.origin, clock });
      const caller = await rawCaller(t, port);
      caller.say(ask);
      await once(upstream.events, 'request');
      const left = once(upstream.events, 'disconnection');

      caller.socket.destroy();
      await left;

      assert.equal((await line()).code, 'CALLER_GONE');
      assert.deepEqual(places, { taken: 1, released: 1 });
      assert.equal(findings[0]?.outcome, 'abandoned');
      assert.equal(clock.alarms, 0);
    });
  }

  test('for a long upload is a 502 that the caller gets to hear', async t => {
    const { port, places } = await startCarrying(t, { origin: await deadOrigin() });
    const caller = await rawCaller(t, port);

    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    caller.say(Buffer.alloc(4 * MIB));

    assert.equal(codeIn(await caller.hearOut()), 'CONNECT_FAILED');
    assert.deepEqual(places, { taken: 1, released: 1 });
  });

  test('as an upgrade is what the instance answers instead', async t => {
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 426 Dunno\r\nX-Why: version\r\nContent-Length: 4\r\n\r\nnope'),
    );
    const { port, line } = await startCarrying(t, { origin: upstream.origin });

    const heard = await sayAndHearOut(t, port, upgrade);

    assert.match(heard, /^HTTP\/1\.1 426 Upgrade Required\r\n/);
    assert.match(heard, /X-Why: version\r\n/);
    assert.match(heard, /X-Request-Id: /);
    assert.match(heard, /nope$/);
    assert.equal((await line()).status, 426);
  });
});
