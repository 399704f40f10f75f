import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { beginCall } from '../support/call.ts';
import { anEcho, bearer, MISBEHAVE, misbehavingRoutes, startCluster, type Cluster } from '../support/cluster.ts';
import { startLoad } from '../support/load.ts';
import type { PlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const ROUNDS = Number(process.env['PENSTOCK_SOAK_ROUNDS'] ?? 12);

/** What may grow while nothing is lost: memory that is not yet collected, and a socket or two on the way out. */
const MEMORY_GROWTH_BYTES_MAX = 64 * 1024 * 1024;
const HANDLES_GROWTH_MAX = 4;

/** An R in an endless loop holds its permit until Consul drops it: a minute after its check failed, and at the next sweep. */
const IDLE_MS_MAX = 180_000;

type Trouble = (cluster: Cluster, alive: PlumberService[]) => Promise<void>;

/** One R is replaced by a new one, after this was done to it. */
const replacing =
  (strike: (r: PlumberService) => void): Trouble =>
  async (cluster, alive) => {
    alive.push(await cluster.add());
    const victim = alive.shift();
    assert.ok(victim);
    strike(victim);
    await cluster.untilInRotation(3);
  };

const TROUBLES: Readonly<Record<string, Trouble>> = {
  'kill -9': replacing(({ rPid }) => process.kill(rPid, 'SIGKILL')),
  SIGTERM: replacing(({ child }) => void child.kill('SIGTERM')),
  'an endless loop': replacing(({ url }) => void beginCall(`${url}/loop`)),
  'SIGSTOP and SIGCONT': async ({ untilInRotation }, [r]) => {
    assert.ok(r);
    process.kill(r.rPid, 'SIGSTOP');
    await untilInRotation(2);
    process.kill(r.rPid, 'SIGCONT');
    await untilInRotation(3);
  },
  'Consul, back empty': async ({ consul, gateway, untilInRotation }) => {
    await consul.kill();
    await until(
      async () => (await gateway.readyz()).body.roster['consul']?.stale === true,
      'the roster is stale',
      60_000,
    );
    await consul.start();
    await until(async () => (await gateway.readyz()).body.roster['consul']?.stale === false, 'it is fresh', 120_000);
    await untilInRotation(3);
  },
  'callers who leave': async ({ gateway }) => {
    const gone = Array.from({ length: 100 }, () =>
      beginCall(`${gateway.url}/once/sleep?ms=50`, { headers: bearer('mallory') }),
    );
    await until(async () => (await gateway.service(MISBEHAVE)).queue.depth > 50, 'they wait');
    for (const { sent } of gone) sent.destroy();
  },
  'a reload': async ({ gateway }) => {
    const { generation } = (await gateway.readyz()).body.config;
    writeFileSync(gateway.routesFile, `${misbehavingRoutes()}# ${generation}\n`);
    await until(async () => (await gateway.readyz()).body.config.generation > generation, 'the next generation');
  },
};

test('hours of trouble in minutes: no repeatable call is lost, and nothing grows', async t => {
  const cluster = await startCluster(t, {
    services: [MISBEHAVE, MISBEHAVE, MISBEHAVE],
    routes: misbehavingRoutes(),
    consul: 'emptyHold: 20s',
  });
  const { gateway } = cluster;
  const alive = [...cluster.services];
  const sizes = async () => {
    await gateway.untilIdle(IDLE_MS_MAX);
    return {
      memory: await gateway.metric('process_resident_memory_bytes'),
      handles: await gateway.metric('nodejs_active_resources'),
    };
  };

  let before = await sizes();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const load = startLoad({ url: gateway.url, make: anEcho('/pure/predict') });
    for (const [name, make] of Object.entries(TROUBLES)) {
      await load.more(100);
      await make(cluster, alive);
      t.diagnostic(`round ${round}: ${name} after ${load.done} calls`);
    }
    const { calls, ends } = await load.stop();
    assert.deepEqual(ends, { 200: calls }, `round ${round}`);
    if (round === 1) before = await sizes(); // warm by now
  }
  const after = await sizes();

  assert.ok(after.memory - before.memory < MEMORY_GROWTH_BYTES_MAX, JSON.stringify({ before, after }));
  const handlesMax = before.handles + HANDLES_GROWTH_MAX;
  await until(async () => (await sizes()).handles <= handlesMax, `no more than ${handlesMax} handles`); // kept ones close
  assert.deepEqual(gateway.log.of('internal-error'), []);
});
