import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { consulDiscovery, MISBEHAVE } from '../support/cluster.ts';
import { post } from '../support/call.ts';
import { startConsulAgent } from '../support/consul-agent.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const ROUTES = `
services: { ${MISBEHAVE}: { health: { interval: 1h } } }
routes:
  - { id: model, uri: 'lb://${MISBEHAVE}', pure: true, cache: { ttl: 1h } }
  - { id: past, uri: 'lb://${MISBEHAVE}', order: -1, predicates: [Path=/past/**], filters: [StripPrefix=1], pure: true,
      cache: { ttl: 1ms, staleIfError: 1h } }
`;

/** A real R that Consul knows with a version of its model, and a gateway that caches what it answers. */
async function gatewayBeforeR(t: TestContext) {
  const consul = await startConsulAgent(t);
  const r = await startPlumberService(t, misbehave);
  const register = (version: string) =>
    consul.put('/v1/agent/service/register', {
      ...{ ID: 'r-1', Name: MISBEHAVE, Address: '127.0.0.1', Port: r.port, Meta: { version } },
    });
  await register('1');
  const gateway = await startGatewayProcess(t, { routes: ROUTES, discovery: consulDiscovery(consul) });
  const untilVersion = (version: string) =>
    until(async () => {
      const { instances } = await gateway.service(MISBEHAVE);
      return instances.some(one => one.version === version && one.state === 'in-rotation');
    }, `version ${version} is in rotation`);
  await untilVersion('1');
  return {
    ...{ gateway, r },
    becomes: async (version: string) => {
      await register(version);
      await untilVersion(version);
    },
  };
}

describe('what real R answered', () => {
  test('is given again as it was, until another version of the model is there', async t => {
    const { gateway, becomes } = await gatewayBeforeR(t);
    const calls = async () => (JSON.parse((await gateway.call('/who')).text) as { calls: number }).calls;

    assert.deepEqual([await calls(), await calls()], [1, 1]);
    await becomes('2');
    assert.deepEqual([await calls(), await calls()], [2, 2]);

    const first = await gateway.call('/predict', post('[{"x":1.50,"y":"a"}]'));
    const again = await gateway.call('/predict', post('[ { "y" : "a", "x" : 1.50 } ]'));
    const head = await gateway.call('/who', { method: 'HEAD' });

    assert.deepEqual(again.body, first.body);
    assert.match(String(again.headers['cache-status']), /^Penstock; hit/);
    assert.equal(again.headers['content-type'], first.headers['content-type']);
    assert.match(String(head.headers['cache-status']), /^Penstock; hit/);
    assert.equal(await gateway.metric('penstock_cache_requests_total', { route: 'model', result: 'hit' }), 4);
  });

  test('stands in for it when it has died', async t => {
    const { gateway, r } = await gatewayBeforeR(t);
    const before = await gateway.call('/past/predict', post([{ x: 1 }]));

    process.kill(r.rPid, 'SIGKILL');
    await until(async () => (await gateway.call('/past/who')).status >= 500, 'R is dead');
    const after = await gateway.call('/past/predict', post([{ x: 1 }]));

    assert.deepEqual([after.status, after.text], [200, before.text]);
    assert.match(String(after.headers['cache-status']), /^Penstock; fwd=stale; ttl=-\d+; detail=[A-Z_]+$/);
  });
});
