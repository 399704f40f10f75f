import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { test } from 'node:test';
import type { ServiceView } from '../../gateway/domain/service.ts';
import { beginCall } from '../support/call.ts';
import { anEcho, bearer, MISBEHAVE, misbehavingRoutes, startCluster, type Cluster } from '../support/cluster.ts';
import { startLoad } from '../support/load.ts';
import type { PlumberService } from '../support/plumber/serve.ts';
import { seeded } from '../support/service-at-work.ts';
import { until } from '../support/until.ts';

// `npm run chaos`: trouble drawn by lot, for two minutes, while calls go on. `npm test` runs a few seconds of it.
//
//   PENSTOCK_CHAOS_SECONDS=600 npm run chaos     for longer
//   PENSTOCK_SEED=4711 npm run chaos             the same troubles in the same order

const SECONDS = Number(process.env['PENSTOCK_CHAOS_SECONDS'] ?? 3);
const SEED = Number(process.env['PENSTOCK_SEED'] ?? 1);
const random = seeded(SEED);

/** Troubles that take longer than a short run. */
const IS_LONG = SECONDS >= 30;
const FIRST = ['kill -9', 'a wedge', 'broken answers', 'a reload'];

const MEMORY_GROWTH_BYTES_MAX = 96 * 1024 * 1024;

/** What is done to it all, and to the R processes that run. Afterwards all may be as it was. */
type Trouble = (cluster: Cluster, alive: PlumberService[]) => Promise<void>;

function oneOf(alive: readonly PlumberService[]): PlumberService {
  const r = alive[random.below(alive.length)];
  assert.ok(r);
  return r;
}

/** One R ends by this, while others run; another takes its place. */
const ending =
  (strike: (r: PlumberService, cluster: Cluster) => void): Trouble =>
  async (cluster, alive) => {
    const victim = oneOf(alive);
    alive.splice(alive.indexOf(victim), 1);
    strike(victim, cluster);
    await victim.ended;
    if (IS_LONG) alive.push(await cluster.add());
  };

async function sendAll({ gateway }: Cluster, path: string, count: number): Promise<void> {
  const headers = bearer('mallory');
  await Promise.all(Array.from({ length: count }, () => gateway.call(path, { headers })));
}

const QUICK: Readonly<Record<string, Trouble>> = {
  'kill -9': ending(({ rPid }) => void process.kill(rPid, 'SIGKILL')),
  'a wedge': async (_cluster, alive) => {
    const { rPid } = oneOf(alive);
    process.kill(rPid, 'SIGSTOP');
    await setTimeout(200 + random.below(IS_LONG ? 6_000 : 600));
    process.kill(rPid, 'SIGCONT');
  },
  'slow answers': cluster => sendAll(cluster, `/pure/sleep?ms=${random.below(300)}`, 1 + random.below(4)),
  'broken answers': cluster => sendAll(cluster, '/once/text500', 1 + random.below(6)),
  'errors of a model': cluster => sendAll(cluster, '/once/error', 1 + random.below(6)),
  'callers who leave': async ({ gateway }) => {
    const headers = bearer('mallory');
    const gone = Array.from({ length: 20 }, () => beginCall(`${gateway.url}/once/sleep?ms=20`, { headers }));
    await setTimeout(random.below(50));
    for (const { sent } of gone) sent.destroy();
  },
  'a reload': async ({ gateway }) => {
    const { generation } = (await gateway.readyz()).body.config;
    writeFileSync(gateway.routesFile, `${misbehavingRoutes()}# ${generation}\n`);
    await until(async () => (await gateway.readyz()).body.config.generation > generation, 'the next generation');
  },
  'a reload that is refused': async ({ gateway }) => {
    writeFileSync(gateway.routesFile, 'routes: [{ id: ');
    await until(async () => (await gateway.readyz()).body.config.error !== null, 'it is refused');
    writeFileSync(gateway.routesFile, misbehavingRoutes());
    await until(async () => (await gateway.readyz()).body.config.error === null, 'and mended');
  },
};

