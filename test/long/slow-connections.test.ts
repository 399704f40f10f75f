import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { listen } from '../support/node-server.ts';

const COUNT = Number(process.env['PENSTOCK_SLOW_CONNECTIONS'] ?? 5_000);
const SECONDS = Number(process.env['PENSTOCK_SLOW_SECONDS'] ?? 60);

/** Beside the answers that wait unread, which are held because their route says so. */
const BYTES_PER_CONNECTION_MAX = 48 * 1024;
const BIG_BYTES = 256 * 1024;

/** One machine also plays five thousand callers; but none may wait for one of them, which takes 20 s or more. */
const SLOWEST_MS_MAX = 15_000;
const MEDIAN_MS_MAX = 500;

interface Slow {
  /** What it says at once. */
  readonly opening: string;
  /** What it says each second, for as long as it may. */
  readonly more: string;
  readonly isReading: boolean;
}

const KINDS: readonly Slow[] = [
  { opening: '', more: '', isReading: true },
  { opening: 'GET /a HTTP/1.1\r\nHost: a\r\n', more: 'X', isReading: true },
  { opening: 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n', more: '1', isReading: true },
  { opening: 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', more: '1\r\n1\r\n', isReading: true },
  { opening: 'GET /big HTTP/1.1\r\nHost: a\r\n\r\n', more: '', isReading: false },
];

/** Holds so many connections, and opens another where one is closed. */
function holdSlow(t: TestContext, port: number) {
  const open = new Set<Socket>();
  let isOver = false;
  let closed = 0;
  const begin = (slow: Slow) => {
    if (isOver) return;
    const socket = connect({ host: '127.0.0.1', port });
    open.add(socket);
    socket
      .on('error', () => undefined)
      .on('close', () => {
        open.delete(socket);
        closed += 1;
        begin(slow);
      });
    socket.write(slow.opening);
    if (slow.isReading) socket.resume();
    else socket.pause();
    if (slow.more !== '') {
      const timer = setInterval(() => socket.writable && socket.write(slow.more), 2_000);
      socket.once('close', () => clearInterval(timer));
    }
  };
  const stop = () => {
    isOver = true;
    for (const socket of open) socket.destroy();
  };
  t.after(stop);
  return {
    begin,
    stop,
    get open() {
      return open.size;
    },
    get closed() {
      return closed;
    },
  };
}

async function startQuick(t: TestContext): Promise<string> {
  const big = Buffer.alloc(BIG_BYTES, 'x');
  const server = createServer((req, res) => void res.end(req.url === '/big' ? big : '[1]'));
  const port = await listen(t, server);
  return `http://127.0.0.1:${port}`;
}

/** How long ordinary calls take, each on a connection of its own, in ascending order. */
async function timesOf({ url }: GatewayProcess, seconds: number): Promise<number[]> {
  const untilMs = performance.now() + seconds * 1_000;
  const times: number[] = [];
  while (performance.now() < untilMs) {
    const startedMs = performance.now();
    const response = await fetch(`${url}/new`, { headers: { connection: 'close' } });
    assert.deepEqual([response.status, await response.text()], [200, '[1]']);
    times.push(performance.now() - startedMs);
    await setTimeout(50);
  }
  return times.sort((one, other) => one - other);
}

test(`${COUNT} slow connections are held, within bounds, while ordinary calls go on`, async t => {
  const origin = await startQuick(t);
  const gateway = await startGatewayProcess(t, {
    discovery: `{ static: [{ service: quick, instances: ['${origin}'] }] }`,
    listen: `port: 0, connectionsMax: ${COUNT + 200}, headersTimeout: 20s`,
    routes: 'services: { quick: { concurrency: 64 } }\nroutes: [{ id: quick, uri: lb://quick, timeout: 60s }]',
  });
  const memory = () => gateway.metric('process_resident_memory_bytes');
  const load = startLoad({
    url: gateway.url,
    connections: 4,
    restMs: 5,
    make: () => ({ method: 'GET', path: '/kept' }),
  });
  await load.more(500);
  const before = await memory();

  const slow = holdSlow(t, Number(new URL(gateway.url).port));
  for (let i = 0; i < COUNT; i += 1) {
    slow.begin(KINDS[i % KINDS.length] ?? assert.fail());
    if (i % 50 === 0) await setTimeout(10);
  }
  const times = await timesOf(gateway, SECONDS);
  const [median = 0, slowest = 0] = [times[times.length >> 1], times.at(-1)];
  const [held, during] = [slow.open, await memory()];
  const { calls, ends } = await load.stop();
  slow.stop();
  await gateway.untilIdle(60_000);

  const growth = during - before;
  t.diagnostic(
    JSON.stringify({
      held,
      cut: slow.closed,
      calls,
      medianMs: Math.round(median),
      slowestMs: Math.round(slowest),
      growthMiB: growth >> 20,
    }),
  );
  assert.ok(held > COUNT * 0.9, `${held} were held`);
  assert.deepEqual(ends, { 200: calls });
  assert.ok(slowest < SLOWEST_MS_MAX && median < MEDIAN_MS_MAX, `ordinary calls took ${median} to ${slowest} ms`);
  const allowed = COUNT * BYTES_PER_CONNECTION_MAX + (COUNT / KINDS.length) * BIG_BYTES;
  assert.ok(growth < allowed, `${growth} bytes for ${COUNT} connections, of ${allowed}`);
  assert.deepEqual(gateway.log.of('internal-error'), []);
});
