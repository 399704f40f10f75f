import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Received, Reply } from '../../../gateway/domain/exchange.ts';
import { anAnswer, startServer } from '../../support/gateway-server.ts';
import { codeIn, rawCaller, sayAndHearOut } from '../../support/raw-caller.ts';
import { until } from '../../support/until.ts';

const MIB = 1024 * 1024;

/** Answers with what the edge made of the request. */
const mirror = (received: Received): Promise<Reply> => {
  const { id, method, path, query, host, scheme, callerAddress, isPeerTrusted, body, isUpgrade } = received;
  const seen = { id, method, path, query, host, scheme, callerAddress, isPeerTrusted, length: body.length, isUpgrade };
  return Promise.resolve(anAnswer(JSON.stringify(seen)));
};

const readAll = async (received: Received, bytesMax = MIB): Promise<Reply> =>
  anAnswer(String((await received.body.read(bytesMax, received.deadline.signal)).length));

describe('a request', () => {
  test('reaches the flow as the caller sent it', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const heard = await sayAndHearOut(
      t,
      port,
      'POST /a%20b/c?x=1&y=%20 HTTP/1.1\r\nHost: api.example.org:81\r\nX-Request-Id: abc.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    );

    assert.deepEqual(JSON.parse(heard.split('\r\n\r\n')[1] ?? ''), {
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
    assert.match(heard, /\r\nX-Request-Id: abc\.1\r\n/);
  });

  test('gets an id of ours where its own could not stand in a log', async t => {
    const { port } = await startServer(t, { travel: mirror });

    for (const bad of ['a b', 'x'.repeat(129), '"><script>', '']) {
      const heard = await sayAndHearOut(
        t,
        port,
        `GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${bad}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(heard, /\r\nX-Request-Id: [0-9a-f]{8}-[0-9a-f-]{27}\r\n/);
    }
  });

  test('in the absolute form is for the host that its target names', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const heard = await sayAndHearOut(
      t,
      port,
      'GET http://other.example.org/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );

    const { path, query, host } = JSON.parse(heard.split('\r\n\r\n')[1] ?? '') as Record<string, string>;
    assert.deepEqual({ path, query, host }, { path: '/x', query: 'y', host: 'other.example.org' });
  });

  test('that offers another protocol than WebSocket is answered in the one it speaks', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const heard = await sayAndHearOut(
      t,
      port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
    );

    assert.match(heard, /^HTTP\/1\.1 200 /);
    assert.match(heard, /"isUpgrade":false/);
  });

  const refused: Record<string, { head: string; status: number; code: string }> = {
    'without a Host': { head: 'GET / HTTP/1.1\r\n', status: 400, code: 'BAD_REQUEST' },
    'with two Hosts': { head: 'GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n', status: 400, code: 'BAD_REQUEST' },
    'with an empty Host': { head: 'GET / HTTP/1.1\r\nHost: \r\n', status: 400, code: 'BAD_REQUEST' },
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
    'for the server as a whole': { head: 'OPTIONS * HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'for a tunnel': { head: 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n', status: 400, code: 'BAD_REQUEST' },
    'with length and chunks': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n',
      status: 400,
      code: 'BAD_REQUEST',
    },
    'with a coding besides chunks': {
      head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n',
      status: 400,
      code: 'BAD_REQUEST',
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
        travel: received => {
          isReached = true;
          return mirror(received);
        },
      });

      const caller = await rawCaller(t, port);
      caller.say(`${head}\r\n`);
      const heard = await caller.hear(/"message":/);

      assert.match(heard, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(codeIn(heard), code);
      assert.match(heard, /content-type: application\/problem\+json/i);
      assert.match(heard, /X-Request-Id: /);
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

    const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(heard, / 200 /); // and nothing was uncaught, which fails a test
  });

  test('whose head comes too slowly is refused with REQUEST_TIMEOUT', async t => {
    const { port } = await startServer(t, { listen: { headersTimeoutMs: 100 }, travel: mirror });

    const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHo');

    assert.match(heard, /^HTTP\/1\.1 408 /);
    assert.equal(codeIn(heard), 'REQUEST_TIMEOUT');
  });

  test('keeps others out of its connection when there are connections enough', async t => {
    const { port } = await startServer(t, { listen: { connectionsMax: 1 }, travel: mirror });
    const first = await rawCaller(t, port);

    const second = await rawCaller(t, port);

    assert.equal(await second.hearOut(), '');
    first.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await first.hear(/^HTTP\/1\.1 200 /);
  });
});

describe('where a request comes from', () => {
  const ask = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n';
  const told =
    'X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example.org\r\n';

  test('is believed of nobody by default', async t => {
    const { port } = await startServer(t, { travel: mirror });

    const heard = await sayAndHearOut(t, port, `${ask}${told}\r\n`);

    assert.match(heard, /"host":"a","scheme":"http","callerAddress":"127.0.0.1","isPeerTrusted":false/);
  });

  test('is believed of trusted proxies, up to the first stranger from the right', async t => {
    const { port } = await startServer(t, {
      listen: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] },
      travel: mirror,
    });

    const heard = await sayAndHearOut(t, port, `${ask}${told}\r\n`);

    assert.match(heard, /"host":"api.example.org","scheme":"https","callerAddress":"203.0.113.9","isPeerTrusted":true/);
  });
});

describe('a body', () => {
  test('is taken in whole, with a length or in chunks', async t => {
    const { port } = await startServer(t, { travel: readAll });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
    await caller.hear(/\r\n\r\n5$/);
    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    caller.say('4\r\ndefg\r\n0\r\n\r\n');
    await caller.hear(/\r\n\r\n7$/);
  });

  test('too large is refused by its length, and the caller who sends it all the same hears the answer', async t => {
    const { port } = await startServer(t, { travel: received => readAll(received, 1_000) });
    const caller = await rawCaller(t, port);

    caller.socket.pause(); // listens only when all is said, as simple callers do
    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    await new Promise(resolve => caller.socket.write(Buffer.alloc(4 * MIB), resolve));
    caller.socket.resume();
    const heard = await caller.hearOut();

    assert.match(heard, /^HTTP\/1\.1 413 /);
    assert.match(heard, /Connection: close/);
    assert.equal(codeIn(heard), 'BODY_TOO_LARGE');
  });

  test('too large in chunks is refused when it has become so', async t => {
    const { port } = await startServer(t, { travel: received => readAll(received, 1_000) });
    const caller = await rawCaller(t, port);

    caller.say(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 3; i += 1) caller.say(`1f4\r\n${'x'.repeat(500)}\r\n`);

    assert.equal(codeIn(await caller.hear(/"message":/)), 'BODY_TOO_LARGE');
  });

  test('that pauses too long is refused with REQUEST_TIMEOUT', async t => {
    const { port } = await startServer(t, { listen: { bodyIdleTimeoutMs: 50 }, travel: readAll });

    const heard = await sayAndHearOut(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');

    assert.match(heard, /^HTTP\/1\.1 408 /);
    assert.match(heard, /connection: close/i);
    assert.equal(codeIn(heard), 'REQUEST_TIMEOUT');
  });

  test('with a chunk that is none is refused with BAD_REQUEST', async t => {
    const { port } = await startServer(t, { travel: readAll });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    caller.say('zz\r\nabc\r\n');

    assert.equal(codeIn(await caller.hearOut()), 'BAD_REQUEST');
  });

  for (const [name, fields, body] of [
    ['a chunk that is none', 'Transfer-Encoding: chunked', 'zz\r\nabc\r\n'],
    ['bare line feeds between its chunks', 'Transfer-Encoding: chunked', '2\nab\n0\n\n'],
    ['a coding that does not end in chunks', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
  ] as const) {
    test(`with ${name}, together with its head, is refused with BAD_REQUEST as well`, async t => {
      const { port, line } = await startServer(t, { travel: readAll });

      const heard = await sayAndHearOut(t, port, `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`);

      assert.equal(codeIn(heard), 'BAD_REQUEST');
      assert.equal((await line()).status, 400);
    });
  }

  test('held back is called for when it is wanted, and not before', async t => {
    const gate = new EventEmitter<{ open: [] }>();
    const { port } = await startServer(t, {
      travel: async received => {
        await once(gate, 'open');
        return readAll(received);
      },
    });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    while (gate.listenerCount('open') === 0) await new Promise(resolve => setImmediate(resolve));
    assert.equal(caller.heard, '');
    gate.emit('open');
    await caller.hear(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    caller.say('hello');

    await caller.hear(/\r\n\r\n5$/);
  });

  test('held back and not wanted is never called for', async t => {
    const { port } = await startServer(t, { travel: () => Promise.resolve(anAnswer('no', 403)) });

    const heard = await sayAndHearOut(
      t,
      port,
      'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    );

    assert.match(heard, /^HTTP\/1\.1 403 [^]*\r\nConnection: close\r\n/);
  });

  test('short and not wanted does not cost the connection', async t => {
    const { port } = await startServer(t, { travel: () => Promise.resolve(anAnswer('no', 403)) });
    const caller = await rawCaller(t, port);

    caller.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    await caller.hear(/403[^]*\r\n\r\nno$/);
    caller.say('helloGET /again HTTP/1.1\r\nHost: a\r\n\r\n');

    await caller.hear(/\r\n\r\nno[^]*\r\n\r\nno$/);
  });
});

describe('an answer', () => {
  test('to HEAD has the fields of the one to GET, and no body', async t => {
    const { port, line } = await startServer(t, { travel: () => Promise.resolve(anAnswer('hello')) });

    const heard = await sayAndHearOut(t, port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.match(heard, /Content-Length: 5\r\n/);
    assert.match(heard, /\r\n\r\n$/);
    assert.equal((await line()).bytesOut, 0);
  });

  for (const status of [204, 304]) {
    test(`with status ${status} has neither body nor length`, async t => {
      const { port } = await startServer(t, { travel: () => Promise.resolve(anAnswer('hello', status)) });

      const heard = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

      assert.doesNotMatch(heard, /content-length|transfer-encoding/i);
      assert.match(heard, /\r\n\r\n$/);
    });
  }

  test('that is a stream goes out as fast as it is read, and is told of when it is over', async t => {
    const { url, told, line } = await startServer(t, {
      travel: () => {
        const body = Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(64 * 1024)));
        return Promise.resolve({ kind: 'answer', status: 200, rawHeaders: [], body });
      },
    });

    const response = await fetch(url, { headers: { connection: 'close' } });
    assert.equal(
      told.some(event => event.kind === 'request'),
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
        return Promise.resolve({ kind: 'answer', status: 200, rawHeaders: [], body });
      },
    });

    const response = await fetch(url, { headers: { connection: 'close' } });
    await assert.rejects(response.text());

    assert.equal((await line()).code, 'INTERNAL');
  });

  test('that nobody reads any more ends at its source', async t => {
    const body = new Readable({ read: () => undefined });
    body.push('begin');
    const { port, line } = await startServer(t, {
      travel: () => Promise.resolve({ kind: 'answer', status: 200, rawHeaders: [], body }),
    });
    const caller = await rawCaller(t, port);
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.hear(/begin/);

    const closed = new Promise(resolve => body.once('close', resolve));
    caller.socket.destroy();
    await closed;

    assert.equal((await line()).code, 'CALLER_GONE');
  });

  test('that is not read at all is given up', async t => {
    const { port, server } = await startServer(t, {
      listen: { bodyIdleTimeoutMs: 50 },
      travel: () => Promise.resolve(anAnswer(Buffer.alloc(64 * MIB))),
    });
    const caller = await rawCaller(t, port);

    caller.socket.pause();
    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (server.inFlight === 0) await new Promise(resolve => setImmediate(resolve));
    while (server.inFlight > 0) await new Promise(resolve => setImmediate(resolve));
  });
});

describe('a caller who hangs up', () => {
  test('ends the signal, whoever waits on it, and is told of as 499', async t => {
    const reached = new EventEmitter<{ reached: [] }>();
    const { port, line, server } = await startServer(t, {
      travel: received =>
        new Promise((_, reject) => {
          const { signal } = received.deadline;
          signal.addEventListener('abort', () => reject(signal.reason as Error));
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
  test('ends the signals of all of them', async t => {
    const reached = new EventEmitter<{ all: [] }>();
    const reasons: unknown[] = [];
    let count = 0;
    const { port, server } = await startServer(t, {
      travel: ({ deadline: { signal } }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reasons.push((signal.reason as { code: unknown }).code);
            reject(signal.reason as Error);
          });
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

describe('a mistake of ours', () => {
  test('is a 500 with nothing of our insides, and the next request is none the worse', async t => {
    let count = 0;
    const { port, told } = await startServer(t, {
      travel: () => {
        count += 1;
        if (count === 1) throw new TypeError('secret insides');
        return Promise.resolve(count === 2 ? anAnswer('x', 200, ['Bad Name', 'y']) : anAnswer('fine'));
      },
    });

    const first = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const second = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const third = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    assert.equal(codeIn(first), 'INTERNAL');
    assert.doesNotMatch(first, /insides/);
    assert.equal(second, ''); // an answer that cannot be written is none
    assert.match(third, /fine$/);
    assert.equal(told.filter(event => event.kind === 'internal-error').length, 2);
  });
});

describe('an upgrade', () => {
  const ask =
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

  test('passes through the flow, and its refusal is an answer like any other', async t => {
    const { port, server } = await startServer(t, { travel: mirror });

    const heard = await sayAndHearOut(t, port, ask);

    assert.match(heard, /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\n\{/);
    assert.match(heard, /"isUpgrade":true/);
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
    const refused = await sayAndHearOut(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const closed = server.close(60_000);
    gate.emit('open');

    assert.match(await working.hearOut(), /Connection: close\r\n[^]*finished$/);
    await closed;
    assert.equal(await idle.hearOut(), '');
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

    assert.equal(await caller.hearOut(), '');
  });

  test('says what is wrong when it cannot listen', async t => {
    const { port } = await startServer(t, { travel: mirror });

    await assert.rejects(startServer(t, { listen: { port }, travel: mirror }), { code: 'EADDRINUSE' });
  });
});
