import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, post } from '../support/call.ts';
import { bearer, startCluster } from '../support/cluster.ts';

const ROUTES = `
defaults: { pure: true, auth: { scopes: [predict] } }
routes:
  - { id: fuel, uri: 'lb://fuel', predicates: ['Path=/api/fuel/**', 'Method=GET,POST'], filters: ['StripPrefix=2'] }
  - { id: iris, uri: 'lb://iris', predicates: ['Path=/api/iris/**', 'Method=GET,POST'], filters: ['StripPrefix=2'] }
  - { id: ozone, uri: 'lb://ozone', predicates: ['Path=/api/ozone/**', 'Method=GET,POST'], filters: ['StripPrefix=2'] }
`;

/** What callers send to each model, beside rows made of its own prototype: none, and what is no row of it. */
const BAD_BODIES: Readonly<Record<string, readonly unknown[]>> = {
  fuel: [[{ wt: 2.62 }], [], '{"wt":', '', [{ wt: 'heavy', hp: 110 }]],
  iris: [[{ Petal_Width: 'wide' }], [{}], '[1'],
  ozone: [[{ Temp: 67 }], [{}], 'null'],
};

/** A row that the model says it understands. */
async function rowOf(url: string): Promise<Record<string, unknown>> {
  const { text } = await call(`${url}/prototype`);
  const columns = Object.entries(JSON.parse(text) as Record<string, { type: string; example: string }>);
  const isNumber = (type: string) => type === 'numeric' || type === 'integer';
  return Object.fromEntries(
    columns.map(([name, { type, example }]) => [name, isNumber(type) ? Number(example) : example]),
  );
}

describe('what R says', () => {
  test('comes through the gateway byte for byte, its refusals too', async t => {
    const names = Object.keys(BAD_BODIES);
    const { gateway, services } = await startCluster(t, { services: names, routes: ROUTES });
    const caller = bearer('alice', { scope: 'predict' });

    for (const [index, name] of names.entries()) {
      const direct = services[index]?.url ?? '';
      const row = await rowOf(direct);
      const statuses: number[] = [];
      for (const body of [[row], [row, row], ...(BAD_BODIES[name] ?? [])]) {
        const id = { 'x-request-id': `${name}-${statuses.length}` };
        const wanted = await call(`${direct}/predict`, post(body, id));
        const received = await gateway.call(`/api/${name}/predict`, post(body, { ...caller, ...id }));
        statuses.push(received.status);

        assert.equal(received.status, wanted.status);
        assert.deepEqual(received.body, wanted.body, `${name} of ${JSON.stringify(body)}`);
        assert.equal(received.headers['content-type'], wanted.headers['content-type']);
      }
      for (const path of ['metadata', 'prototype']) {
        const wanted = await call(`${direct}/${path}`);
        const received = await gateway.call(`/api/${name}/${path}`, { headers: caller });
        assert.deepEqual(received.body, wanted.body);
      }
      assert.deepEqual(statuses.slice(0, 2), [200, 200]);
      assert.ok(
        statuses.slice(2).every(status => status === 400 || status === 422),
        `${name}: ${statuses.join()}`,
      );
      const { instances } = await gateway.service(name);
      assert.deepEqual(
        instances.map(({ state }) => state),
        ['in-rotation'],
        'and no error ejected an instance',
      );
      assert.match(instances[0]?.version ?? '', /^1\.0\.0-/);
    }
  });

  test('is answered only to callers who may', async t => {
    const { gateway } = await startCluster(t, {
      services: ['fuel'],
      routes: ROUTES.replace(/.*(iris|ozone).*\n/g, ''),
    });
    const body = [{ wt: 2.62, hp: 110 }];
    const send = (headers: Readonly<Record<string, string>>) => gateway.call('/api/fuel/predict', post(body, headers));

    const nobody = await send({});
    const forged = await send({
      authorization: `${bearer('alice', { scope: 'predict' }).authorization.slice(0, -4)}AAAA`,
    });
    const late = await send(bearer('alice', { scope: 'predict', exp: Math.floor(Date.now() / 1000) - 3_600 }));
    const poor = await send(bearer('alice', { scope: 'read' }));
    const good = await send(bearer('alice', { scope: 'read predict' }));

    assert.deepEqual([nobody.status, forged.status, late.status, poor.status, good.status], [401, 401, 401, 403, 200]);
    assert.match(String(nobody.headers['www-authenticate']), /^Bearer/);
    assert.match(String(late.headers['www-authenticate']), /invalid_token/);
    assert.match(String(poor.headers['www-authenticate']), /insufficient_scope/);
    assert.equal(JSON.stringify(gateway.log.lines).includes('eyJ'), false, 'no token is in the log');
  });
});
