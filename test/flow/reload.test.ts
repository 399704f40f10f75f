import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startGateway } from '../support/composed-gateway.ts';
import { answer, deadOrigin, startUpstream } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const routesTo = (path: string, more = '') => `
services: { fuel: { health: { interval: 1h }, outlier: { ejectFor: 5m } } }
routes: [{ id: fuel, uri: lb://fuel, predicates: [Path=${path}]${more} }]
`;

async function gatewayWith(t: TestContext) {
  const upstream = await startUpstream(t, answer('[1]'));
  const services = { fuel: [upstream.origin] };
  return { upstream, gateway: await startGateway(t, { services, routes: routesTo('/old') }) };
}

/** The ways in which editors save. */
const SAVES: readonly (readonly [string, (file: string, text: string) => void | Promise<void>])[] = [
  [
    'renamed over',
    (file, text) => {
      writeFileSync(`${file}~`, text);
      renameSync(`${file}~`, file);
    },
  ],
  [
    'truncated and written anew, piece by piece',
    async (file, text) => {
      const opened = openSync(file, 'r+');
      ftruncateSync(opened);
      for (const piece of text.match(/[^]{1,20}/g) ?? []) {
        writeSync(opened, piece);
        await setTimeout(10); // a slow editor
      }
      closeSync(opened);
    },
  ],
];

describe('routes.yaml', () => {
  for (const [name, save] of SAVES) {
    test(`takes effect when it is ${name}`, async t => {
      const { gateway } = await gatewayWith(t);
      assert.equal((await gateway.call('/old')).status, 200);

      await save(gateway.routesFile, routesTo('/new'));
      await gateway.log.line(line => line.event === 'config-loaded' && line['generation'] === 2);

      assert.equal((await gateway.call('/new')).status, 200);
      assert.equal((await gateway.call('/old')).code, 'NO_ROUTE');
      assert.equal(gateway.log.of('config-refused').length, 0, 'no half of a file was read');
    });
  }

  test('changes nothing when it is broken, and says so everywhere', async t => {
    const { gateway } = await gatewayWith(t);

    writeFileSync(gateway.routesFile, 'routes: [{ id: fuel, urii: lb://fuel }]\n');
    const line = await gateway.log.line(({ event }) => event === 'config-refused');
    const { status, body } = await gateway.readyz();
    const reload = await gateway.reload();
    const served = await gateway.call('/old');
    const metric = await gateway.metric('penstock_config_reload_success');
    writeFileSync(gateway.routesFile, routesTo('/new'));
    await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 2);

    assert.match(JSON.stringify(line['problems']), /routes\.yaml:1:\d+.*urii.*uri/);
    assert.equal(status, 200, 'the old table serves');
    assert.match(body.config.error ?? '', /urii/);
    assert.equal(body.config.generation, 1);
    assert.ok(reload.status >= 400, `${reload.status}`);
    assert.match(reload.text, /urii/);
    assert.equal(served.status, 200);
    assert.equal(metric, 0);
    assert.equal((await gateway.readyz()).body.config.error, null);
    assert.equal(await gateway.metric('penstock_config_reload_success'), 1);
  });

  test('does not take a file that is emptied first and written later for one without routes', async t => {
    const { gateway } = await gatewayWith(t);

    writeFileSync(gateway.routesFile, '# to be written\n');
    const line = await gateway.log.line(({ event }) => event === 'config-refused');
    const served = await gateway.call('/old');

    assert.match(JSON.stringify(line['problems']), /the file is empty/);
    assert.equal(served.status, 200, 'the old table serves');
  });

  test('leaves a request that is under way with the route it began with', async t => {
    const { gateway, upstream } = await gatewayWith(t);
    const held: Socket[] = [];
    upstream.play(socket => void held.push(socket));
    const inHand = gateway.call('/old');
    await until(() => held.length === 1, 'R has it');

    writeFileSync(gateway.routesFile, routesTo('/new', ", filters: ['AddResponseHeader=X-New, yes']"));
    await gateway.log.line(({ event, generation }) => event === 'config-loaded' && generation === 2);
    const [socket] = held;
    assert.ok(socket);
    answer('[1]')(socket, { head: '', body: Buffer.alloc(0), pieces: 1 });
    upstream.play(answer('[2]'));

    assert.equal((await inHand).text, '[1]');
    assert.equal((await inHand).headers['x-new'], undefined);
    assert.equal((await gateway.call('/new')).headers['x-new'], 'yes');
  });

  test('keeps what is known of instances that stay, and lets a service go that no route names', async t => {
    const well = await startUpstream(t, answer('[1]'));
    const gateway = await startGateway(t, {
      services: { fuel: [await deadOrigin(), well.origin] },
      routes: routesTo('/old'),
    });
    await Promise.all([gateway.call('/old'), gateway.call('/old'), gateway.call('/old')]);
    const states = async () => (await gateway.service('fuel')).instances.map(({ state }) => state);
    const before = await states();

    writeFileSync(gateway.routesFile, routesTo('/new'));
    await gateway.log.line(({ generation }) => generation === 2);
    const after = await states();
    const { requests } = await gateway.instance('fuel', `127.0.0.1:${well.port}`);
    writeFileSync(gateway.routesFile, `routes: [{ id: x, uri: '${well.origin}' }]\n`);
    await gateway.log.line(({ generation }) => generation === 3);
    const other = await gateway.call('/anything');

    assert.deepEqual(before, ['ejected', 'in-rotation']);
    assert.deepEqual(after, before);
    assert.equal(requests, 3);
    assert.equal(other.status, 200, 'a plain address is a service of its own');
    await until(async () => (await gateway.metric('penstock_instances', { service: 'fuel' })) === 0, 'no series of it');
  });
});

describe('a file of Spring Cloud Gateway’s', () => {
  for (const [name, indent] of [
    ['under its own prefix', 'spring: { cloud: { gateway: { routes: '],
    ['under its newer prefix', 'spring: { cloud: { gateway: { server: { webflux: { routes: '],
  ] as const) {
    test(`works as it is ${name}`, async t => {
      const upstream = await startUpstream(t, answer('[1]'));
      const route =
        "[{ id: user-service-route, uri: 'lb://user-service', predicates: ['Path=/api/user/**'], filters: [StripPrefix=1] }]";
      const gateway = await startGateway(t, {
        services: { 'user-service': [upstream.origin] },
        routes: `${indent}${route}${' }'.repeat(indent.split('{').length - 1)}\n`,
      });

      const received = await gateway.call('/api/user/42?full=yes');

      assert.equal(received.status, 200);
      assert.match(upstream.requests[0]?.head ?? '', /^GET \/user\/42\?full=yes HTTP/);
    });
  }
});
