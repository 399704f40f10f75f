import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { post } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import {
  answer,
  bytes,
  bytesThenReset,
  startUpstream,
  type Script,
  type ScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const SECRET = 'a secret of thirty-two bytes or more';

/** A token of the gateway's one issuer. */
function tokenOf(subject: string): string {
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  return aToken({ alg: 'HS256' }, { iss: 'here', aud: 'penstock', sub: subject, exp }, hmac(SECRET));
}

const IDENTITY = `identity: { jwt: [{ issuer: here, audience: penstock, algorithms: [HS256], secret: '\${env:S}' }] }`;

interface Scene {
  readonly gateway: ComposedGateway;
  readonly upstreams: readonly ScriptedUpstream[];
  /** A POST, which is never repeated after it was sent. */
  readonly call: (subject?: string) => Promise<number>;
  readonly states: () => Promise<readonly string[]>;
}

/** Checks of the gateway's own come late enough to have no part in it, unless a test asks for them. */
async function gatewayBefore(t: TestContext, scripts: readonly Script[], service: string): Promise<Scene> {
  const upstreams = await Promise.all(scripts.map(script => startUpstream(t, script)));
  const gateway = await startGateway(t, {
    services: { fuel: upstreams.map(({ origin }) => origin) },
    more: IDENTITY,
    env: { S: SECRET },
    routes: `
services: { fuel: { balance: { policy: round-robin }, ${service.includes('health:') ? '' : 'health: { interval: 1h }, '}${service} } }
routes: [{ id: fuel, uri: lb://fuel }]`,
  });
  return {
    gateway,
    upstreams,
    call: async (subject = 'alice') =>
      (await gateway.call('/', post([], { authorization: `Bearer ${tokenOf(subject)}` }))).status,
    states: async () => (await gateway.service('fuel')).instances.map(({ state }) => state),
  };
}

const WELL = answer('[1]');
/** What httpuv says of an error outside of the code it serves, and what any model may say. */
const TEXT_500 = answer('An exception occurred.', { status: 500, fields: 'Content-Type: text/plain\r\n' });
const OWN_500 = answer('{"error":"500 - Internal server error"}', {
  status: 500,
  fields: 'Content-Type: application/json\r\n',
});
const LOST = bytesThenReset('');

describe('ejection', () => {
  test('follows a refused connection at once, and no caller notices', async t => {
    const { upstreams, call, states, gateway } = await gatewayBefore(t, [WELL, WELL], 'outlier: { ejectFor: 5m }');
    await upstreams[0]?.stop();

    const statuses = [await call(), await call(), await call()];

    assert.deepEqual(statuses, [200, 200, 200]);
    assert.deepEqual(await states(), ['ejected', 'in-rotation']);
    assert.equal(await gateway.metric('penstock_ejections_total', { reason: 'refused' }), 1);
    assert.equal(await gateway.metric('penstock_instances', { state: 'ejected' }), 1);
  });

  for (const [name, script] of [
    ['of R’s own code', OWN_500],
    ['in httpuv’s words', TEXT_500],
  ] as const) {
    test(`is nothing a caller can cause: 500s ${name} never count where all instances give them`, async t => {
      const { call, states } = await gatewayBefore(t, [script, script], 'outlier: { failures: 2 }');

      for (let i = 0; i < 30; i += 1) assert.equal(await call(i % 2 === 0 ? 'alice' : 'bob'), 500);

      assert.deepEqual(await states(), ['in-rotation', 'in-rotation']);
    });
  }

  for (const [name, script, reason] of [
    ['lost connections', LOST, 'lost'],
    ['what is no HTTP', bytes('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 'fault'],
    ['a listed status', answer('', { status: 503 }), 'status'],
  ] as const) {
    test(`follows ${name} of different callers`, async t => {
      const { call, states, gateway } = await gatewayBefore(
        t,
        [script, WELL],
        'outlier: { failures: 3, ejectFor: 5m }',
      );

      for (let i = 0; i < 12; i += 1) await call(i % 4 < 2 ? 'alice' : 'bob');

      assert.deepEqual(await states(), ['ejected', 'in-rotation']);
      assert.equal(await gateway.metric('penstock_ejections_total', { reason }), 1);
    });
  }

  test('is not held off by a caller who gives every request the same id', async t => {
    const { gateway, states } = await gatewayBefore(t, [LOST, WELL], 'outlier: { failures: 3, ejectFor: 5m }');
    const headers = { authorization: `Bearer ${tokenOf('alice')}`, 'x-request-id': 'always-this' };

    for (let i = 0; i < 6; i += 1) await gateway.call('/', post([], headers));

    assert.deepEqual(await states(), ['ejected', 'in-rotation']);
  });

  test('does not follow the failures of one caller while others fare well', async t => {
    // Every second call meets the first instance: alice's. Bob's meet the other.
    const { call, states } = await gatewayBefore(t, [LOST, WELL], 'outlier: { failures: 3, ejectFor: 5m }');

    for (let i = 0; i < 20; i += 1) await call(i % 2 === 0 ? 'alice' : 'bob');
    const before = await states();
    await call('bob'); // now one of bob's is lost, too

    assert.deepEqual(before, ['in-rotation', 'in-rotation']);
    assert.deepEqual(await states(), ['ejected', 'in-rotation']);
  });

  for (const [count, keepMin, expected] of [
    [1, 1, 0],
    [1, 0, 1],
    [2, 1, 1],
    [3, 1, 1],
    [3, 3, 0],
    [4, 1, 2],
  ] as const) {
    test(`takes ${expected} of ${count} out where all fail and ${keepMin} must stay`, async t => {
      const service = `outlier: { failures: 1, ejectFor: 5m, keepMin: ${keepMin} }`;
      const { call, states } = await gatewayBefore(t, new Array<Script>(count).fill(LOST), service);

      for (let i = 0; i < 3 * count; i += 1) await call();

      assert.equal((await states()).filter(state => state === 'ejected').length, expected);
    });
  }

  test('ends in a probation of one request, which readmits or ejects for longer', async t => {
    const { upstreams, call, states, gateway } = await gatewayBefore(
      t,
      [LOST, WELL],
      'outlier: { failures: 1, ejectFor: 300ms }',
    );
    await call();
    await call();
    const first = gateway.log.of('ejected').length;

    const callsUntil = (event: string, times: number) =>
      until(async () => {
        await call();
        return gateway.log.of(event).length === times;
      }, `${event} ${times} times`);
    await callsUntil('ejected', 2);
    const lost = upstreams[0]?.requests.length;
    upstreams[0]?.play(WELL);
    await callsUntil('readmitted', 1);

    assert.equal(first, 1);
    assert.equal(lost, 2, 'one request in rotation, one in probation');
    assert.deepEqual(
      gateway.log.of('ejected').map(line => line['forMs']),
      [300, 600],
    );
    assert.deepEqual(await states(), ['in-rotation', 'in-rotation']);
  });

  test('ends early where a check shows that the instance is back', async t => {
    const service = 'outlier: { ejectFor: 5m }, health: { path: /ping, interval: 200ms, timeout: 100ms }';
    const { upstreams, call, states, gateway } = await gatewayBefore(t, [LOST, WELL], service);
    upstreams[0]?.playChecks(LOST);
    await Promise.all(['alice', 'bob', 'alice', 'bob', 'alice', 'bob', 'alice', 'bob', 'alice', 'bob'].map(call));
    await gateway.log.line(line => line.event === 'ejected' || line.event === 'instance-health');
    assert.notEqual((await states())[0], 'in-rotation');

    upstreams[0]?.play(WELL);
    upstreams[0]?.playChecks(WELL);
    await until(async () => {
      await call();
      return (await states()).every(state => state === 'in-rotation');
    }, 'both are in rotation');
  });
});

describe('by hand', () => {
  test('an instance is taken out and brought back, and drained', async t => {
    const { gateway, upstreams, call, states } = await gatewayBefore(t, [WELL, WELL], '');
    const id = `127.0.0.1:${upstreams[0]?.port ?? 0}`;

    const ejected = await gateway.order('fuel', id, 'eject');
    await Promise.all([call(), call(), call()]);
    const meanwhile = await states();
    await gateway.order('fuel', id, 'readmit');
    const after = await states();
    await gateway.order('fuel', id, 'drain');

    assert.ok(ejected.status < 300);
    assert.deepEqual(meanwhile, ['ejected', 'in-rotation']);
    assert.equal(upstreams[0]?.requests.length, 0);
    assert.deepEqual(after, ['in-rotation', 'in-rotation']);
    assert.deepEqual(await states(), ['draining', 'in-rotation']);
    assert.equal((await gateway.order('fuel', 'nobody', 'eject')).status, 404);
  });
});
