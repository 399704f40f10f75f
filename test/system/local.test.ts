import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { anEcho, bearer, MISBEHAVE, PATIENT_ROUTES } from '../support/cluster.ts';
import { IDENTITY, startGatewayProcess } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { heldCalls, isRunning, misbehave } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

/** A gateway that starts its own two R processes, and what it knows of them. */
async function startLocal(t: TestContext) {
  const gateway = await startGatewayProcess(t, {
    discovery: `{ local: [{ service: ${MISBEHAVE}, entry: '${misbehave}', instances: 2 }] }`,
    routes: PATIENT_ROUTES,
    more: IDENTITY,
  });
  const whole = () =>
    until(async () => {
      const { instances } = await gateway.service(MISBEHAVE);
      return instances.length === 2 && instances.every(({ state }) => state === 'in-rotation');
    }, 'both R are in rotation');
  await whole();
  const pidsOf = async () => {
    const { instances } = await gateway.service(MISBEHAVE);
    return Promise.all(instances.map(async ({ address }) => pidOf(await (await fetch(`${address}/who`)).json())));
  };
  return { gateway, pidsOf, whole };
}

function pidOf(who: unknown): number {
  return (who as { pid: number }).pid;
}

describe('R processes that the gateway started itself', () => {
  test('are started again when they die, without a loss, and finish what they have when the gateway is told to stop', async t => {
    const { gateway, pidsOf, whole } = await startLocal(t);
    const load = startLoad({ url: gateway.url, connections: 8, restMs: 50, make: anEcho('/pure/predict') });
    await load.more(100);

    for (const pid of await pidsOf()) {
      process.kill(pid, 'SIGKILL');
      await load.more(100);
      await whole();
    }
    await load.more(100);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });

    const later = await pidsOf();
    const held = heldCalls(t);
    const inHand = Array.from({ length: 6 }, () => gateway.call(`/once${held.path}`, { headers: bearer('alice') }));
    await until(async () => {
      const { queue, permits } = await gateway.service(MISBEHAVE);
      return queue.depth + permits.inUse === 6;
    }, 'six in hand');

    gateway.child.kill('SIGTERM');
    await gateway.log.line(({ phase }) => phase === 'refusing');
    held.release();

    assert.deepEqual(
      (await Promise.all(inHand)).map(({ status }) => status),
      [200, 200, 200, 200, 200, 200],
    );
    assert.equal(await gateway.ended, 0);
    assert.deepEqual(later.map(isRunning), [false, false]);
  });

  test('do not outlive a gateway that is killed', async t => {
    const { gateway, pidsOf } = await startLocal(t);
    const pids = await pidsOf();
    assert.deepEqual(pids.map(isRunning), [true, true]);

    gateway.child.kill('SIGKILL');

    await until(() => !pids.some(isRunning), 'no R is left');
  });
});
