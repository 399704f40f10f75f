import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  anEcho,
  bearer,
  consulDiscovery,
  MISBEHAVE,
  misbehavingRoutes,
  startCluster,
  type Cluster,
} from '../support/cluster.ts';
import { IDENTITY, startGatewayProcess, type GatewayProcess } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { until } from '../support/until.ts';

/** A gateway that died is overdue in Consul after 15 s, which Consul looks at from time to time. */
const DEATH_MS_MAX = 90_000;

/** Sooner than a gateway that is gone would be noticed. */
const AT_ONCE_MS_MAX = 12_000;

const idOf = ({ url }: GatewayProcess) => `penstock-127.0.0.1-${new URL(url).port}`;

/** Whom each instance prefers, as this gateway sees it. */
async function ownersOf(gateway: GatewayProcess): Promise<Map<string, string | null>> {
  const { instances } = await gateway.service(MISBEHAVE);
  return new Map(instances.map(({ id, preferredBy }) => [id, preferredBy]));
}

/** How many requests it has sent to those that prefer this gateway. */
async function sentTo(gateway: GatewayProcess, owner: string): Promise<number> {
  const { instances } = await gateway.service(MISBEHAVE);
  return instances.reduce((sum, { preferredBy, requests }) => sum + (preferredBy === owner ? requests : 0), 0);
}

/** A second gateway before the same R; both have found each other. */
async function startSecond(t: TestContext, { consul, gateway: here }: Cluster): Promise<GatewayProcess> {
  const there = await startGatewayProcess(t, {
    ...{ routes: misbehavingRoutes(), more: IDENTITY, discovery: consulDiscovery(consul) },
  });
  for (const gateway of [here, there]) {
    await until(async () => {
      const owners = [...(await ownersOf(gateway)).values()];
      return owners.length === 4 && owners.every(owner => owner !== null);
    }, 'the gateways have found each other');
  }
  return there;
}

// One after the other, before the same four R.
test('two gateways before the same instances', async t => {
  const services = [MISBEHAVE, MISBEHAVE, MISBEHAVE, MISBEHAVE];
  const cluster = await startCluster(t, { services, routes: misbehavingRoutes() });
  const here = cluster.gateway;
  const first = await startSecond(t, cluster);

  await t.test('share them out, and each uses its own first', async () => {
    const there = first;

    const owners = await ownersOf(here);
    assert.deepEqual(await ownersOf(there), owners, 'both see the same');
    for (const gateway of [here, there]) {
      assert.equal([...owners.values()].filter(owner => owner === idOf(gateway)).length, 2);
    }

    for (const gateway of [here, there]) {
      for (let i = 0; i < 10; i++) {
        assert.equal((await gateway.call('/once/who', { headers: bearer('alice') })).status, 200);
      }
    }
    assert.deepEqual([await sentTo(here, idOf(here)), await sentTo(here, idOf(there))], [10, 0]);
    assert.deepEqual([await sentTo(there, idOf(there)), await sentTo(there, idOf(here))], [10, 0]);

    const load = startLoad({ url: here.url, connections: 6, make: anEcho('/once/predict') });
    await until(async () => {
      await load.more(10);
      return (await sentTo(here, idOf(there))) > 10;
    }, 'where its own are taken, it uses the other’s');
    const { calls, ends } = await load.stop();
    assert.deepEqual(ends, { 200: calls });

    await until(async () => {
      const checks = (await cluster.consul.get('/v1/agent/checks')) as Record<string, { readonly Output: string }>;
      return checks[`service:${idOf(here)}`]?.Output.includes(`shares instances with ${idOf(there)}`) === true;
    }, 'Consul shows whom it shares with');
  });

  await t.test('give all to the one that stays when the other drains, at once', async () => {
    const there = first;
    there.child.kill('SIGTERM');

    await until(
      async () => [...(await ownersOf(here)).values()].every(owner => owner === null),
      'all instances are its own',
      AT_ONCE_MS_MAX,
    );
    assert.equal(await there.ended, 0);
  });

  await t.test('lose no request of the one when the other dies, and it takes all', async own => {
    const there = await startSecond(own, cluster);
    const loads = [here, there].map(({ url }) =>
      startLoad({ url, connections: 3, restMs: 50, make: anEcho('/once/predict') }),
    );
    const [load, doomed] = loads;
    assert.ok(load && doomed);
    await Promise.all(loads.map(each => each.more(50)));

    there.child.kill('SIGKILL');
    await there.ended;
    const { ends: lost } = await doomed.stop();
    await until(
      async () => [...(await ownersOf(here)).values()].every(owner => owner === null),
      'all instances are its own',
      DEATH_MS_MAX,
    );
    await load.more(50);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });
    assert.ok(
      (lost['200'] ?? 0) >= 50 && Object.keys(lost).every(end => end === '200' || !/^\d/.test(end)),
      'no refusal',
    );
    assert.ok(here.log.lines.some(({ text }) => text === 'gateways before the same instances'));
  });
});
