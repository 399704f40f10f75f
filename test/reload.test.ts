import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ServiceRegistry } from '../gateway/domain/service/service-registry.ts';
import type { MadeRoutes } from '../gateway/config/compile.ts';
import { inSlices, loadRoutesApart } from '../gateway/load-apart.ts';
import { judgedBy, loadRoutes } from '../gateway/load.ts';
import { createGenerations, type RoutesNow } from '../gateway/reload.ts';
import { soundRoutes } from './support/configuration.ts';
import { cpuMs, withStalls } from './support/cpu-time.ts';
import { unpack } from '../gateway/edges/zlib.ts';
import { manualClock } from './support/manual-clock.ts';
import { routeTableSteps } from '../gateway/domain/routing/route-table.ts';
import { aFolder } from './support/folder.ts';

const ROUTE = (i: number, timeout: string) => `  - id: r${i}
    uri: lb://svc${i % 50}
    predicates: ['Path=/api/r${i}/**', 'Method=GET,POST', 'Header=X-Tenant, \${env:TENANT}']
    filters: [StripPrefix=2, 'AddRequestHeader=X-R, ${i}']
    timeout: ${timeout}
`;

const fileOf = (count: number, timeoutOf: (i: number) => string = () => '30s') =>
  `routes:\n${Array.from({ length: count }, (_, i) => ROUTE(i, timeoutOf(i))).join('')}`;

/** A routes file, and the ways to read it. */
function inFolder(t: TestContext) {
  const folder = aFolder(t);
  const routesFile = join(folder, 'routes.yaml');
  const variables = { TENANT: 'acme' };
  const request = { ...judgedBy(undefined), routesFile, variables };
  return {
    save: (text: string) => writeFileSync(routesFile, text),
    atOnce: () => loadRoutes(undefined, { routesFile, variables }),
    apart: (inForce: MadeRoutes, tenant = 'acme') =>
      loadRoutesApart({ ...request, variables: { TENANT: tenant } }, inForce),
    apartWith: (plugin: string, inForce: MadeRoutes, replyMsMax?: number) =>
      loadRoutesApart({ ...request, plugins: [plugin] }, inForce, replyMsMax),
    plugin: (text: string) => {
      writeFileSync(join(folder, 'plugin.ts'), text);
      return join(folder, 'plugin.ts');
    },
  };
}

describe('a routes file that is read beside the calls in hand', () => {
  test('is told to be unread where a plug-in ends the thread, and the next one is read', async t => {
    const { save, atOnce, apart, apartWith, plugin } = inFolder(t);
    save(fileOf(1));
    const first = atOnce().routes ?? assert.fail();

    const ended = apartWith(plugin('process.exit();'), first);

    await assert.rejects(ended, /does a plug-in end the process/);
    assert.deepEqual((await apart(first)).problems, []);
  });

  test('is told to be unread where a plug-in loops in the thread, and the next one is read', async t => {
    const { save, atOnce, apart, apartWith, plugin } = inFolder(t);
    save(fileOf(1));
    const first = atOnce().routes ?? assert.fail();

    const looping = apartWith(plugin('for (;;);'), first, 1_000);

    await assert.rejects(looping, /has not replied for 1 s: does a plug-in loop/);
    assert.deepEqual((await apart(first)).problems, []);
  });

  test('means the same as one that is read at the start', async t => {
    const { save, atOnce, apart } = inFolder(t);
    save(fileOf(300));
    const first = atOnce().routes ?? assert.fail();

    const { routes, problems } = await apart({ ...first, made: { around: '', byKey: new Map(), policies: new Map() } });

    assert.deepEqual(problems, []);
    assert.equal(JSON.stringify(routes?.specs), JSON.stringify(first.specs));
    assert.deepEqual(routes?.services, first.services);
  });

  test('has the routes in force for those that did not change, and new ones for the others', async t => {
    const { save, atOnce, apart } = inFolder(t);
    save(fileOf(300));
    const first = atOnce().routes ?? assert.fail();
    save(`# moved\n${fileOf(301, i => (i === 7 ? '5s' : '30s'))}`);

    const { routes } = await apart(first);
    const other = await apart(first, 'other');

    const isSame = routes?.specs.map((spec, i) => spec === first.specs[i]) ?? [];
    assert.deepEqual([isSame.filter(Boolean).length, isSame[7], isSame[300]], [299, false, false]);
    for (const [name, policy] of first.services) assert.equal(routes?.services.get(name), policy, 'nor did services');
    assert.equal(routes?.specs[7]?.policy.timeoutMs, 5_000);
    assert.ok(
      other.routes?.specs.every((spec, i) => spec !== first.specs[i]),
      'a reference holds something else',
    );
  });

  test('is refused with all that is wrong with it', async t => {
    const { save, atOnce, apart } = inFolder(t);
    save(fileOf(3));
    const first = atOnce().routes ?? assert.fail();
    save(fileOf(3, i => (i === 1 ? '30' : '30s')));

    const { routes, problems } = await apart(first);

    assert.equal(routes, undefined);
    assert.deepEqual(
      problems.map(({ line, path, message }) => [line, path, message]),
      [[11, 'routes[1].timeout', 'must be text']],
    );
  });

  test('holds up no call for long, though there are thousands of routes', async t => {
    const { save, atOnce, apart } = inFolder(t);
    save(fileOf(1));
    const first = atOnce().routes ?? assert.fail();
    save(fileOf(3_000));
    const wholeMs = cpuMs(() => atOnce());

    const reading = await withStalls(apart(first));
    const indexing = await withStalls(inSlices(routeTableSteps(reading.result.routes?.specs ?? [])));

    assert.equal(indexing.result.routes.length, 3_000);
    assert.ok(reading.turns + indexing.turns > 10, 'other work has its turns');
    const longestMs = Math.max(reading.longestMs, indexing.longestMs);
    assert.ok(longestMs < 50, `${longestMs} ms, where reading it at once takes ${wholeMs} ms`);
  });
});

