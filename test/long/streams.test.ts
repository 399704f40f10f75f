import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { beginCall } from '../support/call.ts';
import { startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { listen } from '../support/node-server.ts';

const BYTES = Number(process.env['PENSTOCK_STREAM_MIB'] ?? 1_024) * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 'x');

/** What lies between caller and instance while one of them rests: buffers of ours, and the kernel's. */
const HELD_BYTES_MAX = 32 * 1024 * 1024;
const GROWTH_BYTES_MAX = 96 * 1024 * 1024;
const REST_MS = 2_000;

/** Writes so many bytes as fast as they are taken. */
async function pour(to: ServerResponse | ReturnType<typeof request>, reported: (bytes: number) => void): Promise<void> {
  for (let left = BYTES; left > 0; left -= PIECE.length) {
    reported(PIECE.length);
    if (!to.write(PIECE)) await once(to, 'drain');
  }
  to.end();
}

/** Counts what comes, and rests for a while at the beginning. */
async function drink(from: IncomingMessage, reported: (bytes: number) => void): Promise<void> {
  from.on('data', (chunk: Buffer) => reported(chunk.length));
  from.pause();
  const ended = once(from, 'end');
  await setTimeout(REST_MS);
  from.resume();
  await ended;
}

async function startInstance(t: TestContext) {
  const counts = { poured: 0, drunk: 0 };
  const server = createServer((req, res) => {
    if (req.url === '/down') {
      res.writeHead(200, { 'Content-Length': BYTES });
      void pour(res, bytes => (counts.poured += bytes));
    } else if (req.url === '/up') {
      void drink(req, bytes => (counts.drunk += bytes)).then(() => res.end(String(counts.drunk)));
    } else res.end('pong');
  });
  const port = await listen(t, server);
  return { counts, origin: `http://127.0.0.1:${port}` };
}

async function startStreaming(t: TestContext, origin: string): Promise<GatewayProcess> {
  return startGatewayProcess(t, {
    discovery: `{ static: [{ service: big, instances: ['${origin}'] }] }`,
    routes: 'routes: [{ id: big, uri: lb://big, stream: true }]',
  });
}

/** How much memory the gateway takes at most while it goes on, beyond what it took before. */
async function growthWhile(gateway: GatewayProcess, work: Promise<unknown>): Promise<number> {
  const memory = () => gateway.metric('process_resident_memory_bytes');
  const before = await memory();
  let most = before;
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  while (!over.signal.aborted) {
    most = Math.max(most, await memory());
    await setTimeout(200);
  }
  await done;
  return most - before;
}

test('a download of 1 GiB waits for its reader, and takes no memory', async t => {
  const { counts, origin } = await startInstance(t);
  const gateway = await startStreaming(t, origin);
  const answer = await beginCall(`${gateway.url}/down`).answered;
  let bytes = 0;

  const drunk = drink(answer, more => (bytes += more));
  await setTimeout(REST_MS / 2);
  const pouredAtRest = counts.poured;
  const growth = await growthWhile(gateway, drunk);

  t.diagnostic(JSON.stringify({ pouredAtRest, growthMiB: growth >> 20 }));
  assert.equal(bytes, BYTES);
  assert.ok(pouredAtRest < HELD_BYTES_MAX, `${pouredAtRest} bytes were taken from the instance before the caller read`);
  assert.ok(growth < GROWTH_BYTES_MAX, `${growth} bytes`);
});

test('an upload of 1 GiB waits for its instance, and takes no memory', async t => {
  const { counts, origin } = await startInstance(t);
  const gateway = await startStreaming(t, origin);
  const sent = request(`${gateway.url}/up`, { method: 'POST', headers: { 'content-length': BYTES } });
  const answered = once(sent, 'response');
  let poured = 0;

  const pouring = pour(sent, more => (poured += more));
  await setTimeout(REST_MS / 2);
  const pouredAtRest = poured;
  const growth = await growthWhile(gateway, Promise.all([pouring, answered]));
  const [answer] = (await answered) as [IncomingMessage];
  const [text] = (await once(answer, 'data')) as [Buffer];

  t.diagnostic(JSON.stringify({ pouredAtRest, growthMiB: growth >> 20 }));
  assert.deepEqual([String(text), counts.drunk], [String(BYTES), BYTES]);
  assert.ok(pouredAtRest < HELD_BYTES_MAX, `${pouredAtRest} bytes were taken from the caller before the instance read`);
  assert.ok(growth < GROWTH_BYTES_MAX, `${growth} bytes`);
});
