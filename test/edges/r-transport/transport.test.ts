import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Clock } from '../../../gateway/domain/clock.ts';
import { Deadlines } from '../../../gateway/domain/deadlines.ts';
import type { ExchangeBounds, ExchangeEnd, UpstreamAnswer, UpstreamMessage } from '../../../gateway/domain/upstream.ts';
import { systemClock } from '../../../gateway/edges/clock.ts';
import { createTransport } from '../../../gateway/edges/r-transport/transport.ts';
import { aCertificate } from '../../support/certificates.ts';
import { collectGarbage } from '../../support/garbage.ts';
import { manualClock } from '../../support/manual-clock.ts';
import {
  answer,
  bytes,
  bytesThenEnd,
  bytesThenReset,
  deadOrigin,
  flood,
  stall,
  startUpstream,
  type Script,
  type ScriptedUpstream,
} from '../../support/scripted-upstream.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Message extends Partial<UpstreamMessage> {
  readonly origin: string;
}

/** One exchange, as a test awaits it. */
interface TestExchange {
  /** At its head for a stream, at its end for a whole one; rejects with the failure. */
  readonly answer: Promise<UpstreamAnswer>;
  readonly settled: Promise<ExchangeEnd['kind']>;
  readonly interim: { status: number; fields: string[] }[];
  readonly sentMs: number | undefined;
  readonly firstByteMs: number | undefined;
  discard(): void;
}

function aTransport(t: TestContext, clock: Clock = systemClock, quickAck: () => void = ignore) {
  const deadlines = new Deadlines(clock);
  const transport = createTransport({ clock, deadlines, quickAckOf: () => quickAck });
  t.after(() => transport.close());
  return {
    ...transport,
    deadlines,
    send: (message: Message, bounds: ExchangeBounds) => send(transport, message, bounds),
  };
}

function send(
  transport: ReturnType<typeof createTransport>,
  { origin, ...traits }: Message,
  bounds: ExchangeBounds,
): TestExchange {
  const message = { method: 'GET', target: '/', host: undefined, fields: [], body: Buffer.alloc(0), ...traits };
  const interim: { status: number; fields: string[] }[] = [];
  const { answer, head, failure, settled, settle } = promises();
  let isSent = false;
  const exchange = transport.send(origin, message, {
    bounds,
    listener: {
      onInterim: (status, fields) => void interim.push({ status, fields }),
      onStream: head,
      onEnd: end => {
        assert.ok(isSent, 'the listener is not told from within send');
        if (end.kind === 'answered') head(end.answer);
        else failure(end.failure);
        settle(end.kind);
      },
    },
  });
  isSent = true;
  return {
    answer,
    settled,
    interim,
    get sentMs() {
      return exchange.sentMs;
    },
    get firstByteMs() {
      return exchange.firstByteMs;
    },
    discard: () => exchange.discard(),
  };
}

function promises() {
  let [head, failure, settle] = [ignore, ignore, ignore] as [
    (answer: UpstreamAnswer) => void,
    (error: Error) => void,
    (kind: ExchangeEnd['kind']) => void,
  ];
  const answer = new Promise<UpstreamAnswer>((resolve, reject) => {
    head = resolve;
    failure = reject;
  });
  answer.catch(ignore); // a test may look at `settled` alone
  const settled = new Promise<ExchangeEnd['kind']>(resolve => {
    settle = resolve;
  });
  return { answer, head, failure, settled, settle };
}

function ignore(): void {
  // Awaited elsewhere, or not at all.
}

function aRequest(origin: string, traits: Partial<UpstreamMessage> = {}): Message {
  return { origin, ...traits };
}

function someBounds(traits: Partial<ExchangeBounds> = {}): ExchangeBounds {
  return { reuse: false, connectTimeoutMs: 5_000, tls: undefined, hangMsMax: 60_000, bufferBytesMax: MIB, ...traits };
}

/** The answer's body, whole. */
async function textOf(sent: TestExchange): Promise<string> {
  const { body } = await sent.answer;
  return (Buffer.isBuffer(body) ? body : await buffer(body)).toString();
}

async function failureOf(sent: TestExchange) {
  const code = await sent.answer.then(
    () => 'no failure',
    (error: unknown) => (error as { code: string }).code,
  );
  return { code, settled: await sent.settled };
}

/** No connection is open there any more. */
async function closed(upstream: ScriptedUpstream): Promise<void> {
  while (upstream.open > 0) await once(upstream.events, 'disconnection');
}

