import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import express, { type Express } from 'express';
import type { Call } from '../../../gateway/domain/call.ts';
import type { GatewayEvent } from '../../../gateway/domain/events.ts';
import type { Answer } from '../../../gateway/domain/upstream.ts';
import { createApp, entranceOf, type Handle } from '../../../gateway/edges/express/server.ts';
import { anAnswer, bodyOf, startServer } from '../../support/gateway-server.ts';
import { collectGarbage } from '../../support/garbage.ts';
import { codeIn, rawCaller, sendAndReceive } from '../../support/raw-caller.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;

/** Answers with what the edge made of the request. */
const mirror = (call: Call): Answer => {
  const { id, method, path, query, host, scheme, callerAddress, isPeerTrusted, body, isUpgrade } = call;
  const seen = { id, method, path, query, host, scheme, callerAddress, isPeerTrusted, length: body.length, isUpgrade };
  return anAnswer(JSON.stringify(seen));
};

const readUpTo = async (call: Call, bytesMax: number): Promise<Answer> =>
  anAnswer(String((await bodyOf(call, bytesMax)).length));

const readAll = (call: Call): Promise<Answer> => readUpTo(call, MIB);

describe('the way in', () => {
  const answered: Handle = (_req, res) => res.end(String(res.getHeader('x-seen')));
  const startEntrance = async (t: TestContext, app: Express, handle: Handle) => {
    const events: GatewayEvent[] = [];
    const server = createServer(entranceOf(app, handle, event => events.push(event)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    return { events, send: () => fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) };
  };

  test('leads through what is mounted on Express before the flow', async t => {
    const app = express();
    app.use((_req, res, next) => {
      res.setHeader('X-Seen', 'yes');
      next();
    });
    app.use(answered).use(answered);
    const { send } = await startEntrance(t, app, answered);

    assert.equal(await (await send()).text(), 'yes');
  });

  test('answers 500 for what fails outside the flow, where nothing is mounted', async t => {
    const fails: Handle = () => {
      throw new Error('a mistake');
    };
    const { send, events } = await startEntrance(t, createApp(fails, ignore), fails);

    const { status } = await send();

    assert.equal(status, 500);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['internal-error'],
    );
  });
});

const ignore = () => undefined;

