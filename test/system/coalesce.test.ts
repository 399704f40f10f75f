import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, post } from '../support/call.ts';
import { bearer, MISBEHAVE, startCluster } from '../support/cluster.ts';
import { heldCalls } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const CROWD = 1_000;

const ROUTES = `
defaults: { auth: { allow: [jwt, anonymous] } }
services: { ${MISBEHAVE}: { health: { interval: 1h } } }
routes:
  - { id: fuel, uri: 'lb://fuel', predicates: ['Path=/fuel/**'], filters: ['StripPrefix=1'], pure: true, coalesce: true }
  - { id: slow, uri: 'lb://${MISBEHAVE}', predicates: ['Path=/slow/**'], filters: ['StripPrefix=1'], coalesce: true,
      timeout: 2m }
`;

describe('a thousand callers who ask the same', () => {
  test('cost R one call, and get the same bytes', async t => {
    const { gateway, services } = await startCluster(t, { services: [MISBEHAVE], routes: ROUTES });
    const [service] = services;
    assert.ok(service);
    const callers = ['alice', 'bob', 'carol'].map(name => bearer(name));
    const held = heldCalls(t);
    const send = (i: number) => gateway.call(`/slow${held.path}`, { headers: { ...callers[i % 3] } });

    const calls = Array.from({ length: CROWD }, (_, i) => send(i));
    await until(async () => (await gateway.metric('penstock_requests_in_flight')) === CROWD, 'all have joined');
    held.release();
    const received = await Promise.all(calls);

    assert.deepEqual(
      [...new Set(received.map(({ status, text }) => `${status} ${text}`))],
      [`200 {"pid":${service.rPid}}`],
    );
    assert.equal(await gateway.metric('penstock_coalesced_total', { route: 'slow' }), CROWD - 1);
    const { calls: callsOfR } = JSON.parse((await call(`${service.url}/who`)).text) as { calls: number };
    assert.equal(callsOfR - 1, 1, 'R was called once, and now to be asked');
    assert.equal(await gateway.metric('penstock_attempts_total', { service: MISBEHAVE }), 1);
    await gateway.untilIdle();
  });
});

describe('R', () => {
  test('answers JSON in whatever way it is announced as it does without the gateway', async t => {
    const { gateway, services } = await startCluster(t, { services: ['fuel'], routes: ROUTES });
    const rows = [
      '[{"wt":2.62,"hp":110}]',
      '[ {"hp":110, "wt":2.62} ]',
      '[{"wt":2.62,"hp":110.0}]',
      '[{"wt":"a"}]',
      '[',
    ];
    const types = [
      'application/json',
      'application/json; charset=utf-8',
      'application/x-www-form-urlencoded',
      undefined,
    ];

    for (const body of rows) {
      for (const type of types) {
        const traits = { method: 'POST', body, headers: type === undefined ? {} : { 'content-type': type } };
        const wanted = await call(`${services[0]?.url ?? ''}/predict`, traits);
        const received = await Promise.all([
          gateway.call('/fuel/predict', traits),
          gateway.call('/fuel/predict', { ...traits, headers: { ...traits.headers, ...bearer('bob') } }),
          gateway.call('/fuel/predict', post(rows[0] ?? '')),
        ]);

        for (const { status, body: bytes } of received.slice(0, 2)) {
          assert.deepEqual([status, bytes], [wanted.status, wanted.body], `${body} as ${type ?? 'nothing'}`);
        }
        assert.equal(received[2].status, 200);
      }
    }
  });
});
