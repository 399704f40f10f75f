import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { anEcho, bearer, MISBEHAVE, misbehavingRoutes, PATIENT_ROUTES, startCluster } from '../support/cluster.ts';
import { beginCall, call } from '../support/call.ts';
import { startLoad } from '../support/load.ts';
import { heldCalls, type PlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const startThree = (t: TestContext, routes = misbehavingRoutes()) =>
  startCluster(t, { services: [MISBEHAVE, MISBEHAVE, MISBEHAVE], routes });

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
  { name: 'is killed with kill -9', strike: ({ rPid }) => process.kill(rPid, 'SIGKILL'), left: 2 },
  {
    name: 'is stopped with SIGSTOP, and goes on later',
    strike: ({ rPid }) => process.kill(rPid, 'SIGSTOP'),
    mend: ({ rPid }) => process.kill(rPid, 'SIGCONT'),
    left: 3,
  },
  {
    name: 'is wedged in an endless loop, until it is killed',
    strike: ({ url }) => void beginCall(`${url}/loop`),
    mend: ({ rPid }) => process.kill(rPid, 'SIGKILL'), // a call that hangs holds its permit for as long as R is there
    left: 2,
  },
];

describe('calls that may be repeated lose nothing under load while an instance', () => {
  for (const { name, strike, mend, left } of STRIKES) {
    test(name, async t => {
      const { gateway, services, untilInRotation } = await startThree(t);
      const [victim] = services;
      assert.ok(victim);
      const load = startLoad({ url: gateway.url, make: anEcho('/pure/predict') });
      await load.more(200);

      strike(victim);
      await load.more(600);
      await untilInRotation(2);
      mend?.(victim);
      await load.more(200);
      const { calls, ends } = await load.stop();

      assert.deepEqual(ends, { 200: calls });
      await gateway.untilIdle();
      await untilInRotation(left);
    });
  }
});

describe('calls that may not be repeated', () => {
  test('lose at most the one that a killed R had in hand, and say so', async t => {
    const { gateway, services, untilInRotation } = await startThree(t);
    const load = startLoad({ url: gateway.url, make: anEcho('/once/predict') });
    await load.more(200);

    process.kill(services[0]?.rPid ?? 0, 'SIGKILL');
    await load.more(400);
    await untilInRotation(2);
    const { calls, ends } = await load.stop();

    const lost = ends['502 CONNECTION_LOST'] ?? 0;
    assert.ok(lost <= 1, JSON.stringify(ends));
    assert.deepEqual({ ...ends, '502 CONNECTION_LOST': lost }, { 200: calls - lost, '502 CONNECTION_LOST': lost });
  });

  test('fare no worse than that they wait when all of R stands still for a moment', async t => {
    const { gateway, services, untilInRotation } = await startThree(t, PATIENT_ROUTES);
    const load = startLoad({ url: gateway.url, make: anEcho('/once/predict') });
    await load.more(200);

    for (const { rPid } of services) process.kill(rPid, 'SIGSTOP');
    await until(async () => (await gateway.service(MISBEHAVE)).queue.depth >= 10, 'callers wait');
    for (const { rPid } of services) process.kill(rPid, 'SIGCONT');
    await load.more(300);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });
    await untilInRotation(3);
  });
});

describe('an instance under load', () => {
  test('is not ejected for what callers send: a fifth of all bodies is malformed', async t => {
    const { gateway } = await startThree(t);
    const echo = anEcho('/pure/predict');
    const load = startLoad({
      url: gateway.url,
      make: number => (number % 5 === 0 ? { ...echo(number), body: '[{"n":', expected: 'never 200' } : echo(number)),
    });

    await load.more(1_000);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls - Math.floor(calls / 5), 500: Math.floor(calls / 5) });
    assert.equal(await gateway.metric('penstock_ejections_total'), 0);
    const retries = await gateway.metric('penstock_retries_total');
    const slow = await gateway.metric('penstock_retries_total', { reason: 'attempt-timeout' });
    assert.equal(retries, slow, 'nothing was repeated but what a busy machine made late');
    assert.ok((await gateway.service(MISBEHAVE)).instances.every(({ state }) => state === 'in-rotation'));
  });
});

describe('callers who hang up in the queue', () => {
  test('leave nothing behind: no permit, no timer, no socket, and R never hears of them', async t => {
    const { gateway, services } = await startCluster(t, { services: [MISBEHAVE], routes: PATIENT_ROUTES });
    const [r] = services;
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
    await r.event('r-output');
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
  });
});
