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

const FLOWER = { Sepal_Length: 5.1, Sepal_Width: 3.5, Petal_Length: 1.4, Petal_Width: 0.2 };

/** What callers send to each model: rows as they are, one, none, and what is no row at all. */
const BODIES: Readonly<Record<string, readonly unknown[]>> = {
  fuel: [
    [{ wt: 2.62, hp: 110 }],
    [
      { wt: 2.62, hp: 110 },
      { wt: 3.44, hp: 175 },
    ],
    [{ wt: 2.62 }],
    [],
    '{"wt":',
    '',
  ],
  iris: [[FLOWER], [FLOWER, { ...FLOWER, Petal_Length: 4.7, Petal_Width: 1.4 }], [{ ...FLOWER, Petal_Width: 'wide' }]],
  ozone: [[{ Solar_R: 190, Wind: 7.4, Temp: 67, Month: 5, Day: 1 }], [{ Temp: 67 }], [{}]],
};

describe('what R says', () => {
  test('comes through the gateway byte for byte, its errors too', async t => {
    const names = Object.keys(BODIES);
    const { gateway, services } = await startCluster(t, { services: names, routes: ROUTES });
    const caller = bearer('alice', { scope: 'predict' });
    const statuses = new Map<string, Set<number>>();

    for (const [index, name] of names.entries()) {
      const direct = services[index]?.url ?? '';
      const { text: prototype } = await call(`${direct}/prototype`);
      const row = Object.fromEntries(
        Object.entries(JSON.parse(prototype) as Record<string, { type: string; example: string }>).map(
          ([column, { type, example }]) => [
            column,
            type === 'numeric' || type === 'integer' ? Number(example) : example,
          ],
        ),
      );
      const seen = new Set<number>();
      for (const body of [[row], [row, row], ...(BODIES[name] ?? [])]) {
        const wanted = await call(`${direct}/predict`, post(body));
        const heard = await gateway.call(`/api/${name}/predict`, post(body, caller));

        assert.equal(heard.status, wanted.status);
        assert.deepEqual(heard.body, wanted.body, `${name} of ${JSON.stringify(body)}`);
        assert.equal(heard.headers['content-type'], wanted.headers['content-type']);
        seen.add(heard.status);
      }
      statuses.set(name, seen);
      for (const path of ['metadata', 'prototype']) {
        const wanted = await call(`${direct}/${path}`);
        const heard = await gateway.call(`/api/${name}/${path}`, { headers: caller });
        assert.deepEqual(heard.body, wanted.body);
      }
    }

    for (const [name, seen] of statuses) assert.ok(seen.has(200) && seen.size > 1, `${name}: ${[...seen].join()}`);
    const { instances } = await gateway.service('fuel');
    assert.deepEqual(
      instances.map(({ state }) => state),
      ['in-rotation'],
    );
    assert.match(instances[0]?.version ?? '', /^1\.0\.0-/);
  });

  test('is heard only by those who may', async t => {
    const { gateway } = await startCluster(t, {
      services: ['fuel'],
      routes: ROUTES.replace(/.*(iris|ozone).*\n/g, ''),
    });
    const body = [{ wt: 2.62, hp: 110 }];
    const ask = (headers: Readonly<Record<string, string>>) => gateway.call('/api/fuel/predict', post(body, headers));

    const nobody = await ask({});
    const forged = await ask({
      authorization: `${bearer('alice', { scope: 'predict' }).authorization.slice(0, -4)}AAAA`,
    });
    const late = await ask(bearer('alice', { scope: 'predict', exp: Math.floor(Date.now() / 1000) - 3_600 }));
    const poor = await ask(bearer('alice', { scope: 'read' }));
    const good = await ask(bearer('alice', { scope: 'read predict' }));

    assert.deepEqual([nobody.status, forged.status, late.status, poor.status, good.status], [401, 401, 401, 403, 200]);
    assert.match(String(nobody.headers['www-authenticate']), /^Bearer/);
    assert.match(String(late.headers['www-authenticate']), /invalid_token/);
    assert.match(String(poor.headers['www-authenticate']), /insufficient_scope/);
    assert.equal(JSON.stringify(gateway.log.lines).includes('eyJ'), false, 'no token is in the log');
  });
});
