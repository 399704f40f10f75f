import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { holdReading } from '../../../gateway/edges/express/connection.ts';
import { chooseByPreface } from '../../../gateway/edges/http2/server.ts';
import { aCertificate } from '../../support/certificates.ts';
import { anAnswer, bodyOf, startServer, type ServerTraits } from '../../support/gateway-server.ts';
import { frameCaller, headers, head, PREFACE, settings } from '../../support/http2-frames.ts';
import { rawCaller } from '../../support/raw-caller.ts';
import { until } from '../../support/until.ts';
import { aFolder } from '../../support/folder.ts';

async function startPlain(t: TestContext, traits: Partial<ServerTraits> = {}) {
  const travel =
    traits.travel ?? (async call => anAnswer(`${call.method} ${call.path} ${(await bodyOf(call)).length}`));
  const started = await startServer(t, { ...traits, travel, listen: { h2c: true, ...traits.listen } });
  return { ...started, begin: (options = {}) => session(t, started.url, options) };
}

function session(t: TestContext, url: string, options: Parameters<typeof connect>[1] = {}): ClientHttp2Session {
  const client = connect(url, options);
  client.on('error', () => undefined);
  t.after(() => client.destroy());
  return client;
}

/** The whole answer of a stream, or why there is none. */
async function answerOf(
  stream: ClientHttp2Stream,
): Promise<{ status: unknown; headers: Record<string, unknown>; text: string }> {
  const [answered] = (await once(stream, 'response')) as [Record<string, unknown>];
  let text = '';
  for await (const piece of stream as AsyncIterable<Buffer>) text += piece.toString();
  return { status: answered[':status'], headers: answered, text };
}

