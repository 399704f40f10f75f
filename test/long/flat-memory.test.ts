import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { call } from '../support/call.ts';
import { bearer, startCluster, type Cluster } from '../support/cluster.ts';
import { startLoad, type LoadCall } from '../support/load.ts';
import { freePort } from '../../gateway/setup/ports.mjs';
import { until } from '../support/until.ts';
import { inspectorAt, openLiveHeap, type LiveHeap } from './live-heap.ts';

const MINUTES = Number(process.env['PENSTOCK_SOAK_MINUTES'] ?? 30);
const SAMPLES = 60;
const SAMPLE_MS = (MINUTES * 60_000) / SAMPLES;

/** Until then code is compiled, and caches, connections and tables of callers fill up. */
const WARM_SAMPLES = SAMPLES / 3;
/** The configuration is read anew, and what is cached thrown away, each so many samples. */
const RELOAD_SAMPLES = 5;

/** Between the halves of what follows; a leak of a hundred bytes a call would be more within minutes. */
const HEAP_GROWTH_BYTES_MAX = 4 * 1024 * 1024;
const RESIDENT_GROWTH_BYTES_MAX = 32 * 1024 * 1024;
const HANDLES_GROWTH_MAX = 4;

const CONNECTIONS = 32;
const CALLERS = Array.from({ length: 500 }, (_, i) => bearer(`caller-${i}`));
const BODIES = Array.from({ length: 50 }, (_, i) => `[{"wt":${2 + i / 100},"hp":${100 + i}}]`);

/** Everything on that keeps something: a cache that soon is full, flights, batches, limits. */
function routes(generation: number): string {
  const common = `uri: 'lb://fuel', filters: ['StripPrefix=1'], auth: { allow: [jwt] }, pure: true`;
  const limit = `limits: [{ rate: ${1_000_000 + generation}, per: 1s, by: caller }]`;
  const cache = 'cache: { ttl: 2s, entriesMax: 256, bytesMax: 1MiB, staleIfError: 10s }';
  return `
services: { fuel: { queue: { depthMax: 256, waitMax: 10s } } }
routes:
  - { id: all, ${common}, predicates: ['Path=/all/**'], ${limit}, coalesce: true, ${cache}, batch: { sizeMax: 64 } }
  - { id: own, ${common}, predicates: ['Path=/own/**'], ${limit}, coalesce: true, ${cache}, varyBy: [caller] }
  - { id: batched, ${common}, predicates: ['Path=/batched/**'], ${limit}, batch: { sizeMax: 64, waitMax: 1ms } }
  - { id: plain, ${common}, predicates: ['Path=/plain/**'], ${limit}, priority: low }
`;
}

const PATHS = ['/all', '/all', '/own', '/batched', '/batched', '/batched', '/plain'] as const;

/** Every third call asks what others ask too; what R answers to that is known. */
function aCall(number: number, answers: readonly string[]): LoadCall {
  const headers = { 'content-type': 'application/json', ...CALLERS[(number * 7) % CALLERS.length] };
  const path = `${PATHS[number % PATHS.length] ?? ''}/predict`;
  if (number % 3 > 0) {
    return {
      method: 'POST',
      path,
      headers,
      body: `[{"wt":${2 + (number % 1_000_003) / 1e6},"hp":${100 + (number % 199)}}]`,
    };
  }
  const at = (number / 3) % BODIES.length;
  const [body = '', expected = ''] = [BODIES[at], answers[at]];
  return { method: 'POST', path, headers, body, expected };
}

/** What R itself answers to the common questions. */
async function answersOfR({ services: [r] }: Cluster): Promise<string[]> {
  const headers = { 'content-type': 'application/json' };
  const answers: string[] = [];
  for (const body of BODIES) {
    answers.push((await call(`${r?.url ?? ''}/predict`, { method: 'POST', headers, body })).text);
  }
  return answers;
}