describe('a request', () => {
  test('reaches the flow as the caller sent it', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(
      t,
      port,
      'POST /a%20b/c?x=1&y=%20 HTTP/1.1\r\nHost: api.example.org:81\r\nX-Request-Id: abc.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    );

    assert.deepEqual(JSON.parse(received.split('\r\n\r\n')[1] ?? ''), {
      id: 'abc.1',
      method: 'POST',
      path: '/a%20b/c',
      query: 'x=1&y=%20',
      host: 'api.example.org:81',
      scheme: 'http',
      callerAddress: '127.0.0.1',
      isPeerTrusted: false,
      length: 2,
      isUpgrade: false,
    });
    assert.match(received, /\r\nX-Request-Id: abc\.1\r\n/);
  });

  test('gets an id of ours where its own could not stand in a log', async t => {
    const { port } = await startServer(t, { travel: mirror });

    for (const bad of ['a b', 'x'.repeat(129), '"><script>', '']) {
      const received = await sendAndReceive(
        t,
        port,
        `GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${bad}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(
        received,
        /\r\nX-Request-Id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\r\n/,
      );
    }
  });

  test('in the absolute form is for the host that its target names', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(
      t,
      port,
      'GET http://other.example.org/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );

    const { path, query, host } = JSON.parse(received.split('\r\n\r\n')[1] ?? '') as Record<string, string>;
    assert.deepEqual({ path, query, host }, { path: '/x', query: 'y', host: 'other.example.org' });
  });

  test('keeps a question mark with nothing behind it', async t => {
    const { port } = await startServer(t, { travel: call => anAnswer(String(call.hasQuery)) });

    const [bare, none] = await Promise.all(
      ['/x?', '/x'].map(url => sendAndReceive(t, port, `GET ${url} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)),
    );

    assert.match(bare ?? '', /\r\n\r\ntrue$/);
    assert.match(none ?? '', /\r\n\r\nfalse$/);
  });

  test('about the server as a whole is for the flow to answer', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(t, port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(received, /"method":"OPTIONS","path":"\*"/);
  });

  describe('that is followed by what is none', () => {
    const kept = 'GET /first HTTP/1.1\r\nHost: a\r\n\r\n';
    const last = 'GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    for (const { name, text } of [
      { name: 'garbage', text: `${kept}garbage\r\n\r\n` },
      { name: 'a request behind the one that closes the connection', text: `${last}${kept}` },
    ]) {
      test(`is answered all the same, and ends the connection: ${name}`, async t => {
        const { port, server } = await startServer(t, {
          async travel(call) {
            await new Promise(resolve => setImmediate(resolve));
            return mirror(call);
          },
        });

        const received = await sendAndReceive(t, port, text);

        assert.match(received, /^HTTP\/1\.1 200 [^]*Connection: close\r\n[^]*"path":"\/first"/);
        assert.equal(received.match(/HTTP\/1\.1/g)?.length, 1);
        await until(() => server.inFlight === 0, 'none in flight');
      });
    }

    test('has its answer to the end where that is under way', async t => {
      const body = new Readable({ read: () => undefined });
      const { port } = await startServer(t, { travel: () => anAnswer(body) });
      const caller = await rawCaller(t, port);

      caller.say(`${kept}garbage\r\n\r\n`); // in one packet: the head is out when the garbage is looked at
      body.push('begun, ');
      await caller.receive(/begun/);
      body.push('and over');
      body.push(null);

      assert.match(await caller.receiveAll(), /and over\r\n0\r\n\r\n$/);
    });
  });

  describe('behind one whose offer of another protocol is passed over', () => {
    const offer = 'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n';
    const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

    test('is answered', async t => {
      const { port } = await startServer(t, { travel: mirror });

      const received = await sendAndReceive(t, port, `GET /first HTTP/1.1\r\n${offer}\r\n${last}`);

      assert.match(received, /"path":"\/first"[^]*"path":"\/last"/);
    });

    test('is answered on a kept connection, however often', async t => {
      const { port } = await startServer(t, { travel: mirror });
      const caller = await rawCaller(t, port);

      for (let i = 1; i <= 20; i += 1) {
        caller.say(`GET /x${i} HTTP/1.1\r\n${offer}\r\n`);
        await caller.receive(new RegExp(`"path":"/x${i}"`));
      }
      caller.say(last);

      assert.doesNotMatch(await caller.receiveAll(), /HTTP\/1\.1 400/);
    });

    test('can be sent again where it was lost: a body before it closes the connection', async t => {
      const { port } = await startServer(t, { travel: readAll });

      const received = await sendAndReceive(
        t,
        port,
        `POST / HTTP/1.1\r\n${offer}Content-Length: 5\r\n\r\nhello${last}`,
      );

      assert.match(received, /^HTTP\/1\.1 200 [^]*Connection: close\r\n[^]*\r\n\r\n5$/);
    });
  });

  test('that offers another protocol than WebSocket is answered in the one it speaks', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(
      t,
      port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
    );

    assert.match(received, /^HTTP\/1\.1 200 /);
    assert.match(received, /"isUpgrade":false/);
  });

  const refused: Record<string, { head: string; status: number; code: string }> = {
    'without a Host': { head: 'GET / HTTP/1.1\r\n', status: 400, code: 'BAD_REQUEST' },
    'with two Hosts': { head: 'GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n', status: 400, code: 'BAD_REQUEST' },
    'with an empty Host': { head: 'GET / HTTP/1.1\r\nHost: \r\n', status: 400, code: 'BAD_REQUEST' },
    'with a Host longer than any name': {
      head: `GET / HTTP/1.1\r\nHost: ${'a.'.repeat(128)}\r\n`,
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with chunks twice': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with a Host that is none': { head: 'GET / HTTP/1.1\r\nHost: a/b\r\n', status: 400, code: 'BAD_REQUEST' },
    'with a dot segment': { head: 'GET /a/../b HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with an escaped dot segment': {
      head: 'GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with an escaped slash in a dot segment': {
      head: 'GET /a/..%2fb HTTP/1.1\r\nHost: a\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with an escaped null': { head: 'GET /a%00b HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with half an escape': { head: 'GET /a%2 HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with a backslash': { head: 'GET /a\\b HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with a target that is no path': { head: 'GET a HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'for a tunnel': { head: 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with length and chunks': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with a coding besides chunks': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n',
      status: 501,
      code: 'NOT_IMPLEMENTED',
    },
    'with chunks, in HTTP/1.0': {
      head: 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'of another major version': { head: 'GET / HTTP/2.0\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with two lengths': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with a signed length': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with a space before a colon': { head: 'GET / HTTP/1.1\r\nHost : a\r\n', status: 400, code: 'BAD_REQUEST' },
    'that is no HTTP': { head: '\x16\x03\x01\x02\r\n', status: 400, code: 'BAD_REQUEST' },
    'with a long URL': {
      head: `GET /${'x'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n`,
      status: 414,
      code: 'URL_TOO_LONG',
    },
    'with a URL beyond all bounds': {
      head: `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n`,
      status: 414,
      code: 'URL_TOO_LONG',
    },
    'with large fields': {
      head: `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(17_000)}\r\n`,
      status: 431,
      code: 'HEADERS_TOO_LARGE',
    },
    'with fields beyond all bounds': {
      head: `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(60_000)}\r\n`,
      status: 431,
      code: 'HEADERS_TOO_LARGE',
    },
  };
  for (const [name, { head, status, code }] of Object.entries(refused)) {
    test(`${name} is refused with ${code}`, async t => {
      let isReached = false;
      const { port, line } = await startServer(t, {
        travel: call => {
          isReached = true;
          return mirror(call);
        },
      });

      const caller = await rawCaller(t, port);
      caller.say(`${head}\r\n`);
      const received = await caller.receive(/"message":/);

      assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(codeIn(received), code);
      assert.match(received, /content-type: application\/problem\+json/i);
      assert.match(received, /X-Request-Id: /);
      assert.equal(isReached, false);
      assert.deepEqual({ status: (await line()).status, code: (await line()).code }, { status, code });
    });
  }

  test('for a tunnel, reset before the refusal is written, is no mistake of ours', async t => {
    const { port } = await startServer(t, { travel: mirror });

    for (let i = 0; i < 20; i++) {
      const caller = await rawCaller(t, port);
      caller.socket.write('CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n');
      caller.socket.resetAndDestroy();
    }

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(received, / 200 /); // and nothing was uncaught, which fails a test
  });

  test('whose head comes too slowly is refused with REQUEST_TIMEOUT', async t => {
    const { port } = await startServer(t, { listen: { headersTimeoutMs: 100 }, travel: mirror });

    const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHo');

    assert.match(received, /^HTTP\/1\.1 408 /);
    assert.equal(codeIn(received), 'REQUEST_TIMEOUT');
  });

  test('keeps others out of its connection when there are connections enough', async t => {
    const { port } = await startServer(t, { listen: { connectionsMax: 1 }, travel: mirror });
    const first = await rawCaller(t, port);

    const second = await rawCaller(t, port);

    assert.equal(await second.receiveAll(), '');
    first.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await first.receive(/^HTTP\/1\.1 200 /);
  });
});

describe('where a request comes from', () => {
  const send = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n';
  const reported =
    'X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example.org\r\n';

  test('is believed of no peer by default', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(t, port, `${send}${reported}\r\n`);

    assert.match(received, /"host":"a","scheme":"http","callerAddress":"127.0.0.1","isPeerTrusted":false/);
  });

  test('is believed of trusted proxies, up to the first stranger from the right', async t => {
    const { port } = await startServer(t, {
      listen: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] },
      travel: mirror,
    });

    const received = await sendAndReceive(t, port, `${send}${reported}\r\n`);

    assert.match(
      received,
      /"host":"api.example.org","scheme":"https","callerAddress":"203.0.113.9","isPeerTrusted":true/,
    );
  });
});

describe('a body', () => {
  test('is taken in whole, with a length or in chunks', async t => {
    const { port } = await startServer(t, { travel: readAll });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await caller.receive(/\r\n\r\n5$/);
    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    caller.say('4\r\ndefg\r\n0\r\n\r\n');
    const received = await caller.receive(/\r\n\r\n7$/);

    assert.deepEqual(received.match(/HTTP\/1\.1 \d+/g), Array(2).fill('HTTP/1.1 200'));
  });

  test('is held once while its call is in hand, though it came in pieces', async t => {
    const sent = Buffer.alloc(8 * MIB);
    const before = process.memoryUsage().arrayBuffers;
    let held = 0;
    const travel = async (call: Call) => {
      const content = await bodyOf(call, sent.length);
      await new Promise(resolve => setImmediate(resolve));
      collectGarbage();
      held = process.memoryUsage().arrayBuffers - before;
      return anAnswer(String(content.length));
    };
    const { port } = await startServer(t, { travel });
    const caller = await rawCaller(t, port);

    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${sent.length}\r\n\r\n`);
    caller.say(sent);
    await caller.receive(new RegExp(`\r\n\r\n${sent.length}$`));

    assert.ok(held < 1.5 * sent.length, `${held} bytes`);
  });

  test('too large is refused by its length, and the caller who sends it all the same hears the answer', async t => {
    const { port } = await startServer(t, { travel: call => readUpTo(call, 1_000) });
    const caller = await rawCaller(t, port);

    caller.socket.pause(); // listens only when all is said, as simple callers do
    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    await new Promise(resolve => caller.socket.write(Buffer.alloc(4 * MIB), resolve));
    caller.socket.resume();
    const received = await caller.receiveAll();

    assert.match(received, /^HTTP\/1\.1 413 /);
    assert.match(received, /Connection: close/);
    assert.equal(codeIn(received), 'BODY_TOO_LARGE');
  });

  test('too large in chunks is refused when it has become so', async t => {
    const { port } = await startServer(t, { travel: call => readUpTo(call, 1_000) });
    const caller = await rawCaller(t, port);

    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 3; i += 1) caller.say(`1f4\r\n${'x'.repeat(500)}\r\n`);

    assert.equal(codeIn(await caller.receive(/"message":/)), 'BODY_TOO_LARGE');
  });

  test('that pauses too long is refused with REQUEST_TIMEOUT', async t => {
    const { port } = await startServer(t, { listen: { bodyIdleTimeoutMs: 50 }, travel: readAll });

    const received = await sendAndReceive(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');

    assert.match(received, /^HTTP\/1\.1 408 /);
    assert.match(received, /connection: close/i);
    assert.equal(codeIn(received), 'REQUEST_TIMEOUT');
  });

  test('with a chunk that is none is refused with BAD_REQUEST', async t => {
    const { port } = await startServer(t, { travel: readAll });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    caller.say('zz\r\nabc\r\n');

    assert.equal(codeIn(await caller.receiveAll()), 'BAD_REQUEST');
  });

  for (const [name, fields, body] of [
    ['a chunk that is none', 'Transfer-Encoding: chunked', 'zz\r\nabc\r\n'],
    ['bare line feeds between its chunks', 'Transfer-Encoding: chunked', '2\nab\n0\n\n'],
    ['a coding that does not end in chunks', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
  ] as const) {
    test(`with ${name}, together with its head, is refused with BAD_REQUEST as well`, async t => {
      const { port, line } = await startServer(t, { travel: readAll });

      const received = await sendAndReceive(t, port, `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`);

      assert.equal(codeIn(received), 'BAD_REQUEST');
      assert.equal((await line()).status, 400);
    });
  }

  test('held back is called for when it is wanted, and not before', async t => {
    const gate = new EventEmitter<{ open: [] }>();
    const { port } = await startServer(t, {
      travel: async call => {
        await once(gate, 'open');
        return readAll(call);
      },
    });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    while (gate.listenerCount('open') === 0) await new Promise(resolve => setImmediate(resolve));
    assert.equal(caller.received, '');
    gate.emit('open');
    await caller.receive(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    caller.say('hello');

    await caller.receive(/\r\n\r\n5$/);
  });

  test('held back and not wanted is never called for', async t => {
    const { port } = await startServer(t, { travel: () => anAnswer('no', 403) });

    const received = await sendAndReceive(
      t,
      port,
      'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    );

    assert.match(received, /^HTTP\/1\.1 403 [^]*\r\nConnection: close\r\n/);
  });

  test('short and not wanted does not cost the connection', async t => {
    const { port } = await startServer(t, { travel: () => anAnswer('no', 403) });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    await caller.receive(/403[^]*\r\n\r\nno$/);
    caller.say('helloGET /again HTTP/1.1\r\nHost: a\r\n\r\n');

    const received = await caller.receive(/\r\n\r\nno[^]*\r\n\r\nno$/);
    assert.deepEqual(received.match(/HTTP\/1\.1 \d+/g), Array(2).fill('HTTP/1.1 403'));
  });
});

describe('an answer', () => {
  test('to HEAD has the fields of the one to GET, and no body', async t => {
    const { port, line } = await startServer(t, { travel: () => anAnswer('hello') });

    const received = await sendAndReceive(t, port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(received, /Content-Length: 5\r\n/);
    assert.match(received, /\r\n\r\n$/);
    assert.equal((await line()).bytesOut, 0);
  });

  for (const status of [204, 304]) {
    test(`with status ${status} has neither body nor length`, async t => {
      const { port } = await startServer(t, { travel: () => anAnswer('hello', status) });

      const received = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

      assert.doesNotMatch(received, /content-length|transfer-encoding/i);
      assert.match(received, /\r\n\r\n$/);
    });
  }

  test('that is a stream goes out as fast as it is read, and is reported when it is over', async t => {
    const { url, reported, line } = await startServer(t, {
      travel: () => {
        const body = Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(64 * 1024)));
        return anAnswer(body);
      },
    });

    const response = await fetch(url, { headers: { connection: 'close' } });
    assert.equal(
      reported.some(event => event.kind === 'request'),
      false,
    );
    assert.equal((await response.arrayBuffer()).byteLength, 4 * MIB);

    assert.deepEqual(
      { bytesOut: (await line()).bytesOut, code: (await line()).code },
      { bytesOut: 4 * MIB, code: null },
    );
  });

  test('that is a stream and breaks off is a cut answer, never a whole one', async t => {
    const { url, line } = await startServer(t, {
      travel: () => {
        const body = new Readable({ read: () => undefined });
        body.push('half');
        setImmediate(() => body.destroy(new Error('broke off')));
        return anAnswer(body);
      },
    });

    const response = await fetch(url, { headers: { connection: 'close' } });
    await assert.rejects(response.text());

    assert.equal((await line()).code, 'INTERNAL');
  });

  test('that is a stream keeps the length it came with, and shows to HTTP/1.0 where it is cut', async t => {
    const { port } = await startServer(t, {
      travel: call => {
        const body = new Readable({ read: () => undefined });
        body.push('half');
        setImmediate(() => (call.path === '/cut' ? body.destroy(new Error('broke off')) : body.push(null)));
        return anAnswer(body, 200, call.path === '/known' ? ['Content-Length', '4'] : []);
      },
    });

    const known = await sendAndReceive(t, port, 'GET /known HTTP/1.0\r\n\r\n');
    const whole = await sendAndReceive(t, port, 'GET /whole HTTP/1.0\r\n\r\n');
    const caller = await rawCaller(t, port);
    const failed = once(caller.socket, 'error');
    caller.say('GET /cut HTTP/1.0\r\n\r\n');

    assert.match(known, /\r\nContent-Length: 4\r\n[^]*half$/);
    assert.match(whole, /\r\n\r\nhalf$/);
    assert.doesNotMatch(whole, /chunked/i);
    assert.equal(((await failed) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
  });

  test('that its caller reads no more ends at its source', async t => {
    const body = new Readable({ read: () => undefined });
    body.push('begin');
    const { port, line } = await startServer(t, {
      travel: () => anAnswer(body),
    });
    const caller = await rawCaller(t, port);
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.receive(/begin/);

    const closed = new Promise(resolve => body.once('close', resolve));
    caller.socket.destroy();
    await closed;

    assert.equal((await line()).code, 'CALLER_GONE');
  });

  test('that is not read at all is given up', async t => {
    const { port, server } = await startServer(t, {
      listen: { bodyIdleTimeoutMs: 50 },
      travel: () => anAnswer(Buffer.alloc(64 * MIB)),
    });
    const caller = await rawCaller(t, port);

    caller.socket.pause();
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (server.inFlight === 0) await new Promise(resolve => setImmediate(resolve)); // may be over within 50 ms
    await until(() => server.inFlight === 0, 'the answer is given up');

    caller.socket.resume();
    const received = await caller.receiveAll();
    assert.ok(received.length < 64 * MIB, 'the rest was not kept for it');
  });
});

describe('a caller who hangs up', () => {
  test('ends what its call waits for, and is reported as 499', async t => {
    const reached = new EventEmitter<{ reached: [] }>();
    const { port, line, server } = await startServer(t, {
      travel: call =>
        new Promise((_, reject) => {
          call.waitsFor = { leave: reject };
          reached.emit('reached');
        }),
    });
    const caller = await rawCaller(t, port);
    const isReached = once(reached, 'reached');
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await isReached;

    caller.socket.destroy();

    assert.deepEqual(
      { status: (await line()).status, code: (await line()).code },
      { status: 499, code: 'CALLER_GONE' },
    );
    assert.equal(server.inFlight, 0);
  });
});

describe('a caller who sends requests ahead and hangs up', () => {
  test('ends what all of them wait for', async t => {
    const reached = new EventEmitter<{ all: [] }>();
    const reasons: unknown[] = [];
    let count = 0;
    const { port, server } = await startServer(t, {
      travel: call =>
        new Promise((_, reject) => {
          call.waitsFor = {
            leave(reason) {
              reasons.push(reason.code);
              reject(reason);
            },
          };
          count += 1;
          if (count === 3) reached.emit('all');
        }),
    });
    const caller = await rawCaller(t, port);
    const areReached = once(reached, 'all');
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3));
    await areReached;

    caller.socket.destroy();

    await until(() => server.inFlight === 0, 'nothing in hand');
    assert.deepEqual(reasons, ['CALLER_GONE', 'CALLER_GONE', 'CALLER_GONE']);
  });
});

describe('requests sent ahead', () => {
  const one = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

  test('beyond their bound wait until one before them is answered, and all are answered in order', async t => {
    const waiting: ((answer: Answer) => void)[] = [];
    let most = 0;
    const { port } = await startServer(t, {
      listen: { requestsPerConnectionMax: 4 },
      travel: () =>
        new Promise(resolve => {
          waiting.push(resolve);
          most = Math.max(most, waiting.length);
          setImmediate(() => waiting.shift()?.(anAnswer(`(${(answered += 1)})`)));
        }),
    });
    let answered = 0;
    const caller = await rawCaller(t, port);

    caller.say(one.repeat(5_000));
    const received = await caller.receive(/\(5000\)$/);

    assert.deepEqual(
      [...received.matchAll(/\((\d+)\)/g)].map(([, number]) => Number(number)),
      Array.from({ length: 5_000 }, (_, i) => i + 1),
    );
    assert.equal(most, 4);
  });

  test('are not late because nothing was read of them; one that stays half has its time when reading goes on', async t => {
    const gate = new EventEmitter<{ open: [] }>();
    const { port } = await startServer(t, {
      listen: { requestsPerConnectionMax: 1, headersTimeoutMs: 100 },
      travel: async call => {
        if (call.path === '/slow') await once(gate, 'open');
        return anAnswer(call.path);
      },
    });
    const caller = await rawCaller(t, port);

    // In one packet: one in flight, one that waits, at which reading stops, and half a head.
    caller.say(`${one.replace('/', '/slow')}${one.replace('/', '/next')}GET /whole HT`);
    await until(() => gate.listenerCount('open') === 1, 'the slow one waits');
    caller.say('TP/1.1\r\nHost: a\r\n\r\nGET /half HT');
    await new Promise(resolve => setTimeout(resolve, 500)); // five times what a head may take
    gate.emit('open');
    const received = await caller.receiveAll();

    assert.match(received, /\/slow[^]*\/next[^]*\/whole[^]*HTTP\/1\.1 408 /);
    assert.equal(codeIn(received), 'REQUEST_TIMEOUT');
  });

  test('are no calls in flight, however many, and cost little', async t => {
    const { port, server } = await startServer(t, { travel: () => new Promise(() => undefined) });
    const caller = await rawCaller(t, port);
    const before = process.memoryUsage().rss;

    caller.say(one.repeat(30_000));
    await until(() => server.inFlight === 32, 'the first of them in flight');
    const isTaken = await Promise.race([
      new Promise(resolve => caller.socket.write(one.repeat(300_000), () => resolve(true))),
      new Promise(resolve => setTimeout(resolve, 500, false)),
    ]);

    assert.equal(isTaken, false, 'the connection is read no further');
    assert.equal(server.inFlight, 32);
    assert.ok(process.memoryUsage().rss - before < 100 * MIB);
  });

  test('whose answers are not read wait behind them, and the connection is let go', async t => {
    let taken = 0;
    const { port, server } = await startServer(t, {
      listen: { bodyIdleTimeoutMs: 200, requestsPerConnectionMax: 4 },
      travel: () => {
        taken += 1;
        return anAnswer(Buffer.alloc(900 * 1024));
      },
    });
    const caller = await rawCaller(t, port);

    caller.socket.pause();
    caller.say(one.repeat(100));
    await until(() => taken > 2, 'some are taken');
    await until(() => server.inFlight === 0, 'the connection is let go');

    assert.ok(taken < 20, `${taken} answers of 900 KiB`);
  });

  test('lose none of their time to a slow one before them', async t => {
    const gate = new EventEmitter<{ open: [] }>();
    const { port } = await startServer(t, {
      listen: { bodyIdleTimeoutMs: 100 },
      travel: async call => {
        if (call.path === '/slow') await once(gate, 'open');
        return anAnswer(call.path);
      },
    });
    const caller = await rawCaller(t, port);

    caller.say(`${one.replace('/', '/slow')}${one.replace('/', '/next')}`);
    await until(() => gate.listenerCount('open') === 1, 'the slow one waits');
    await new Promise(resolve => setTimeout(resolve, 300)); // three times what an answer may wait to be taken
    gate.emit('open');

    const received = await caller.receive(/\/slow[^]*\/next$/);
    assert.deepEqual(received.match(/HTTP\/1\.1 \d+/g), Array(2).fill('HTTP/1.1 200'));
  });
});

describe('an interim answer', () => {
  for (const [version, expected] of [
    ['1.1', /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 /],
    ['1.0', /^HTTP\/1\.1 200 /],
  ] as const) {
    test(`goes to HTTP/${version} as that knows it`, async t => {
      const { port } = await startServer(t, {
        travel: call => {
          call.interim(103, ['Link', '</a>', 'Keep-Alive', 'x']);
          call.interim(101, []);
          return anAnswer();
        },
      });

      const received = await sendAndReceive(t, port, `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);

      assert.match(received, expected);
    });
  }
});

describe('a mistake of ours', () => {
  test('is a 500 with nothing of our insides, and the next request is none the worse', async t => {
    let count = 0;
    const { port, reported } = await startServer(t, {
      travel: () => {
        count += 1;
        if (count === 1) throw new TypeError('secret insides');
        return count === 2 ? anAnswer('x', 200, ['Bad Name', 'y']) : anAnswer('fine');
      },
    });

    const first = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const second = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const third = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.equal(codeIn(first), 'INTERNAL');
    assert.doesNotMatch(first, /insides/);
    assert.equal(second, ''); // an answer that cannot be written is none
    assert.match(third, /fine$/);
    assert.equal(reported.filter(event => event.kind === 'internal-error').length, 2);
  });
});

describe('an upgrade', () => {
  const send =
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

  test('passes through the flow, and its refusal is an answer like any other', async t => {
    const { port, server } = await startServer(t, { travel: mirror });

    const received = await sendAndReceive(t, port, send);

    assert.match(received, /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\n\{/);
    assert.match(received, /"isUpgrade":true/);
    assert.equal(server.inFlight, 0);
  });
});

describe('an end in good order', () => {
  test('refuses what is new, finishes what is in hand, and then closes', async t => {
    const gate = new EventEmitter<{ open: [] }>();
    const { server, port } = await startServer(t, {
      travel: async () => {
        await once(gate, 'open');
        return anAnswer('finished');
      },
    });
    const [working, idle] = [await rawCaller(t, port), await rawCaller(t, port)];
    working.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (gate.listenerCount('open') === 0) await new Promise(resolve => setImmediate(resolve));

    server.refuse();
    const refused = await sendAndReceive(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const closed = server.close(60_000);
    gate.emit('open');

    assert.match(await working.receiveAll(), /Connection: close\r\n[^]*finished$/);
    await closed;
    assert.equal(await idle.receiveAll(), '');
    assert.match(refused, /^HTTP\/1\.1 503 [^]*Connection: close/);
    assert.match(refused, /Retry-After: 1/);
    assert.equal(codeIn(refused), 'DRAINING');
  });

  test('waits no longer than it was told to', async t => {
    const { server, port } = await startServer(t, { travel: () => new Promise(() => undefined) });
    const caller = await rawCaller(t, port);
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (server.inFlight === 0) await new Promise(resolve => setImmediate(resolve));

    await server.close(10);

    assert.equal(await caller.receiveAll(), '');
  });

  test('says what is wrong when it cannot listen', async t => {
    const { port } = await startServer(t, { travel: mirror });

    await assert.rejects(startServer(t, { listen: { port }, travel: mirror }), { code: 'EADDRINUSE' });
  });
});
