import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import {
  anEcho,
  bearer,
  MISBEHAVE,
  misbehavingRoutes,
  PATIENT_ROUTES,
  startCluster,
  type Cluster,
} from '../support/cluster.ts';
import { beginCall, call } from '../support/call.ts';
import { startLoad } from '../support/load.ts';
import { heldCalls, type PlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

interface Strike {
  readonly name: string;
  readonly strike: (r: PlumberService) => void;
  /** What ends it, while calls go on. */
  readonly mend?: (r: PlumberService) => void;
  /** How many instances are in rotation at the end. */
  readonly left: number;
}

/** What happens to an R process in the middle of its work. */
const STRIKES: readonly Strike[] = [
  {
    name: 'is stopped with SIGSTOP, and goes on later',
    strike: ({ rPid }) => process.kill(rPid, 'SIGSTOP'),
    mend: ({ rPid }) => process.kill(rPid, 'SIGCONT'),
    left: 3,
  },
  { name: 'is killed with kill -9', strike: ({ rPid }) => process.kill(rPid, 'SIGKILL'), left: 2 },
  {
    name: 'is wedged in an endless loop, until it is killed',
    strike: ({ url }) => void beginCall(`${url}/loop`),
    mend: ({ rPid }) => process.kill(rPid, 'SIGKILL'), // a call that hangs holds its permit for as long as R is there
    left: 2,
  },
];

/** They rest a little, so that it is the fault that is tried, and not the machine. */
const GENTLE = { restMs: 40 };

// One after the other, before the same instances.
test('an instance under load', { timeout: 540_000 }, async t => {
  const cluster = await startCluster(t, {
    services: [MISBEHAVE, MISBEHAVE, MISBEHAVE],
    routes: misbehavingRoutes(),
  });
  const alive = [...cluster.services];

  await t.test('is not ejected for what callers send: a fifth of all bodies is malformed', () =>
    sendMalformed(cluster),
  );
  for (const strike of STRIKES) {
    await t.test(`that ${strike.name} costs callers nothing whose calls may be repeated`, async () => {
      await strikeOne({ cluster, alive, strike });
    });
  }
  await t.test(
    'that is killed costs callers whose calls may not be repeated what it had in hand, and they are told',
    () => killOne(cluster, alive),
  );
  writeFileSync(cluster.gateway.routesFile, PATIENT_ROUTES);
  assert.equal((await cluster.gateway.reload()).status, 200);
  await t.test('that stands still for a moment, as all others do, has callers wait, and no worse', () => {
    return stopAll(cluster, alive);
  });
  for (const { rPid } of alive.splice(1)) process.kill(rPid, 'SIGKILL');
  await cluster.untilInRotation(1);
  await t.test('never hears of callers who hang up in the queue: they leave no permit, timer or socket behind', inner =>
    hangUpInTheQueue(inner, cluster, alive),
  );
});

async function sendMalformed({ gateway }: Cluster) {
  const echo = anEcho('/pure/predict');
  const load = startLoad({
    ...GENTLE,
    url: gateway.url,
    make: number => (number % 5 === 0 ? { ...echo(number), body: '[{"n":', expected: 'never 200' } : echo(number)),
  });

  await load.more(400);
  const { calls, ends } = await load.stop();

  assert.deepEqual(ends, { 200: calls - Math.floor(calls / 5), 500: Math.floor(calls / 5) });
  assert.equal(await gateway.metric('penstock_ejections_total'), 0);
  const retries = await gateway.metric('penstock_retries_total');
  const slow = await gateway.metric('penstock_retries_total', { reason: 'attempt-timeout' });
  assert.equal(retries, slow, 'nothing was repeated but what a busy machine made late');
  assert.ok((await gateway.service(MISBEHAVE)).instances.every(({ state }) => state === 'in-rotation'));
}

interface Struck {
  readonly cluster: Cluster;
  readonly alive: PlumberService[];
  readonly strike: Strike;
}

async function strikeOne({ cluster, alive, strike: { strike, mend, left } }: Struck) {
  const { gateway, untilInRotation } = cluster;
  const [victim] = alive;
  assert.ok(victim);
  const load = startLoad({ ...GENTLE, url: gateway.url, make: anEcho('/pure/predict') });
  await load.more(100);

  strike(victim);
  await load.more(300);
  await untilInRotation(2);
  mend?.(victim);
  await load.more(100);
  const { calls, ends } = await load.stop();

  assert.deepEqual(ends, { 200: calls });
  await gateway.untilIdle();
  await untilInRotation(left);
  if (left < 3) alive.splice(0, 1, await cluster.add());
}

async function killOne({ gateway, untilInRotation }: Cluster, alive: PlumberService[]) {
  const load = startLoad({ ...GENTLE, url: gateway.url, make: anEcho('/once/predict') });
  await load.more(100);

  process.kill(alive.shift()?.rPid ?? 0, 'SIGKILL');
  await load.more(200);
  await untilInRotation(2);
  const { calls, ends } = await load.stop();

  const lost = ends['502 CONNECTION_LOST'] ?? 0;
  assert.ok(lost <= 2, `${JSON.stringify(ends)}: R has one, and one that was sent ahead`);
  assert.deepEqual({ ...ends, '502 CONNECTION_LOST': lost }, { 200: calls - lost, '502 CONNECTION_LOST': lost });
}

async function stopAll({ gateway, untilInRotation }: Cluster, alive: readonly PlumberService[]) {
  const load = startLoad({ ...GENTLE, url: gateway.url, make: anEcho('/once/predict') });
  await load.more(100);

  for (const { rPid } of alive) process.kill(rPid, 'SIGSTOP');
  await until(async () => (await gateway.service(MISBEHAVE)).queue.depth >= 10, 'callers wait');
  for (const { rPid } of alive) process.kill(rPid, 'SIGCONT');
  await load.more(150);
  const { calls, ends } = await load.stop();

  assert.deepEqual(ends, { 200: calls });
  await untilInRotation(alive.length);
}

async function hangUpInTheQueue(t: TestContext, { gateway }: Cluster, [r]: readonly PlumberService[]) {
  assert.ok(r);
  const held = heldCalls(t);
  const traits = { headers: bearer('alice') };
  await gateway.call('/once/who', traits);
  await gateway.untilIdle();
  const resources = async () => ({
    sockets: await gateway.metric('nodejs_active_resources', { type: 'TCPSocketWrap' }),
    timers: await gateway.metric('nodejs_active_resources', { type: 'Timeout' }),
  });
  const before = await resources();

  const working = gateway.call(`/once${held.path}`, traits);
  await until(async () => (await gateway.service(MISBEHAVE)).permits.inUse === 1, 'R is at it');
  const gone = Array.from({ length: 200 }, () => beginCall(`${gateway.url}/once/who`, traits));
  await until(async () => (await gateway.service(MISBEHAVE)).queue.depth === 200, '200 wait');
  for (const { sent } of gone) sent.destroy();
  await until(async () => (await gateway.service(MISBEHAVE)).queue.depth === 0, 'nothing waits');
  held.release();
  assert.equal((await working).status, 200);
  await gateway.untilIdle();

  const { calls } = JSON.parse((await call(`${r.url}/who`)).text) as { calls: number };
  assert.equal(calls, 3, 'one before, the long one, and this one');
  assert.equal(await gateway.metric('penstock_refusals_total', { code: 'CALLER_GONE' }), 200);
  const after = await resources();
  // Consul and the checks have a few of each, now and then; two hundred callers would have left more.
  const isLittle = after.sockets < before.sockets + 10 && after.timers < before.timers + 10;
  assert.ok(isLittle, `${JSON.stringify(before)}, and then ${JSON.stringify(after)}`);
}
