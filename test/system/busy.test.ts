import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { InstanceState } from '../../gateway/domain/service.ts';
import { bearer, MISBEHAVE, startCluster, type Cluster } from '../support/cluster.ts';
import { beginCall } from '../support/call.ts';
import { heldCalls } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

/** One R that may compute for longer than the checks have patience, each a second: Consul's, and the gateway's own. */
async function startBusy(t: TestContext, hangMax: string) {
  const cluster = await startCluster(t, {
    services: [MISBEHAVE],
    routes: `
services: { ${MISBEHAVE}: { hangMax: ${hangMax}, health: { interval: 1s, timeout: 1s, fails: 2 }, queue: { waitMax: 5m } } }
routes: [{ uri: 'lb://${MISBEHAVE}', timeout: 6m, retry: { attempts: 1 } }]
`,
  });
  const [r] = cluster.services;
  assert.ok(r);
  const id = cluster.idOf(r);
  const traits = { headers: bearer('alice') };
  const send = (path: string) => cluster.gateway.call(path, traits);
  /** Resolves when R has begun. */
  const begin = async (path: string) => {
    const answered = send(path);
    const early = answered.then(({ status, text }) => {
      throw new Error(`answered before R began: ${status} ${text}`);
    });
    await Promise.race([r.event('r-output'), early]);
    early.catch(() => undefined);
    return { answered };
  };
  return { ...cluster, r, id, traits, send, begin };
}

/** What Consul's check of the instance says. */
async function checkOf({ consul }: Cluster, id: string): Promise<string | undefined> {
  const checks = (await consul.get('/v1/agent/checks')) as Record<string, { ServiceID: string; Status: string }>;
  return Object.values(checks).find(({ ServiceID }) => ServiceID === id)?.Status;
}

describe('an instance under checks that it cannot answer', { concurrency: true }, () => {
  test('stays in rotation while it computes for 20 s, and goes on with the calls that wait', async t => {
    const at = await startBusy(t, '5m');
    const { gateway, id, send, begin } = at;
    const seen = new Set<InstanceState>();
    const { answered: long } = await begin('/busy?ms=20000');
    let isOver = false;
    void long.finally(() => (isOver = true));
    const next = send('/who');

    await until(
      async () => {
        seen.add((await gateway.instance(MISBEHAVE, id)).state);
        return isOver;
      },
      'R has computed',
      120_000,
    );

    assert.equal((await long).status, 200);
    assert.equal((await next).status, 200);
    seen.delete('in-rotation');
    assert.deepEqual([...seen], ['busy-unchecked']);
    assert.equal(await gateway.metric('penstock_ejections_total'), 0);
    await at.untilInRotation(1);
  });

  test('is out when it hangs, and its place is not given back', async t => {
    const at = await startBusy(t, '5s');
    const { gateway, id, traits } = at;
    const hung = beginCall(`${gateway.url}/loop`, traits);
    await until(async () => (await gateway.instance(MISBEHAVE, id)).why !== null, 'a check has failed');
    hung.sent.destroy();

    const left = async () => (await gateway.service(MISBEHAVE)).permits;
    await until(async () => (await left()).abandoned === 1, 'R computes for no caller');
    assert.equal(await gateway.metric('penstock_permits_abandoned', { service: MISBEHAVE }), 1);
    await until(async () => (await gateway.instance(MISBEHAVE, id)).state === 'unhealthy', 'it is out');

    assert.equal((await left()).inUse, 1); // R loops still
    assert.equal(await gateway.metric('penstock_permits_abandoned', { service: MISBEHAVE }), 1);
    assert.equal((await gateway.call('/who', traits)).code, 'SERVICE_UNAVAILABLE');
  });

  test('keeps its call, its place and its callers when Consul drops it for being critical', async t => {
    const at = await startBusy(t, '5m');
    const { consul, gateway, id, send, begin } = at;
    const held = heldCalls(t);
    const { answered: long } = await begin(held.path);
    const next = send('/who');
    await until(async () => (await checkOf(at, id)) === 'critical', 'the check has failed');

    // What Consul does by itself after DeregisterCriticalServiceAfter, a minute at least.
    await consul.put(`/v1/agent/service/deregister/${id}`);
    await until(async () => (await checkOf(at, id)) === 'critical', 'it is registered again, as critical');
    const { inUse } = (await gateway.service(MISBEHAVE)).permits;

    held.release();
    assert.equal(inUse, 1);
    assert.equal((await long).status, 200);
    assert.equal((await next).status, 200);
    await at.untilInRotation(1);
  });
});