const SLOW: Readonly<Record<string, Trouble>> = {
  SIGTERM: ending(({ child }) => void child.kill('SIGTERM')),
  'a call that kills': ending(({ url }) => void beginCall(`${url}/crash`).answered.catch(() => undefined)),
  'Consul gone': async ({ consul, untilInRotation }, alive) => {
    await consul.kill();
    await setTimeout(random.below(8_000));
    await consul.start();
    await untilInRotation(alive.length);
  },
};

/** What must hold at any moment; the first thing that does not. */
function broken({ permits, instances, queue }: ServiceView): string | undefined {
  const ejected = instances.filter(({ state }) => state === 'ejected').length;
  if (ejected > Math.max(1, Math.floor(instances.length / 2))) return 'too many ejections';
  if (instances.some(({ inFlight }) => inFlight > 2)) return 'more in flight than R is to have'; // one, and one ahead
  if (permits.inUse > 2 * instances.length) return 'more permits than instances';
  return queue.depth > queue.depthMax ? 'a queue beyond its bound' : undefined;
}

function watch({ gateway }: Cluster) {
  const seen: string[] = [];
  const over = new AbortController();
  const looking = (async () => {
    while (!over.signal.aborted) {
      const view = await gateway.service(MISBEHAVE);
      const wrong = broken(view);
      if (wrong !== undefined) seen.push(`${wrong}: ${JSON.stringify(view)}`);
      await setTimeout(100);
    }
  })();
  return async () => {
    over.abort();
    await looking;
    return seen;
  };
}

/** Trouble after trouble, and how often there was each. Those of a short run come first; it starts no other R, which takes long. */
async function befall(
  cluster: Cluster,
  alive: PlumberService[],
  rest: () => Promise<void>,
): Promise<Record<string, number>> {
  const known = Object.entries(QUICK);
  const all = IS_LONG ? [...known, ...Object.entries(SLOW)] : known.filter(([name]) => name !== 'kill -9');
  const first = known.filter(([name]) => FIRST.includes(name));
  const tally: Record<string, number> = {};
  const untilMs = performance.now() + SECONDS * 1_000;
  while (first.length > 0 || performance.now() < untilMs) {
    const [name, trouble] = first.shift() ?? all[random.below(all.length)] ?? [];
    assert.ok(name !== undefined && trouble !== undefined);
    tally[name] = (tally[name] ?? 0) + 1;
    await trouble(cluster, alive);
    await rest();
  }
  return tally;
}

test(`whatever befalls it, no repeatable call is lost (${SECONDS} s, PENSTOCK_SEED=${SEED})`, async t => {
  const services = Array<string>(IS_LONG ? 4 : 2).fill(MISBEHAVE);
  const cluster = await startCluster(t, { services, routes: misbehavingRoutes(), consul: 'emptyHold: 20s' });
  const { gateway } = cluster;
  const alive = [...cluster.services];
  const [connections, restMs] = IS_LONG ? [8, 1] : [3, 5];
  const pure = startLoad({ url: gateway.url, connections, restMs, make: anEcho('/pure/predict') });
  const once = startLoad({ url: gateway.url, connections: 2, restMs: 5, make: anEcho('/once/predict') });
  await pure.more(IS_LONG ? 200 : 50);
  const memory = () => gateway.metric('process_resident_memory_bytes');
  const before = await memory();
  const stopWatching = watch(cluster);

  const tally = await befall(cluster, alive, () => pure.more(IS_LONG ? 20 : 5));
  const [repeatable, others, seen] = await Promise.all([pure.stop(), once.stop(), stopWatching()]);
  await gateway.untilIdle(60_000);

  t.diagnostic(`PENSTOCK_SEED=${SEED}: ${JSON.stringify({ troubles: tally, repeatable, others })}`);
  assert.deepEqual(
    repeatable.ends,
    { 200: repeatable.calls },
    'no repeatable call is lost, and each has its own answer',
  );
  assert.equal(others.ends['wrong answer'], undefined, 'nor is any answer another’s');
  assert.deepEqual(seen, [], 'permits, ejections and the queue keep to their bounds');
  assert.deepEqual(gateway.log.of('internal-error'), []);
  const grown = (await memory()) - before;
  assert.ok(!IS_LONG || grown < MEMORY_GROWTH_BYTES_MAX, `memory is flat, and grew by ${grown}`);
});