describe('HTTP/2 without TLS', () => {
  test('is spoken beside HTTP/1.1, by who begins with it', async t => {
    const { url, begin } = await startPlain(t);

    const newer = await answerOf(begin().request({ ':path': '/a', ':method': 'POST' }).end('abc'));
    const older = await fetch(`${url}/a`, { method: 'POST', body: 'abc' });

    assert.deepEqual([newer.status, newer.text], [200, 'POST /a 3']);
    assert.deepEqual([older.status, await older.text()], [200, 'POST /a 3']);
  });

  test('is told from HTTP/1.1 however the first bytes are cut', async t => {
    const { port } = await startPlain(t);
    const older = await rawCaller(t, port);
    for (const piece of ['P', 'O', 'ST / HTTP/1.1\r\nHost: a\r\nContent-Len', 'gth: 1\r\n\r\n', 'x']) older.say(piece);
    const newer = await frameCaller(t, port);
    for (const byte of Buffer.concat([PREFACE, settings(), headers(1, head())])) newer.say(Buffer.from([byte]));

    assert.match(await older.receive(/POST \/ 1$/), /200 OK/);
    assert.ok(await newer.receive('answers 200 on 1'));
  });

  test('leaves HTTP/1.1 beside it to its bounds: a connection that is read no further stays so', async t => {
    let read: Socket | undefined;
    const server = createServer(({ socket }) => {
      if (read === undefined) holdReading(socket);
      read = socket;
    });
    chooseByPreface(server, { take: () => undefined, waitMs: 1_000 });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const caller = await rawCaller(t, (server.address() as AddressInfo).port);

    caller.say('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50_000));
    await until(() => read !== undefined, 'the first requests are read');
    await new Promise(resolve => setTimeout(resolve, 200));

    assert.ok((read?.bytesRead ?? 0) <= 128 * 1024, `${String(read?.bytesRead)} bytes of 1.4 million`);
  });

  test('is not spoken unless it is wanted', async t => {
    const { port } = await startServer(t, { travel: () => anAnswer() });
    const caller = await rawCaller(t, port);

    caller.say(PREFACE);

    assert.match(await caller.receiveAll(), /^HTTP\/1\.1 400 /);
  });

  test('ends a connection that does not show what it speaks', async t => {
    const { port, reported } = await startPlain(t, { listen: { headersTimeoutMs: 100 } });

    for (const said of ['', 'PRI * HT']) {
      const caller = await rawCaller(t, port);
      caller.say(said);
      assert.equal(await caller.receiveAll(), '');
    }
    const silent = await frameCaller(t, port);
    silent.say(PREFACE, settings(), headers(1, head()).subarray(0, 20));
    assert.ok(await silent.receive('goaway NO_ERROR'));
    assert.deepEqual(reported, []);
  });
});

describe('a call by HTTP/2', () => {
  test('brings its fields as HTTP/1.1 would, and HEAD gets no body', async t => {
    let fields: readonly string[] = [];
    const { begin } = await startPlain(t, {
      travel: call => {
        ({ fields } = call);
        return anAnswer('hello', 200, ['X-Twice', '1', 'X-Twice', '2', 'Set-Cookie', 'a', 'Set-Cookie', 'b']);
      },
    });

    const answer = await answerOf(
      begin().request({ ':method': 'HEAD', ':path': '/', cookie: ['a=1', 'b=2'], 'x-a': '1' }),
    );

    assert.deepEqual(fields.slice(2), ['x-a', '1', 'cookie', 'a=1; b=2']);
    assert.deepEqual([answer.text, answer.headers['content-length'], answer.headers['x-twice']], ['', '5', '1, 2']);
    assert.deepEqual(answer.headers['set-cookie'], ['a', 'b']);
  });

  test('is asked for its body where it waits for that, and hears interim answers', async t => {
    const { begin } = await startPlain(t, {
      travel: async call => {
        call.wire.interim(103, ['Link', '</a>']);
        return anAnswer(String((await bodyOf(call)).length));
      },
    });
    const stream = begin().request({ ':method': 'POST', ':path': '/', expect: '100-continue' });
    const early: unknown[] = [];
    stream.on('headers', (interim: Record<string, unknown>) => early.push(interim[':status'], interim['link']));
    stream.once('continue', () => stream.end('abc'));

    const { text } = await answerOf(stream);

    assert.equal(text, '3');
    assert.deepEqual(
      early.filter(part => part !== undefined),
      [103, '</a>', 100],
    );
  });

  test('is refused for a body that is too large before it has come, and others go on', async t => {
    const { begin } = await startPlain(t, { travel: async call => anAnswer(String((await bodyOf(call, 10)).length)) });
    const client = begin();
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    stream.write('a'.repeat(11));

    const { status, text } = await answerOf(stream);

    assert.equal(status, 413);
    assert.match(text, /BODY_TOO_LARGE/);
    assert.equal((await answerOf(client.request({ ':path': '/' }))).status, 200);
  });

  test('is over once it is answered, whatever of its body was not taken', async t => {
    const { begin, server } = await startPlain(t, {
      listen: { bodyIdleTimeoutMs: 60_000 },
      travel: async call =>
        call.path === '/none' ? { ...anAnswer(''), status: 204 } : anAnswer(String((await bodyOf(call, 10)).length)),
    });
    const client = begin();
    const [unread, tooLarge] = ['/none', '/large'].map(path => client.request({ ':method': 'POST', ':path': path }));
    unread?.write('abc');
    tooLarge?.write('a'.repeat(200_000));

    const answers = [unread, tooLarge].flatMap(stream => (stream === undefined ? [] : answerOf(stream)));

    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      [204, 413],
    );
    await until(() => server.inFlight === 0, 'nothing is in hand');
  });

  test('may be told more behind the body of its answer', async t => {
    const trailers = ['grpc-status', '0', 'Connection', 'close'];
    const { begin, server } = await startPlain(t, { travel: () => ({ ...anAnswer('abc'), trailers }) });
    const stream = begin().request({ ':method': 'POST', ':path': '/' });
    stream.write('a body that is not taken');
    const behind = once(stream, 'trailers');

    const { text } = await answerOf(stream);

    const [fields] = (await behind) as [Record<string, unknown>];
    assert.deepEqual([text, Object.entries(fields)], ['abc', [['grpc-status', '0']]]);
    await until(() => server.inFlight === 0, 'nothing is in hand');
  });

  test('that stalls within its body is refused', async t => {
    const { begin } = await startPlain(t, { listen: { bodyIdleTimeoutMs: 50 } });
    const stream = begin().request({ ':method': 'POST', ':path': '/' });
    stream.write('a');

    assert.equal((await answerOf(stream)).status, 408);
  });

  test('ends when its caller resets it', async t => {
    let hasArrived = false;
    const { begin, line, server } = await startPlain(t, {
      travel: () => {
        hasArrived = true;
        return undefined;
      },
    });
    const stream = begin().request({ ':path': '/' });
    stream.on('error', () => undefined);
    await until(() => hasArrived, 'the call');
    stream.close(constants.NGHTTP2_CANCEL);

    assert.equal((await line()).code, 'CALLER_GONE');
    await until(() => server.inFlight === 0, 'nothing in hand');
  });

  test('gets a large answer, and a poured one, whole', async t => {
    const large = Buffer.alloc(3_000_000, 'a');
    const { begin } = await startPlain(t, {
      travel: ({ path }) => {
        if (path === '/whole') return anAnswer(large);
        const body = new PassThrough();
        body.end(large);
        return anAnswer(body);
      },
    });
    const client = begin();

    for (const path of ['/whole', '/poured']) {
      assert.equal((await answerOf(client.request({ ':path': path }))).text.length, large.length, path);
    }
  });

  test('hears that an answer was cut, and not that it was whole', async t => {
    const body = new PassThrough();
    body.write('a');
    const { begin } = await startPlain(t, { travel: () => anAnswer(body) });
    const stream = begin().request({ ':path': '/' });
    await once(stream, 'data');
    const closed = once(stream, 'error');

    body.destroy(new Error('gone'));

    await closed;
    assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  });
});