interface Sizes {
  /** What is kept, without what waits to be collected. */
  readonly heap: number;
  readonly resident: number;
}

async function sizesOf({ gateway }: Cluster, heap: LiveHeap): Promise<Sizes> {
  return {
    heap: await heap.bytes(),
    resident: await gateway.metric('process_resident_memory_bytes'),
  };
}

/** A log of half an hour would be the test's own leak: of its lines only these are kept. */
function mistakesOf({ gateway }: Cluster): string[] {
  const mistakes: string[] = [];
  const { stdout } = gateway.child;
  assert.ok(stdout);
  stdout.unpipe(gateway.log.stream);
  createInterface({ input: stdout }).on('line', line => {
    if (line.includes('"event":"internal-error"')) mistakes.push(line);
  });
  return mistakes;
}

async function reload({ gateway }: Cluster, generationsMade: number): Promise<void> {
  const { generation } = (await gateway.readyz()).body.config;
  writeFileSync(gateway.routesFile, routes(generationsMade));
  await until(async () => (await gateway.readyz()).body.config.generation > generation, 'the next generation');
  const purged = await call(`${gateway.adminUrl}/api/cache/purge?route=all`, { method: 'POST' });
  assert.equal(purged.status, 200, purged.text);
}

interface Subject {
  readonly cluster: Cluster;
  readonly heap: LiveHeap;
  readonly done: () => number;
}

async function sample(t: TestContext, { cluster, heap, done }: Subject): Promise<Sizes[]> {
  const samples: Sizes[] = [];
  for (let i = 1; i <= SAMPLES; i += 1) {
    await setTimeout(SAMPLE_MS);
    if (i % RELOAD_SAMPLES === 0) await reload(cluster, i);
    const sizes = await sizesOf(cluster, heap);
    samples.push(sizes);
    const [kept, resident] = [sizes.heap, sizes.resident].map(bytes => (bytes / 2 ** 20).toFixed(1));
    t.diagnostic(`${i}: heap ${kept} MiB, resident ${resident} MiB, ${done()} calls`);
  }
  return samples;
}

/** What is in hand goes up and down: what it comes down to is what is kept. */
const floor = (sizes: readonly Sizes[], figure: keyof Sizes) => Math.min(...sizes.map(size => size[figure]));

test('memory stays flat under load with everything on, for as long as one cares to wait', async t => {
  const port = await freePort();
  process.env['NODE_OPTIONS'] = inspectorAt(port);
  const cluster = await startCluster(t, { services: ['fuel', 'fuel'], routes: routes(0) });
  const answers = await answersOfR(cluster);
  const mistakes = mistakesOf(cluster);

  const handles = () => cluster.gateway.metric('nodejs_active_resources');
  const heap = await openLiveHeap(cluster.gateway.pid, port);
  t.after(() => heap.close());
  await cluster.gateway.untilIdle();
  const handlesBefore = await handles();

  const load = startLoad({ ...{ url: cluster.gateway.url, connections: CONNECTIONS }, make: n => aCall(n, answers) });
  const samples = await sample(t, { cluster, heap, done: () => load.done });
  const { calls, ends } = await load.stop();
  await cluster.gateway.untilIdle(60_000);

  assert.deepEqual(ends, { 200: calls });
  assert.deepEqual(mistakes, []);
  const warm = samples.slice(WARM_SAMPLES);
  const [first, second] = [warm.slice(0, warm.length / 2), warm.slice(warm.length / 2)];
  const growth = (figure: keyof Sizes) => floor(second, figure) - floor(first, figure);
  t.diagnostic(`growth: heap ${growth('heap')}, resident ${growth('resident')}`);
  assert.ok(growth('heap') < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${growth('heap')} bytes`);
  assert.ok(growth('resident') < RESIDENT_GROWTH_BYTES_MAX, `the process grew by ${growth('resident')} bytes`);
  await until(async () => (await handles()) <= handlesBefore + HANDLES_GROWTH_MAX, 'no handle is left over');
});
