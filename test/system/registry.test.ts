import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { anEcho, bearer, MISBEHAVE, misbehavingRoutes, PATIENT_ROUTES, startCluster } from '../support/cluster.ts';
import { startLoad } from '../support/load.ts';
import { heldCalls } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

// One after the other, before the same two R.
test('what Consul says of an instance', async t => {
  const { gateway, consul, services, idOf, untilInRotation } = await startCluster(t, {
    services: [MISBEHAVE, MISBEHAVE],
    routes: misbehavingRoutes(),
  });
  const [r, other] = services;
  assert.ok(r && other);

  await t.test('takes it out for maintenance and back, and no call is lost though none may be repeated', async () => {
    const load = startLoad({ url: gateway.url, connections: 4, restMs: 20, make: anEcho('/once/predict') });
    await load.more(50);

    await consul.put(`/v1/agent/service/maintenance/${idOf(r)}?enable=true&reason=patching`);
    await untilInRotation(1);
    await gateway.untilIdleAt(MISBEHAVE, idOf(r));
    const { state, why, requests } = await gateway.instance(MISBEHAVE, idOf(r));
    await load.more(50);
    const { requests: later } = await gateway.instance(MISBEHAVE, idOf(r));
    await consul.put(`/v1/agent/service/maintenance/${idOf(r)}?enable=false`);
    await untilInRotation(2);
    await load.more(50);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });
    assert.equal(state, 'draining');
    assert.match(why ?? '', /patching|maintenance/i);
    assert.equal(later, requests, 'it was left in peace');
    assert.ok((await gateway.instance(MISBEHAVE, idOf(r))).requests > requests);
  });

  await t.test('is skipped where it makes no sense, and reported; the others serve', async () => {
    await consul.put('/v1/agent/service/register', { ID: 'nonsense', Name: MISBEHAVE, Port: 0 });
    const line = await gateway.log.line(({ event }) => event === 'registration-malformed');
    const received = await gateway.call('/once/who', { headers: bearer('alice') });

    assert.equal(line['instance'], 'nonsense');
    assert.equal(received.status, 200);
    assert.equal((await gateway.service(MISBEHAVE)).instances.length, 2);
  });

  await t.test(
    'that it leaves is no harm to its work in hand; a service without instances answers 503 at once',
    async own => {
      other.child.kill('SIGTERM');
      await until(async () => (await gateway.service(MISBEHAVE)).instances.length === 1, 'one is left');
      writeFileSync(gateway.routesFile, PATIENT_ROUTES.replace('waitMax: 30s', 'waitMax: 10s'));
      assert.equal((await gateway.reload()).status, 200);
      const held = heldCalls(own);
      const inHand = gateway.call(`/once${held.path}`, { headers: bearer('alice') });
      await r.event('r-output');
      const waiting = gateway.call('/once/who', { headers: bearer('bob') });
      await until(async () => (await gateway.service(MISBEHAVE)).queue.depth === 1, 'bob waits');

      r.child.kill('SIGTERM');
      await until(async () => (await gateway.service(MISBEHAVE)).instances[0]?.state === 'draining', 'it leaves');
      const late = await gateway.call('/once/who', { headers: bearer('carol') });
      const { permits } = await gateway.service(MISBEHAVE);

      assert.deepEqual([late.status, late.code], [503, 'SERVICE_UNAVAILABLE']);
      assert.equal(permits.inUse, 1, 'R is still at it');
      held.release();
      assert.equal((await inHand).status, 200);
      assert.equal((await waiting).code, 'SERVICE_UNAVAILABLE');
      assert.equal(await r.ended, 0);
      await until(async () => (await gateway.service(MISBEHAVE)).instances.length === 0, 'it has left');
    },
  );
});