describe('what goes to an instance', () => {
  test('leaves as one piece, head and body together, with a length and nothing else of its own', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const body = Buffer.from(JSON.stringify({ x: 'y'.repeat(4_000) }));
    const request = aRequest(upstream.origin, {
      method: 'POST',
      target: '/predict?a=1',
      fields: ['X-One', '1', 'x-one', '2', 'Content-Type', 'application/json'],
      body,
    });

    await aTransport(t).send(request, someBounds()).answer;

    const [seen] = upstream.requests;
    assert.equal(seen?.pieces, 1);
    assert.equal(
      seen.head,
      `POST /predict?a=1 HTTP/1.1\r\nhost: 127.0.0.1:${upstream.port}\r\nconnection: close\r\n` +
        `X-One: 1\r\nx-one: 2\r\nContent-Type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    assert.deepEqual(seen.body, body);
  });

  test('says that a POST without content has none, and says nothing of content for a GET', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const transport = aTransport(t);

    await transport.send(aRequest(upstream.origin, { method: 'POST' }), someBounds()).answer;
    await transport.send(aRequest(upstream.origin), someBounds()).answer;

    assert.match(upstream.requests[0]?.head ?? '', /content-length: 0\r\n/);
    assert.doesNotMatch(upstream.requests[1]?.head ?? '', /content-length/i);
  });

  test('carries the host it is given instead of the address', async t => {
    const upstream = await startUpstream(t, answer('ok'));

    await aTransport(t).send(aRequest(upstream.origin, { host: 'api.example.org' }), someBounds()).answer;

    assert.match(upstream.requests[0]?.head ?? '', /^GET \/ HTTP\/1.1\r\nhost: api\.example\.org\r\n/);
  });

  test('is never two requests on one connection, unless connections are reused', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const clock = manualClock();
    const transport = aTransport(t, clock);

    for (const reuse of [false, false, false, true, true, true]) {
      await transport.send(aRequest(upstream.origin), someBounds({ reuse })).answer;
      clock.advance(1_000); // so rarely that no connection is opened ahead
    }

    assert.equal(upstream.taken, 4);
    assert.match(upstream.requests[5]?.head ?? '', /connection: keep-alive/);
  });

  test('never waits behind another request, even where connections are reused', async t => {
    const upstream = await startUpstream(t, stall);
    const transport = aTransport(t);

    transport.send(aRequest(upstream.origin), someBounds({ reuse: true }));
    transport.send(aRequest(upstream.origin), someBounds({ reuse: true }));
    while (upstream.requests.length < 2) await once(upstream.events, 'request');

    assert.equal(upstream.taken, 2);
  });

  test('is refused here, without a word of the instance, when it could not be sent as it stands', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const request = aRequest(upstream.origin, { fields: ['transfer-encoding', 'chunked'] });

    assert.throws(() => aTransport(t).send(request, someBounds()), { code: 'INTERNAL' });
    assert.equal(upstream.taken, 0);
  });
});

describe('an answer', () => {
  test('comes with its status, its fields as they were spelled, and its body', async t => {
    const upstream = await startUpstream(t, answer('[1,2]', { status: 422, fields: 'X-A: 1\r\nx-a: 2\r\n' }));

    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());

    assert.deepEqual(await sent.answer, {
      status: 422,
      fields: ['X-A', '1', 'x-a', '2', 'Content-Length', '5'],
      body: Buffer.from('[1,2]'),
    });
    assert.equal(await sent.settled, 'answered');
  });

  const framings = {
    'in chunks': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n',
    'until the end of the connection': 'HTTP/1.1 200 OK\r\n\r\nabcdef',
    'after news that are no answer yet': 'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef',
  };
  for (const [name, text] of Object.entries(framings)) {
    test(`is taken in ${name}`, async t => {
      const upstream = await startUpstream(t, bytesThenEnd(text));

      const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());

      assert.equal((await sent.answer).status, 200);
      assert.equal(await textOf(sent), 'abcdef');
    });
  }

  test('tells how long the connection and the first byte took', async t => {
    const upstream = await startUpstream(t, stall);
    const clock = manualClock();
    const sent = aTransport(t, clock).send(aRequest(upstream.origin), someBounds());
    await once(upstream.events, 'request');

    clock.advance(25);
    upstream.play(answer('ok'));
    const other = aTransport(t, clock).send(aRequest(upstream.origin), someBounds());
    await other.answer;

    assert.deepEqual([sent.sentMs, sent.firstByteMs], [0, undefined]);
    assert.deepEqual([other.sentMs, other.firstByteMs], [25, 25]);
  });

  test('is off the instance’s hands however slowly it is read, while it fits the buffer', async t => {
    const upstream = await startUpstream(t, flood(MIB));

    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: MIB }));

    assert.equal(await sent.settled, 'answered');
    const { body } = await sent.answer;
    assert.ok(Buffer.isBuffer(body));
    assert.equal(body.length, MIB);
  });

  test('flows on as it is read once it outgrows the buffer, and holds the instance until then', async t => {
    const upstream = await startUpstream(t, flood(8 * MIB));
    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: 64 * KIB }));
    const { body } = await sent.answer;
    assert.ok(body instanceof Readable);
    let isSettled = false;
    void sent.settled.then(() => {
      isSettled = true;
    });

    await setImmediate();
    assert.equal(isSettled, false);
    assert.ok(body.readableLength < MIB, 'no more is taken than there is room for');

    assert.equal((await buffer(body)).length, 8 * MIB);
    assert.equal(await sent.settled, 'answered');
  });

  test('ends when its reader leaves it, and the connection with it', async t => {
    const upstream = await startUpstream(t, flood(64 * MIB));
    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: KIB }));
    const { body } = await sent.answer;
    assert.ok(body instanceof Readable);

    body.destroy();

    assert.equal(await sent.settled, 'answered');
    if (upstream.open > 0) await once(upstream.events, 'disconnection');
    assert.equal(upstream.open, 0);
  });

  test('of an event stream comes at its head, for it need not end', async t => {
    const upstream = await startUpstream(
      t,
      bytes('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
    );

    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());
    const { body } = await sent.answer;
    assert.ok(body instanceof Readable);
    sent.discard();

    assert.equal(await sent.settled, 'answered');
  });
});

describe('an exchange that no call waits for', () => {
  test('holds the instance until it has answered, and keeps nothing of the answer', async t => {
    const upstream = await startUpstream(t, stall);
    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());
    let isSettled = false;
    void sent.settled.then(() => {
      isSettled = true;
    });
    const socket = await new Promise<Socket>(resolve => upstream.play(resolve));

    sent.discard();
    await setImmediate();
    assert.equal(isSettled, false);

    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    assert.equal(await sent.settled, 'answered');
    assert.equal(await textOf(sent), '');
  });

  test('does not take in an answer without end', async t => {
    const upstream = await startUpstream(t, flood(1024 * MIB));
    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: 64 * KIB }));

    sent.discard();

    assert.equal(await sent.settled, 'answered');
  });
});

describe('a failure', () => {
  test('to connect is told apart: nothing listens', async t => {
    const sent = aTransport(t).send(aRequest(await deadOrigin()), someBounds());

    assert.deepEqual(await failureOf(sent), { code: 'CONNECT_FAILED', settled: 'refused' });
  });

  test('to connect is told apart: no connection in time', async t => {
    const silent = createServer();
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const arrival = once(silent, 'connection');
    t.after(() => void silent.close());
    const clock = manualClock();
    const origin = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`; // the handshake never comes about

    const transport = aTransport(t, clock);
    const sent = transport.send(aRequest(origin), someBounds({ connectTimeoutMs: 1_000 }));
    const [socket] = (await arrival) as [Socket];
    socket.on('error', () => undefined).resume();
    clock.advance(999);
    assert.equal(transport.deadlines.size, 1);
    clock.advance(1);

    assert.deepEqual(await failureOf(sent), { code: 'CONNECT_FAILED', settled: 'connect-timeout' });
    assert.equal(transport.deadlines.size, 0);
  });

  const cases: Record<string, { script: Script; code: string; settled: string }> = {
    'a reset before a word': { script: bytesThenReset(''), code: 'CONNECTION_LOST', settled: 'lost' },
    'an end before a word': { script: bytesThenEnd(''), code: 'CONNECTION_LOST', settled: 'lost' },
    'a reset within the head': {
      script: bytesThenReset('HTTP/1.1 200 OK\r\nCon'),
      code: 'CONNECTION_LOST',
      settled: 'lost',
    },
    'an end within the head': {
      script: bytesThenEnd('HTTP/1.1 200 OK\r\nCon'),
      code: 'CONNECTION_LOST',
      settled: 'lost',
    },
    'an end within the body': {
      script: bytesThenEnd('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
      code: 'CONNECTION_LOST',
      settled: 'lost',
    },
    'an end within a chunk': {
      script: bytesThenEnd('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc'),
      code: 'CONNECTION_LOST',
      settled: 'lost',
    },
    'a reset within the body': {
      script: bytesThenReset('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
      code: 'CONNECTION_LOST',
      settled: 'lost',
    },
    'no HTTP at all': { script: bytes('220 smtp.example.org ESMTP\r\n'), code: 'UPSTREAM_FAULT', settled: 'malformed' },
    'a bad chunk': {
      script: bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc'),
      code: 'UPSTREAM_FAULT',
      settled: 'malformed',
    },
    'two lengths': {
      script: bytes('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'),
      code: 'UPSTREAM_FAULT',
      settled: 'malformed',
    },
    'a head without end': {
      script: bytes(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70 * KIB)}\r\n`),
      code: 'UPSTREAM_FAULT',
      settled: 'malformed',
    },
  };
  for (const [name, { script, code, settled }] of Object.entries(cases)) {
    for (const reuse of [false, true]) {
      test(`of the instance is told for what it is: ${name}${reuse ? ', on a reused connection' : ''}`, async t => {
        const upstream = await startUpstream(t, script);

        const sent = aTransport(t).send(
          aRequest(upstream.origin, { method: 'POST', body: Buffer.from('x') }),
          someBounds({ reuse }),
        );

        assert.deepEqual(await failureOf(sent), { code, settled });
      });
    }
  }

  const switches = {
    'with what it switches to': 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'without a word more': 'HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  };
  for (const [name, text] of Object.entries(switches)) {
    test(`is none where the instance switches protocols unasked, ${name}: that is its answer`, async t => {
      const upstream = await startUpstream(t, bytes(text));

      const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());

      assert.equal((await sent.answer).status, 101);
      assert.equal(await sent.settled, 'answered');
      await closed(upstream);
    });
  }

  test('within a body that is being read breaks the reading', async t => {
    const text = `HTTP/1.1 200 OK\r\nContent-Length: ${MIB}\r\n\r\n${'x'.repeat(128 * KIB)}`;
    const upstream = await startUpstream(t, bytesThenEnd(text));
    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: KIB }));
    const { body } = await sent.answer;

    await assert.rejects(buffer(body as Readable), { code: 'CONNECTION_LOST' });
    assert.equal(await sent.settled, 'lost');
  });

  test('to end within hangMsMax ends the exchange, whether or not a call still waits', async t => {
    const upstream = await startUpstream(t, stall);
    const clock = manualClock();
    const sent = aTransport(t, clock).send(aRequest(upstream.origin), someBounds({ hangMsMax: 120_000 }));
    await once(upstream.events, 'request');
    const left = once(upstream.events, 'disconnection');

    sent.discard();
    clock.advance(120_000);

    assert.deepEqual(await failureOf(sent), { code: 'ATTEMPT_TIMEOUT', settled: 'hung' });
    await left;
  });

  test('of the reader to read is not the instance’s hang', async t => {
    const upstream = await startUpstream(t, flood(8 * MIB));
    const clock = manualClock();
    const sent = aTransport(t, clock).send(aRequest(upstream.origin), someBounds({ bufferBytesMax: KIB }));
    const { body } = await sent.answer;
    await once(body as Readable, 'readable');
    await setImmediate();

    clock.advance(60_000);

    assert.equal(await sent.settled, 'answered');
    await assert.rejects(buffer(body as Readable), { code: 'ATTEMPT_TIMEOUT' });
  });

  test('of hundreds at once leaves nothing behind', async t => {
    const clock = manualClock();
    const transport = aTransport(t, clock);
    const origin = await deadOrigin();

    const exchanges = Array.from({ length: 300 }, (_, i) =>
      transport.send(aRequest(origin), someBounds({ reuse: i % 2 === 0 })),
    );
    const settled = await Promise.all(exchanges.map(sent => sent.settled));

    assert.deepEqual(new Set(settled), new Set(['refused']));
    assert.equal(transport.deadlines.size, 0);
  });
});

describe('an address where a connection broke off', () => {
  test('rests before the next is opened: a dying R still lets in what comes at once', async t => {
    const clock = manualClock();
    const upstream = await startUpstream(t, socket => socket.resetAndDestroy());
    const transport = aTransport(t, clock);
    const send = () => transport.send(aRequest(upstream.origin), someBounds());
    assert.equal(await send().settled, 'lost');

    upstream.play(answer('second'));
    const next = send();
    await setTimeout(50);
    assert.equal(upstream.taken, 1);
    clock.advance(20);

    assert.equal(await textOf(next), 'second');
  });
});

describe('a connection opened ahead', () => {
  const POST = { method: 'POST', body: Buffer.from('{"x":1}') };

  /** An instance that has answered one call and computes the second; the connection for the third is there. */
  async function inTheMiddle(t: TestContext, clock: Clock = systemClock) {
    const upstream = await startUpstream(t, answer('first'));
    const transport = aTransport(t, clock);
    const send = () => transport.send(aRequest(upstream.origin, POST), someBounds());
    await send().answer;
    const second = new Promise<Socket>(resolve => upstream.play(resolve));
    const sent = send();
    while (upstream.taken < 3) await once(upstream.events, 'connection');
    return { upstream, transport, send, sent, socket: await second };
  }

  test('is there before the call in hand is answered, has nothing written on it, and is the next call’s', async t => {
    const { upstream, send, sent, socket } = await inTheMiddle(t);
    assert.equal(upstream.requests.length, 2);

    upstream.play(answer('third'));
    answer('second')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    assert.equal(await textOf(sent), 'second');
    const third = send();

    assert.equal(await textOf(third), 'third');
    assert.deepEqual(
      upstream.requests.map(({ pieces }) => pieces),
      [1, 1, 1],
    );
    assert.equal(upstream.taken, 4); // the third call opened one for a fourth, and none for itself
  });

  test('is opened for no call that comes alone', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const clock = manualClock();
    const transport = aTransport(t, clock);

    for (let call = 0; call < 3; call++) {
      await transport.send(aRequest(upstream.origin), someBounds()).answer;
      clock.advance(1_000);
    }
    await closed(upstream);

    assert.equal(upstream.taken, 3);
  });

  test('is one for each call in hand at most', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const transport = aTransport(t, manualClock());
    await transport.send(aRequest(upstream.origin), someBounds()).answer;
    upstream.play(stall);

    const exchanges = [1, 2, 3].map(() => transport.send(aRequest(upstream.origin), someBounds()));
    while (upstream.requests.length < 4) await once(upstream.events, 'request');
    while (upstream.open < 6) await once(upstream.events, 'connection');
    await setImmediate();

    assert.deepEqual([exchanges.length, upstream.open], [3, 6]);
  });

  test('is closed where no call needs it', async t => {
    const clock = manualClock();
    const { upstream, transport, sent, socket } = await inTheMiddle(t, clock);
    answer('second')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    await sent.settled;
    assert.equal(transport.deadlines.size, 1);

    clock.advance(1_000);

    await closed(upstream);
    assert.equal(transport.deadlines.size, 0);
  });

  test('is passed over when the instance has ended it', async t => {
    const { upstream, send, sent, socket } = await inTheMiddle(t);
    answer('second')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    await sent.answer;

    upstream.play(answer('third'));
    upstream.hangUp();
    await closed(upstream);

    assert.equal(await textOf(send()), 'third');
    assert.equal(upstream.requests.length, 3);
  });

  test('is passed over when the instance has ended it, though its end was not read yet', async t => {
    const { upstream, send, sent, socket } = await inTheMiddle(t);
    answer('second')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    await sent.answer;

    upstream.play(answer('third'));
    await setTimeout(1); // in a timer's turn: what has come by now is read before the turn is over
    upstream.hangUp();
    const third = send();

    assert.equal(await textOf(third), 'third');
    assert.equal(upstream.requests.length, 3);
  });

  test('that takes nothing any more costs a call one of its own, and nothing else', async t => {
    const { upstream, send, sent, socket } = await inTheMiddle(t);
    const third = new Promise<TestExchange>(resolve => {
      // Within one turn of the event loop, so that the gateway's side cannot have heard of it.
      upstream.play(() => {
        upstream.reset();
        resolve(send());
        upstream.play(answer('third'));
      });
    });
    const other = aTransport(t).send(aRequest(upstream.origin), someBounds());

    assert.equal(await textOf(await third), 'third');
    assert.equal(upstream.requests.at(-1)?.body.toString(), '{"x":1}');
    assert.deepEqual([socket.destroyed, await sent.settled, await other.settled], [true, 'lost', 'lost']);
  });

  test('goes with the call that is lost: the call after it is told that nothing listens', async t => {
    const { upstream, send, sent } = await inTheMiddle(t);

    void upstream.stop();

    assert.equal(await sent.settled, 'lost');
    assert.deepEqual(await failureOf(send()), { code: 'CONNECT_FAILED', settled: 'refused' });
  });

  test('goes with a call that broke, though it looks sound itself', async t => {
    const { upstream, sent, socket } = await inTheMiddle(t, manualClock());

    socket.resetAndDestroy();

    assert.equal(await sent.settled, 'lost');
    await closed(upstream);
  });

  test('goes with its address, and with everything', async t => {
    const one = await inTheMiddle(t);
    const other = await inTheMiddle(t);
    answer('second')(one.socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    await one.sent.answer;

    one.transport.forget(one.upstream.origin);
    await closed(one.upstream);
    await other.transport.close();
    await closed(other.upstream);

    assert.deepEqual([one.upstream.open, other.upstream.open], [0, 0]);
  });
});

describe('a kept connection', () => {
  const KEPT = someBounds({ reuse: true });
  const AUTO = someBounds({ reuse: 'auto' });

  test('is an R’s as well where acknowledgements are made quick, after each write', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    let times = 0;
    const transport = aTransport(t, systemClock, () => (times += 1));

    for (let call = 0; call < 5; call += 1) await transport.send(aRequest(upstream.origin), AUTO).answer;

    assert.deepEqual([upstream.taken, times, transport.modeOf(upstream.origin)], [1, 5, 'kept']);
  });

  test('is no R’s where they cannot be', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const clock = manualClock();
    const transport = createTransport({ clock, deadlines: new Deadlines(clock), quickAckOf: () => undefined });
    t.after(() => transport.close());

    for (let call = 0; call < 3; call += 1) await send(transport, aRequest(upstream.origin), AUTO).settled;

    assert.equal(transport.modeOf(upstream.origin), 'fresh');
    assert.match(upstream.requests[2]?.head ?? '', /connection: close/);
  });

  test('is no R’s any more where two answers in a row had their end 40 ms after their beginning', async t => {
    const clock = manualClock();
    const upstream = await startUpstream(t, stall);
    const transport = aTransport(t, clock);
    const sendOne = async (lateMs: number) => {
      const socket = new Promise<Socket>(resolve => upstream.play(resolve));
      const sent = transport.send(aRequest(upstream.origin), AUTO);
      (await socket).write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n');
      while (sent.firstByteMs === undefined) await setImmediate();
      clock.advance(lateMs);
      (await socket).write('ok');
      await sent.answer;
    };

    for (const lateMs of [40, 40, 0, 40]) await sendOne(lateMs); // the first is on a connection of its own
    assert.equal(transport.modeOf(upstream.origin), 'kept');
    await sendOne(40);

    assert.equal(transport.modeOf(upstream.origin), 'fresh');
    assert.equal(upstream.taken, 1);
    await sendOne(0);
    assert.equal(transport.modeOf(upstream.origin), 'fresh');
    assert.equal(upstream.taken, 2);
  });

  test('is no R’s any more where it closes them after each answer', async t => {
    const upstream = await startUpstream(t, answer('ok', { fields: 'Connection: close\r\n' }));
    const transport = aTransport(t, manualClock());

    for (let call = 0; call < 3; call += 1) await transport.send(aRequest(upstream.origin), AUTO).answer;

    assert.equal(transport.modeOf(upstream.origin), 'fresh');
  });

  test('is not the next call’s when something came behind the answer', async t => {
    const upstream = await startUpstream(t, bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n'));
    const transport = aTransport(t);

    await transport.send(aRequest(upstream.origin), KEPT).answer;
    upstream.play(answer('second'));
    const second = transport.send(aRequest(upstream.origin), KEPT);

    assert.equal(await textOf(second), 'second');
    assert.equal(upstream.taken, 2);
  });

  test('is closed when something comes that was not asked for', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const transport = aTransport(t);
    const socket = new Promise<Socket>(resolve =>
      upstream.play((one, request) => {
        answer('ok')(one, request);
        resolve(one);
      }),
    );
    await transport.send(aRequest(upstream.origin), KEPT).answer;

    (await socket).write('HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n');
    await closed(upstream);

    assert.equal(await textOf(transport.send(aRequest(upstream.origin), KEPT)), 'ok');
    assert.equal(upstream.taken, 2);
  });

  test('survives an answer without content that tells a length', async t => {
    const upstream = await startUpstream(t, bytes('HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n'));
    const transport = aTransport(t);

    for (let call = 0; call < 3; call += 1) await transport.send(aRequest(upstream.origin), KEPT).answer;

    assert.equal(upstream.taken, 1);
  });

  test('is closed when it was idle for long, or for as long as the other side says', async t => {
    for (const { fields, afterMs } of [
      { fields: '', afterMs: 4_000 },
      { fields: 'Keep-Alive: timeout=2\r\n', afterMs: 1_000 },
    ]) {
      const clock = manualClock();
      const upstream = await startUpstream(t, answer('ok', { fields }));
      const transport = aTransport(t, clock);
      await transport.send(aRequest(upstream.origin), KEPT).answer;

      clock.advance(afterMs - 1);
      assert.equal(transport.deadlines.size, 1);
      clock.advance(6);

      await closed(upstream);
    }
  });

  test('keeps nothing of what it carried while it is idle', async t => {
    const upstream = await startUpstream(t, answer('ok'));
    const transport = aTransport(t);
    const carry = async () => {
      const body = Buffer.alloc(MIB);
      await transport.send(aRequest(upstream.origin, { method: 'POST', body }), KEPT).answer;
      return new WeakRef(body);
    };

    const carried = await carry();
    await setImmediate();
    collectGarbage();

    assert.equal(upstream.open, 1);
    assert.ok(carried.deref() === undefined, 'its body'); // of a MiB no difference is shown
  });

  test('that the other side has ended is passed over', async t => {
    const upstream = await startUpstream(t, answer('first'));
    const transport = aTransport(t);
    await transport.send(aRequest(upstream.origin), KEPT).answer;
    upstream.play(answer('second'));

    await setTimeout(1); // in a timer's turn: what has come by now is read before the turn is over
    upstream.hangUp();
    const second = transport.send(aRequest(upstream.origin, { method: 'POST' }), KEPT);

    assert.equal(await textOf(second), 'second');
    assert.equal(upstream.requests.length, 2);
  });

  test('that takes nothing any more costs a call one of its own, though it must not be repeated', async t => {
    const upstream = await startUpstream(t, answer('first'));
    const transport = aTransport(t);
    await transport.send(aRequest(upstream.origin), KEPT).answer;
    const second = new Promise<TestExchange>(resolve => {
      // Within one turn of the event loop, so that the gateway's side cannot have heard of it.
      upstream.play(() => {
        upstream.reset();
        resolve(transport.send(aRequest(upstream.origin, { method: 'POST' }), KEPT));
        upstream.play(answer('second'));
      });
    });
    const other = aTransport(t).send(aRequest(upstream.origin), someBounds());

    assert.equal(await textOf(await second), 'second');
    assert.deepEqual([await other.settled, upstream.requests.length], ['lost', 3]);
  });

  test('that ends with a request on it and no answer is a loss: it may have been acted on', async t => {
    const upstream = await startUpstream(t, answer('first'));
    const transport = aTransport(t);
    await transport.send(aRequest(upstream.origin), KEPT).answer;
    upstream.play(socket => socket.end());

    const second = transport.send(aRequest(upstream.origin, { method: 'POST' }), KEPT);

    assert.deepEqual(await failureOf(second), { code: 'CONNECTION_LOST', settled: 'lost' });
    assert.equal(upstream.requests.length, 2);
  });
});

describe('interim answers', () => {
  test('are told as they come, but for 100', async t => {
    const text =
      'HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const upstream = await startUpstream(t, bytes(text));

    const sent = aTransport(t).send(aRequest(upstream.origin), someBounds());

    assert.equal(await textOf(sent), 'ok');
    assert.deepEqual(sent.interim, [{ status: 103, fields: ['Link', '</a>'] }]);
  });
});

describe('a streamed answer', () => {
  test('has its length among its fields, and its connection is kept once it is read', async t => {
    const upstream = await startUpstream(t, flood(MIB));
    const transport = aTransport(t);
    const bounds = someBounds({ reuse: true, bufferBytesMax: KIB });

    const { fields, body } = await transport.send(aRequest(upstream.origin), bounds).answer;
    assert.deepEqual(fields, ['Content-Length', `${MIB}`]);
    assert.equal((await buffer(body as Readable)).length, MIB);
    upstream.play(answer('second'));

    assert.equal(await textOf(transport.send(aRequest(upstream.origin), bounds)), 'second');
    assert.equal(upstream.taken, 1);
  });
});

describe('a request that would be two', () => {
  const cases: Record<string, Partial<UpstreamMessage>> = {
    'by its target': { target: '/ HTTP/1.1\r\nX: y' },
    'by its method': { method: 'GET / HTTP/1.1\r\n\r\nGET' },
    'by its host': { host: 'a\r\nX: y' },
    'by a value': { fields: ['A', 'b\r\n\r\nGET / HTTP/1.1'] },
    'by a value that becomes it in latin1': { fields: ['A', 'b\u010d\u010ac'] },
    'by a NUL': { fields: ['A', 'b\0c'] },
    'by a name': { fields: ['A: b\r\nC', 'd'] },
    'by a length of its own': { fields: ['Content-Length', '0'] },
    'by a coding': { fields: ['transfer-encoding', 'chunked'] },
  };
  for (const [name, traits] of Object.entries(cases)) {
    test(`is never sent: ${name}`, async t => {
      const upstream = await startUpstream(t, answer('ok'));
      const transport = aTransport(t);

      assert.throws(() => transport.send(aRequest(upstream.origin, traits), someBounds()), { code: 'INTERNAL' });
      assert.equal(upstream.taken, 0);
    });
  }
});

describe('an https origin', () => {
  const certificate = aCertificate({ isAuthority: true });

  async function startTls(t: TestContext) {
    const names: (string | false | null)[] = [];
    const server = createTlsServer(certificate, socket => {
      names.push(socket.servername);
      socket.on('error', () => undefined);
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => void server.close());
    return { port: (server.address() as AddressInfo).port, names };
  }

  function trust(t: TestContext): void {
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, certificate.cert]);
    t.after(() => setDefaultCACertificates(before));
  }

  test('is verified under its own name, whatever the request says of its host, and its connection is kept', async t => {
    trust(t);
    const { port, names } = await startTls(t);
    const transport = aTransport(t);

    for (let call = 0; call < 3; call += 1) {
      const request = aRequest(`https://localhost:${port}`, { host: 'api.example.org' });
      assert.equal(await textOf(transport.send(request, someBounds({ reuse: true }))), 'ok');
    }

    assert.deepEqual(names, ['localhost']);
  });

  const faults: Record<string, { readonly name: string; readonly isTrusted: boolean }> = {
    'of an authority that is not known': { name: 'localhost', isTrusted: false },
    'that names another host': { name: '127.0.0.1', isTrusted: true },
  };
  for (const [fault, { name, isTrusted }] of Object.entries(faults)) {
    test(`is not trusted with a certificate ${fault}, and no fault of the instance’s`, async t => {
      if (isTrusted) trust(t);
      const { port } = await startTls(t);

      const sent = aTransport(t).send(aRequest(`https://${name}:${port}`), someBounds());

      assert.deepEqual(await failureOf(sent), { code: 'UPSTREAM_UNTRUSTED', settled: 'untrusted' });
      await assert.rejects(sent.answer, /certificate/);
    });
  }
});

