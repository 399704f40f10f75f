import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { IDENTITY, SECRET, startGatewayProcess } from '../support/gateway-process.ts';
import { INSPECT, inspect } from '../support/inspected.ts';
import { aToken, hmac } from '../support/tokens.ts';

// None of these may grow (docs/performance.md).

/** Allocated in JavaScript's heap for one plain call: with every policy, on kept connections. */
const BYTES_MAX = 20 * 1024;
/** Files of ours that it enters. */
const FILES_MAX = 44;
/** Events are emitted in one go, so long after the first: well within this. */
const EMITTED_WITHIN_MS = 50;
/** What runs for a call some milliseconds after it: whether a look at the files comes before or after that is luck. */
const AFTERWARDS = ['domain/events.ts', 'stages/observe.ts'];
/** Promises that it makes where nothing has to be waited for. */
const PROMISES_MAX = 3;

/** V8 optimises as it goes, and what it has not compiled yet allocates more: a third more after so many calls less. */
const REHEARSAL = 10_000;
const CALLS = 2_000;
/** On a busy machine V8 compiles late: so often it is measured at most, and what it allocates at last counts. */
const MEASUREMENTS = 12;

const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}',
);

/** An instance that keeps its connections and computes nothing. */
async function startQuick(t: TestContext): Promise<string> {
  const server = createServer(socket => {
    let pending = '';
    socket.on('error', () => undefined); // the gateway may leave as it likes
    socket.on('data', chunk => {
      pending += chunk.toString('latin1');
      for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
        pending = pending.slice(end + 4);
        socket.write(ANSWER);
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Calls one after the other on one connection. */
async function callAgain(socket: Socket, request: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    socket.write(request);
    let text = '';
    while (!text.endsWith('{"ok":true}')) text += String((await once(socket, 'data'))[0]);
    assert.match(text, /^HTTP\/1\.1 200 /);
  }
}

async function aWarmGateway(t: TestContext, rehearsal: number) {
  const gateway = await startGatewayProcess(t, {
    discovery: `{ static: [{ service: quick, instances: ['${await startQuick(t)}'] }] }`,
    routes: `
services:
  quick: { concurrency: 64, connection: { reuse: true }, health: { interval: 60s } }
routes:
  - id: quick
    uri: lb://quick
    predicates: ['Path=/api/quick/**', 'Method=GET,POST']
    filters: ['StripPrefix=2']
    auth: { allow: [jwt], scopes: [predict] }
    limits: [{ rate: 1000000, per: 1s, by: caller }]
`,
    more: IDENTITY,
    nodeOptions: [INSPECT],
  });
  const claims = { iss: 'penstock-dev', aud: 'penstock', sub: 'alice', scope: 'predict', exp: 4_102_444_800 };
  const token = aToken({ alg: 'HS256', typ: 'JWT' }, claims, hmac(SECRET));
  const request = `GET /api/quick/ HTTP/1.1\r\nHost: api.example.org\r\nAuthorization: Bearer ${token}\r\nAccept: */*\r\n\r\n`;
  const inspected = await inspect(gateway);
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  t.after(() => {
    socket.destroy();
    inspected.close();
  });
  await once(socket, 'connect');
  await callAgain(socket, request, rehearsal);
  return { inspected, call: (times: number) => callAgain(socket, request, times) };
}

describe('a plain call', () => {
  test(`allocates at most ${BYTES_MAX} bytes, and makes at most ${PROMISES_MAX} promises`, async t => {
    const { inspected, call } = await aWarmGateway(t, REHEARSAL);
    const allocated = () =>
      inspected.evaluate<number>("process.getBuiltinModule('v8').getHeapStatistics().total_allocated_bytes");

    let bytes = Infinity;
    for (let i = 0; i < MEASUREMENTS && bytes > BYTES_MAX; i++) {
      const before = await allocated();
      await call(CALLS);
      bytes = Math.min(bytes, ((await allocated()) - before) / CALLS);
    }

    await inspected.evaluate(`
      globalThis.promises = 0;
      const { createHook } = process.getBuiltinModule('async_hooks');
      globalThis.hook = createHook({ init: (_id, type) => { if (type === 'PROMISE') globalThis.promises += 1; } }).enable();
      0`);
    await call(100);
    const promises = (await inspected.evaluate<number>('hook.disable(); globalThis.promises')) / 100;

    t.diagnostic(`${Math.round(bytes)} bytes, ${promises} promises`);
    assert.ok(bytes <= BYTES_MAX, `${Math.round(bytes)} bytes`);
    assert.ok(promises <= PROMISES_MAX, `${promises} promises`);
  });

  test(`enters at most ${FILES_MAX} files`, async t => {
    const { inspected, call } = await aWarmGateway(t, 1_000);
    await inspected.command('Profiler.enable');
    await inspected.command('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    interface Coverage {
      readonly result: readonly {
        readonly url: string;
        readonly functions: readonly { ranges: { count: number }[] }[];
      }[];
    }
    const isEntered = ({ functions }: Coverage['result'][number]) =>
      functions.some(({ ranges }) => ranges.some(({ count }) => count > 0));
    const entered = async () => {
      const { result } = await inspected.command<Coverage>('Profiler.takePreciseCoverage');
      return new Set(result.filter(isEntered).map(({ url }) => url));
    };
    // What a timer or a check happens to enter meanwhile, it enters once and not each time.
    let each: string[] | undefined;
    for (let i = 0; i < 20; i++) {
      await setTimeout(EMITTED_WITHIN_MS); // what the call before left to be emitted is emitted by then, and not in its place
      await entered();
      await call(1);
      const now = await entered();
      each = (each ?? [...now]).filter(url => now.has(url));
    }
    const own = (each ?? []).filter(url => url.includes('/gateway/'));
    const files = own.map(url => url.slice(url.indexOf('/gateway/') + 9)).filter(file => !AFTERWARDS.includes(file));
    t.diagnostic(files.join(' '));
    assert.ok(files.length > 5 && files.length <= FILES_MAX, `${files.length} files`);
  });
});
