import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { post } from '../support/call.ts';
import { anEcho, bearer, MISBEHAVE, misbehavingRoutes, startCluster } from '../support/cluster.ts';
import { SECRET } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { promtool } from '../support/promtool.ts';

const BROKEN = 'routes:\n  - { id: pure, url: lb://misbehave }\n';

// One after the other, before one R.
test('an operator', async t => {
  const { gateway, services, idOf } = await startCluster(t, { services: [MISBEHAVE], routes: misbehavingRoutes() });
  const [r] = services;
  assert.ok(r);
  const countOf = (status: string) => gateway.metric('penstock_requests_total', { route: 'pure', status });

  await t.test('edits routes.yaml under load, well and badly, and no call notices', async () => {
    const save = (text: string) => {
      writeFileSync(`${gateway.routesFile}.new`, text);
      renameSync(`${gateway.routesFile}.new`, gateway.routesFile);
    };
    const load = startLoad({ url: gateway.url, connections: 8, restMs: 20, make: anEcho('/pure/predict') });
    await load.more(50);

    save(misbehavingRoutes('balance: { policy: two-choices }'));
    await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 2);
    await load.more(50);
    writeFileSync(gateway.routesFile, BROKEN);
    const refused = await gateway.log.line(({ event }) => event === 'config-refused');
    await load.more(50);
    const { status, body } = await gateway.readyz();
    const reload = await gateway.reload();
    const isGood = await gateway.metric('penstock_config_reload_success');
    writeFileSync(gateway.routesFile, `${misbehavingRoutes()}\n# saved in place\n`);
    await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 3);
    gateway.child.kill('SIGHUP');
    await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 4);
    await load.more(50);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: calls });
    assert.match(JSON.stringify(refused['problems']), /routes\.yaml:2:\d+.*url.*uri/);
    assert.equal(status, 200);
    assert.match(body.config.error ?? '', /url/);
    assert.ok(reload.status >= 400);
    assert.equal(isGood, 0);
    assert.equal((await gateway.readyz()).body.config.error, null);
    assert.equal(await countOf('200'), calls);
  });

  await t.test(
    'finds one call in the access line, the metrics and the services alike, and no secret anywhere',
    async () => {
      const countAll = async () => [
        ...(await Promise.all(['200', '500', '401'].map(countOf))),
        (await gateway.instance(MISBEHAVE, idOf(r))).requests,
      ];
      const before = await countAll();
      const caller = bearer('alice');
      const headers = { ...caller, 'x-request-id': 'a-request-of-alices' };

      const received = await gateway.call('/pure/predict?password=hunter2', post([{ n: 1 }], headers));
      const line = await gateway.log.line(({ id }) => id === 'a-request-of-alices');
      await gateway.call('/pure/predict', post('{', caller));
      await gateway.call('/pure/predict', post([]));
      await gateway.untilIdle();

      assert.equal(received.headers['x-request-id'], 'a-request-of-alices');
      const { time, queueMs, connectMs, firstByteMs, totalMs, ...said } = line;
      assert.deepEqual(said, {
        ...{ level: 'info', event: 'request', id: 'a-request-of-alices', caller: 'penstock-dev/alice', method: 'POST' },
        ...{
          path: '/pure/predict',
          route: 'pure',
          service: MISBEHAVE,
          instance: idOf(r),
          version: '0.0.1',
          status: 200,
        },
        ...{ code: null, attempts: 1, bytesIn: 9, bytesOut: 9 },
      });
      assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      for (const ms of [queueMs, connectMs, firstByteMs, totalMs]) assert.equal(typeof ms, 'number');
      assert.equal(await promtool(['check', 'metrics'], (await gateway.get('/metrics')).text), '');
      const { failures, state, source } = await gateway.instance(MISBEHAVE, idOf(r));
      assert.deepEqual([failures, state, source], [0, 'in-rotation', 'consul']);
      const grown = (await countAll()).map((count, i) => count - (before[i] ?? 0));
      assert.deepEqual(grown, [1, 1, 1, 2], 'of each status one; R got two of them');
      assert.equal(await gateway.metric('penstock_refusals_total', { code: 'UNAUTHENTICATED' }), 1);
      const shown = [gateway.log.lines, (await gateway.get('/api/config')).text, (await gateway.get('/metrics')).text];
      const secrets = [SECRET, 'hunter2', caller.authorization.slice(7)];
      for (const secret of secrets) assert.equal(JSON.stringify(shown).includes(secret), false, 'a secret is shown');
    },
  );

  await t.test('limits a flood, and the instances never feel it', async () => {
    const limits = 'pure: true, limits: [{ rate: 20, per: 1m, by: caller }]';
    writeFileSync(gateway.routesFile, misbehavingRoutes().replace('pure: true', limits));
    assert.equal((await gateway.reload()).status, 200);
    const { requests } = await gateway.instance(MISBEHAVE, idOf(r));
    const load = startLoad({ url: gateway.url, connections: 8, restMs: 20, make: anEcho('/pure/predict') });

    await load.more(400);
    const { calls, ends } = await load.stop();

    assert.deepEqual(ends, { 200: 80, '429 RATE_LIMITED': calls - 80 }, 'twenty for each of four callers');
    assert.equal((await gateway.instance(MISBEHAVE, idOf(r))).requests - requests, 80);
  });
});
