import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  anEcho,
  bearer,
  consulDiscovery,
  MISBEHAVE,
  misbehavingRoutes,
  snapshotOf,
  startCluster,
} from '../support/cluster.ts';
import { IDENTITY, startGatewayProcess } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { until } from '../support/until.ts';

interface Check {
  readonly ServiceID: string;
  readonly ServiceName: string;
  readonly Status: string;
  readonly Output: string;
}

/** A load that leaves the machine some rest, for half a minute. */
const GENTLE = { connections: 4, restMs: 100 };

const OUTAGE_MS = 30_000;

// One after the other, before the same two R.
test('Consul', async t => {
  const { gateway, consul, services, idOf, untilInRotation } = await startCluster(t, {
    services: [MISBEHAVE, MISBEHAVE],
    routes: misbehavingRoutes(),
  });

  await t.test(
    'may be away for half a minute and come back empty: no call is lost, and all is found again',
    async () => {
      const load = startLoad({ ...GENTLE, url: gateway.url, make: anEcho('/once/predict') });
      await load.more(20);

      await consul.kill();
      const killedMs = performance.now();
      await gateway.log.line(({ event }) => event === 'source-lost');
      await until(async () => (await gateway.readyz()).body.roster['consul']?.stale === true, 'the roster is stale');
      const { status } = await gateway.readyz();
      await until(() => performance.now() - killedMs > OUTAGE_MS, 'half a minute', 2 * OUTAGE_MS);
      const ageSeconds = await gateway.metric('penstock_roster_age_seconds', { source: 'consul' });
      await consul.start();
      await gateway.log.line(({ event }) => event === 'source-back', 60_000);
      await until(
        async () => ((await consul.get(`/v1/health/service/${MISBEHAVE}?passing`)) as unknown[]).length === 2,
        'both R',
      );
      await until(async () => (await gateway.readyz()).body.roster['consul']?.stale === false, 'the roster is fresh');
      await untilInRotation(2);
      await load.more(50);
      const { calls, ends } = await load.stop();

      assert.deepEqual(ends, { 200: calls });
      assert.equal(status, 200, 'an old roster is no reason to be unready');
      assert.ok(ageSeconds >= 25, `the roster’s age was ${ageSeconds} s`);
      await until(
        async () => ((await consul.get('/v1/health/service/penstock?passing')) as unknown[]).length === 1,
        'penstock',
      );
    },
  );

  await t.test('shows what the gateway sees, in its own words', async () => {
    const [victim] = services;
    assert.ok(victim);
    // The agent's own view: it tells the servers of a text that changes under the same light within minutes.
    const said = async () =>
      Object.values((await consul.get('/v1/agent/checks')) as Record<string, Check>).find(
        ({ ServiceName }) => ServiceName === 'penstock',
      );

    await gateway.order(MISBEHAVE, idOf(victim), 'eject');

    const { port } = new URL(gateway.url);
    await until(async () => (await said())?.Output.includes('by hand') === true, 'Consul is told');
    const { ServiceID, Status } = (await said()) ?? {};
    assert.deepEqual([ServiceID, Status], [`penstock-127.0.0.1-${port}`, 'passing']);
  });

  await t.test('may be away when the gateway starts: the last roster stands', async own => {
    await until(() => snapshotOf(gateway)?.includes(MISBEHAVE) === true, 'the snapshot is written');
    await consul.kill();
    gateway.child.kill('SIGKILL');
    await gateway.ended;

    const next = await startGatewayProcess(own, {
      ...{ folder: gateway.folder, routes: misbehavingRoutes(), more: IDENTITY, discovery: consulDiscovery(consul) },
    });
    const received = await next.call('/once/who', { headers: bearer('alice') });

    assert.equal(received.status, 200);
    const { status, body } = await next.readyz();
    assert.deepEqual([status, body.roster['consul']?.stale], [200, true]);
  });
});