describe('letting go', () => {
  test('of an origin lets what is under way end by itself, and begins anew when asked again', async t => {
    const upstream = await startUpstream(t, stall);
    const transport = aTransport(t);
    const sent = transport.send(aRequest(upstream.origin), someBounds({ reuse: true }));
    const socket = await new Promise<Socket>(resolve => upstream.play(resolve));

    transport.forget(upstream.origin);
    answer('late')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });

    assert.equal(await textOf(sent), 'late');
    upstream.play(answer('anew'));
    const again = transport.send(aRequest(upstream.origin), someBounds({ reuse: true }));
    assert.equal(await textOf(again), 'anew');
    assert.equal(upstream.taken, 2);
  });

  test('of everything breaks off what is under way, and takes nothing new', async t => {
    const upstream = await startUpstream(t, stall);
    const transport = aTransport(t);
    const sent = transport.send(aRequest(upstream.origin), someBounds());
    await once(upstream.events, 'request');

    await transport.close();

    assert.deepEqual(await failureOf(sent), { code: 'CONNECTION_LOST', settled: 'abandoned' });
    const late = transport.send(aRequest(upstream.origin), someBounds());
    assert.deepEqual(await failureOf(late), { code: 'CONNECT_FAILED', settled: 'abandoned' });
    assert.equal(upstream.requests.length, 1);
  });
});