describe('a connection that speaks HTTP/2', () => {
  test('of a caller that takes nothing of an answer is rid of it', async t => {
    for (const body of [Buffer.alloc(200_000), new PassThrough()]) {
      if (body instanceof PassThrough) body.end(Buffer.alloc(200_000));
      const { begin, server } = await startPlain(t, {
        listen: { bodyIdleTimeoutMs: 100 },
        travel: () => anAnswer(body),
      });
      const stream = begin().request({ ':path': '/' });
      stream.on('error', () => undefined);
      stream.pause();

      await once(stream, 'response');
      await until(() => server.inFlight === 0, 'the answer is let go of');
      await until(() => stream.closed, 'the stream is reset');

      assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
    }
  });

  test('begins no further call while too much of its answers waits', async t => {
    const begun: string[] = [];
    const { begin } = await startPlain(t, {
      listen: { bytesPerConnectionMax: 1024 },
      travel: ({ path }) => {
        begun.push(path);
        return anAnswer(path === '/large' ? Buffer.alloc(200_000) : 'small');
      },
    });
    const client = begin();
    const large = client.request({ ':path': '/large' });
    large.pause();
    await once(large, 'response');
    const small = answerOf(client.request({ ':path': '/small' }));
    const givenUp = client.request({ ':path': '/given-up' }).on('error', () => undefined);
    givenUp.close(constants.NGHTTP2_CANCEL);
    await once(givenUp, 'close');
    assert.deepEqual(begun, ['/large']);

    large.resume();

    assert.equal((await small).text, 'small');
    assert.deepEqual(begun, ['/large', '/small']);
  });

  test('has its idle time, and is told before it ends', async t => {
    const { port } = await startPlain(t, { listen: { keepAliveTimeoutMs: 50 } });
    const caller = await frameCaller(t, port);
    caller.say(PREFACE, settings(), headers(1, head()));

    assert.ok(await caller.receive('answers 200 on 1'));
    assert.ok(await caller.receive('goaway NO_ERROR'));
    assert.ok(await caller.receive('closed'));
  });

  test('ends with the calls in hand when the gateway drains', async t => {
    const answers: (() => void)[] = [];
    const { begin, server } = await startPlain(t, {
      travel: call =>
        new Promise(resolve => {
          answers.push(() => resolve(anAnswer(call.path)));
        }),
    });
    const client = begin();
    const inHand = answerOf(client.request({ ':path': '/in-hand' }));
    await until(() => answers.length === 1, 'the call');
    const reported = once(client, 'goaway');

    const closed = server.close(5_000);
    await reported;
    answers[0]?.();

    assert.equal((await inHand).text, '/in-hand');
    await closed;
  });
});

describe('HTTP/2 with TLS', () => {
  test('is agreed on in the handshake, has its host checked, and is https', async t => {
    const { cert, key } = aCertificate({ names: ['a.example.org'] });
    const folder = aFolder(t);
    const files = { cert: join(folder, 'c.pem'), key: join(folder, 'k.pem') };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    const { port } = await startServer(t, {
      listen: { tls: { ...files, more: [], hstsSeconds: 60 } },
      travel: ({ scheme, host, httpVersion }) => anAnswer(`${scheme} ${host} ${httpVersion}`),
    });
    const client = session(t, `https://a.example.org:${port}`, {
      ca: cert,
      lookup: (_n, _o, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    });

    const right = await answerOf(client.request({ ':path': '/', ':authority': 'a.example.org' }));
    const wrong = await answerOf(client.request({ ':path': '/', ':authority': 'b.example.org' }));

    assert.deepEqual([right.status, right.text], [200, 'https a.example.org 2.0']);
    assert.equal(right.headers['strict-transport-security'], 'max-age=60');
    assert.deepEqual([wrong.status, (JSON.parse(wrong.text) as { code: string }).code], [421, 'MISDIRECTED']);
    for (const [offered, agreed] of [
      [['http/1.1'], 'http/1.1'],
      [['http/1.1', 'h2'], 'h2'],
      [[], false],
    ] as const) {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: [...offered] });
      await once(socket, 'secureConnect');
      assert.equal(socket.alpnProtocol, agreed);
      socket.destroy();
    }
  });
});
