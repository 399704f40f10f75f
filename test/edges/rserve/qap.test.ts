import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { openConnection, RserveFailure } from '../../../gateway/edges/rserve/connection.ts';
import { callCommand, QapError, ResponseReader, TooLarge, valueIn } from '../../../gateway/edges/rserve/qap.ts';
import { unixCrypt } from '../../../gateway/edges/rserve/unix-crypt.ts';
import type { RValue } from '../../../gateway/domain/rserve/r-value.ts';

const OK = 0x10001;
const GREETING = 'Rsrv0103QAP1\r\n\r\n--------------\r\n';

/** An answer as a server frames it. */
function answer(body: Buffer, { code = OK, length = body.length } = {}): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(code, 0);
  header.writeUInt32LE(length, 4);
  return Buffer.concat([header, body]);
}

/** What a call of ours carries as its value: the same bytes that a server would answer with. */
function bytesOf(value: RValue): Buffer {
  const command = callCommand('f', [value]);
  const inner = command.subarray(16 + 4 + 4 + 4 + 4); // message, parameter, call, and the symbol with its header
  const parameter = Buffer.from([10, 0, 0, 0]);
  parameter.writeUIntLE(inner.length, 1, 3);
  return Buffer.concat([parameter, inner]);
}

/** A server that is none of Rserve's: it says this, whatever it hears. */
async function startFalse(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const sockets = new Set<Socket>();
  server.on('connection', socket => sockets.add(socket));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return `rserve://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const open = (origin: string, connectTimeoutMs = 5_000) =>
  openConnection({ origin, account: { user: 'u', password: 'p' }, connectTimeoutMs, functions: '1' });

async function failureOf(opened: Promise<unknown>): Promise<string> {
  const error: unknown = await opened.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RserveFailure, String(error));
  return `${error.kind} ${error.failure.code}`;
}

describe('QAP1', () => {
  const VALUE: RValue = {
    type: 'list',
    names: ['d', 's', null],
    values: [
      { type: 'double', values: [0.1, null, NaN, -Infinity] },
      { type: 'string', values: ['ü', null, '', 'long enough for padding'] },
      { type: 'logical', values: [true, null, false] },
      { type: 'integer', values: [1, null, -2_147_483_647] },
      { type: 'raw', bytes: Buffer.from([0, 255]) },
      { type: 'null' },
      { type: 'list', values: [] },
    ],
  };

  test('carries every type there and back', () => {
    assert.deepEqual(valueIn(bytesOf(VALUE)), VALUE);
  });

  test('carries what is too long for a small header', () => {
    const long: RValue = { type: 'string', values: ['x'.repeat(0x1000000)] };
    const command = callCommand('f', [long]);
    assert.equal(command.readUInt8(16) & 64, 64);
    assert.ok(command.length > 0x1000000);
  });

  test('reads an answer in any pieces, and nothing but an answer within its bound', () => {
    const whole = answer(bytesOf(VALUE));
    const reader = new ResponseReader(1_000);
    const received = [...whole].map(byte => reader.take(Buffer.from([byte])));
    assert.deepEqual(valueIn(received.at(-1)?.body ?? Buffer.alloc(0)), VALUE);

    assert.throws(() => new ResponseReader(10).take(whole), TooLarge);
    assert.throws(() => new ResponseReader(1_000).take(answer(Buffer.alloc(0), { length: 0xffffffff })), TooLarge);
    assert.throws(() => new ResponseReader(1_000).take(Buffer.from('HTTP/1.1 400 Bad Request\r\n')), QapError);
    assert.throws(() => new ResponseReader(1_000).take(Buffer.concat([whole, Buffer.alloc(1)])), QapError);
    assert.equal(new ResponseReader(1_000).take(answer(Buffer.alloc(0), { code: 0x41010002 }))?.error, 0x41);
  });

  test('of whatever bytes makes a value or a QapError, and soon', () => {
    const bytes = bytesOf(VALUE);
    let seed = 1;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let i = 0; i < 5_000; i++) {
      const changed = Buffer.from(bytes);
      for (let j = 0; j <= random(4); j++) changed[random(changed.length)] = random(256);
      const cut = random(3) === 0 ? changed.subarray(0, random(changed.length)) : changed;
      try {
        valueIn(cut);
      } catch (error) {
        assert.ok(error instanceof QapError, String(error));
      }
    }
    let nested: RValue = { type: 'null' };
    for (let i = 0; i < 1_000; i++) nested = { type: 'list', values: [nested] };
    assert.throws(() => valueIn(bytesOf(nested)), QapError);
  });

  test('is not spoken with what does not speak it', async t => {
    for (const [says, expected] of [
      ['HTTP/1.1 400 Bad Request\r\n\r\n', 'malformed UPSTREAM_FAULT'],
      ['RsOC\0\0\0\0QAP1', 'malformed UPSTREAM_FAULT'],
      [`${GREETING}more`, 'malformed UPSTREAM_FAULT'],
      [GREETING.replace('\r\n\r\n----', 'ARuc----'), 'malformed UPSTREAM_FAULT'],
    ] as const) {
      const origin = await startFalse(t, socket => socket.write(says));
      assert.equal(await failureOf(open(origin)), expected, says);
    }
    const leaving = await startFalse(t, socket => socket.end('Rsrv'));
    assert.equal(await failureOf(open(leaving)), 'refused CONNECT_FAILED');
    const silent = await startFalse(t, () => undefined);
    assert.equal(await failureOf(open(silent, 50)), 'connect-timeout CONNECT_FAILED');
    const babbling = await startFalse(t, socket => {
      socket.write(GREETING);
      socket.on('data', () => socket.write(Buffer.alloc(16, 7)));
    });
    assert.equal(await failureOf(open(babbling)), 'malformed UPSTREAM_FAULT');
  });

  test('logs in with what crypt(3) makes of the password, where that alone is taken', async t => {
    let received = '';
    const origin = await startFalse(t, socket => {
      socket.write('Rsrv0103QAP1\r\n\r\nARucKrl ------\r\n');
      socket.on('data', chunk => {
        received += chunk.toString('latin1');
        socket.write(answer(Buffer.alloc(0)));
      });
    });

    const connection = await openConnection({
      ...{ origin, connectTimeoutMs: 5_000, functions: '1' },
      account: { user: 'rasmus', password: 'rasmuslerdorf' },
    });
    connection.destroy();

    assert.ok(received.includes('rasmus\nrl.3StKT.4T8M\0'), received);
    assert.deepEqual([unixCrypt('', './'), unixCrypt('päss wörd', 'Zz')], ['./Una9Fi.seRo', 'ZzMGIz2xZC912']);
  });
});
