import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { IDENTITY, startGatewayProcess } from '../support/gateway-process.ts';
import { anEcho, bearer, consulDiscovery, MISBEHAVE, PATIENT_ROUTES, startCluster } from '../support/cluster.ts';
import { startLoad } from '../support/load.ts';
import { heldCalls } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const traits = { headers: bearer('alice') };

/** How a new connection fares: refused, or what came over it. */
function knock(port: number): Promise<string> {
  return new Promise(resolve => {
    let received = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('error', error => resolve('code' in error ? String(error.code) : String(error)));
    socket.on('data', chunk => (received += chunk.toString('latin1')));
    socket.on('close', () => resolve(received));
    socket.end('GET /once/who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
}

// One after the other, before the same two R and those that take their place.
test('SIGTERM', async t => {
  const cluster = await startCluster(t, {
    services: [MISBEHAVE, MISBEHAVE],
    routes: PATIENT_ROUTES,
    more: `${IDENTITY}\ndrain: { grace: 5s, timeout: 60s }`,
  });
  const { gateway, consul, services, add, untilInRotation } = cluster;

  await t.test('to each R service in turn loses no call, though none of them may be repeated', async () => {
    const load = startLoad({ url: gateway.url, connections: 8, restMs: 50, make: anEcho('/once/predict') });
    await load.more(100);

    for (const service of services) {
      await add();
      service.child.kill('SIGTERM');
      assert.equal(await service.ended, 0);
      await untilInRotation(2);
    }
    await load.more(100);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });
    assert.equal(await gateway.metric('penstock_ejections_total'), 0);
  });

  await t.test(
    'to the gateway loses nothing in hand, not even what waits in the queue; it leaves Consul and exits with 0',
    async own => {
      const held = heldCalls(own);
      const inHand = Array.from({ length: 8 }, () => gateway.call(`/once${held.path}`, traits));
      await until(async () => {
        const { queue, permits } = await gateway.service(MISBEHAVE);
        return queue.depth + permits.inUse === 8;
      }, 'eight in hand');

      gateway.child.kill('SIGTERM');
      await gateway.log.line(({ phase }) => phase === 'draining');
      const unready = await gateway.readyz();
      const inGrace = gateway.call('/once/who', traits);
      await gateway.log.line(({ phase }) => phase === 'refusing');
      const late = await knock(Number(new URL(gateway.url).port));
      held.release();
      const answers = await Promise.all([...inHand, inGrace]);

      assert.deepEqual(unready.status, 503);
      assert.deepEqual(unready.body.reasons, ['draining']);
      assert.deepEqual(
        answers.map(({ status }) => status),
        new Array(9).fill(200),
      );
      assert.match(late, /^ECONNREFUSED$|^ECONNRESET$|^HTTP\/1\.1 503 [^]*DRAINING/);
      assert.equal(await gateway.ended, 0);
      assert.deepEqual(await consul.get('/v1/health/service/penstock'), []);
      assert.deepEqual(gateway.log.of('internal-error'), []);
    },
  );

  await t.test('to the gateway, twice, ends it at once', async own => {
    const next = await startGatewayProcess(own, {
      ...{ routes: PATIENT_ROUTES, more: IDENTITY, discovery: consulDiscovery(consul) },
    });
    const cut = assert.rejects(next.call(`/once${heldCalls(own).path}`, traits));
    await until(async () => (await next.service(MISBEHAVE)).permits.inUse === 1, 'R is at it');

    next.child.kill('SIGTERM');
    await next.log.line(({ phase }) => phase === 'refusing');
    next.child.kill('SIGTERM');

    assert.equal(await next.ended, 143);
    await cut;
  });
});