describe('reloads', () => {
  /** Generations whose readings end when the test says so. */
  function generations({ text = 'routes: []', find = (): unknown => undefined } = {}) {
    const first = { routes: soundRoutes(text), problems: [], secrets: [] };
    const readings: { end: (now: RoutesNow) => void; fail: (error: Error) => void }[] = [];
    const reported: string[] = [];
    const made = createGenerations({
      first,
      read: () => new Promise((end, fail) => readings.push({ end, fail })),
      ...{
        inSlices,
        unpack,
        clock: manualClock(),
        follow: () => undefined,
        observe: ({ kind }) => reported.push(kind),
      },
      registry: { adopt: () => undefined, find } as unknown as ServiceRegistry,
    });
    return { made, first, readings, reported };
  }

  test('take a route that did not change as it is, unless its service is another', async () => {
    let service = { name: 'fuel' };
    const text = "routes: [{ id: fuel, uri: lb://fuel, predicates: ['Path=/fuel'] }]";
    const { made, first, readings } = generations({ text, find: () => service });
    const reloaded = async () => {
      const reload = made.reload();
      readings.at(-1)?.end(first);
      await reload;
      return made.current().routes[0];
    };
    const [route] = made.current().routes;

    assert.equal(await reloaded(), route);
    service = { name: 'fuel' };
    const other = await reloaded();

    assert.notEqual(other, route);
    assert.equal(other?.service, service);
  });

  test('that are asked for while one is under way share one after it', async () => {
    const { made, first, readings } = generations();
    const [one, two, three] = [made.reload(), made.reload(), made.reload()];

    readings[0]?.end(first);
    assert.equal((await one).generation, 2);
    assert.equal(readings.length, 2);
    readings[1]?.end(first);

    assert.deepEqual([(await two).generation, (await three).generation, readings.length], [3, 3, 2]);
  });

  test('that break off are reported, and the next one is not kept from loading', async () => {
    const { made, first, readings, reported } = generations();
    const broken = made.reload();

    readings[0]?.fail(new Error('out of memory'));

    assert.equal((await broken).kind, 'refused');
    assert.match(made.state().error ?? '', /could not be loaded: out of memory/);
    const next = made.reload();
    readings[1]?.end(first);
    assert.equal((await next).kind, 'loaded');
    assert.deepEqual([made.state().error, reported], [null, ['config-refused', 'config-loaded']]);
  });
});
