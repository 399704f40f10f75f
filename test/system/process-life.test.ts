import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onWholeLine } from '../support/whole-lines.ts';
import { freePort, listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const MAIN = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url));

/** Makes two mistakes that nothing catches, when it is told to. */
const MISTAKES = `data:text/javascript,process.on('SIGUSR2', () => {
  setImmediate(() => { throw new Error('nobody caught me') });
  Promise.reject(new Error('nor me'));
})`;

type Line = Record<string, unknown> & { event: string };

/** A gateway as a process of its own, before a small server that answers when it is told to. */
async function startGateway(t: TestContext) {
  const folder = aFolder(t);
  const held: (() => void)[] = [];
  const upstream = createServer((_req, res) => {
    held.push(() => res.end('answered'));
    upstream.emit('held');
  });
  const upstreamPort = await listen(t, upstream);
  const ports = [await freePort(), await freePort()] as const;
  const routesFile = join(folder, 'routes.yaml');
  writeFileSync(
    join(folder, 'gateway.yaml'),
    `listen: { host: 127.0.0.1, port: ${ports[0]} }\nadmin: { port: ${ports[1]} }\ndrain: { grace: 10ms, timeout: 20s }\n`,
  );
  writeFileSync(routesFile, `routes: [{ id: x, uri: 'http://127.0.0.1:${upstreamPort}', predicates: [Path=/x] }]\n`);

  const args = ['--import', MISTAKES, MAIN, 'serve', '--config', join(folder, 'gateway.yaml')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const log = followLog(child);
  await log.until(({ event, phase }) => event === 'process' && phase === 'ready');
  return {
    ...{ child, log, upstream, held, routesFile },
    gateway: `http://127.0.0.1:${ports[0]}`,
    admin: `http://127.0.0.1:${ports[1]}`,
    adminPort: ports[1],
  };
}

function followLog({ stdout }: ChildProcess) {
  assert.ok(stdout);
  const lines: Line[] = [];
  const news = new EventEmitter<{ line: [] }>();
  onWholeLine(stdout, line => {
    lines.push(JSON.parse(line) as Line);
    news.emit('line');
  });
  return {
    lines,
    async until(isMeant: (line: Line) => boolean): Promise<Line> {
      for (;;) {
        const found = lines.find(isMeant);
        if (found !== undefined) return found;
        await once(news, 'line');
      }
    },
  };
}

const call = (url: string, init: RequestInit = {}) => fetch(url, { headers: { connection: 'close' }, ...init });

describe('the process', () => {
  test('finishes what is in hand on SIGTERM, and exits with 0', async t => {
    const { child, log, upstream, held, gateway } = await startGateway(t);
    const taken = once(upstream, 'held');
    const answer = call(`${gateway}/x`);
    await taken;

    child.kill('SIGTERM');
    await log.until(({ phase }) => phase === 'refusing');
    held[0]?.();

    assert.equal(await (await answer).text(), 'answered');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(log.lines.at(-1)?.['phase'], 'stopped');
  });

  test('is unready while it drains, and shows it', async t => {
    const { child, log, upstream, held, gateway, admin } = await startGateway(t);
    const taken = once(upstream, 'held');
    const answer = call(`${gateway}/x`);
    await taken;

    child.kill('SIGTERM');
    await log.until(({ phase }) => phase === 'refusing');
    const readiness = await call(`${admin}/readyz`);

    assert.equal(readiness.status, 503);
    assert.deepEqual(((await readiness.json()) as { reasons: string[] }).reasons, ['refusing']);
    held[0]?.();
    await (await answer).text();
    await once(child, 'exit');
  });

  test('exits at once on a second signal', async t => {
    const { child, log, upstream, gateway } = await startGateway(t);
    const taken = once(upstream, 'held');
    const cutOff = assert.rejects(call(`${gateway}/x`));
    await taken;
    child.kill('SIGTERM');
    await log.until(({ phase }) => phase === 'refusing');

    child.kill('SIGINT');

    assert.deepEqual(await once(child, 'exit'), [130, null]);
    await cutOff;
  });

  test('reloads on SIGHUP, and keeps the old routes where the file has errors', async t => {
    const { child, log, gateway, admin, routesFile } = await startGateway(t);
    writeFileSync(routesFile, 'routs: []\n');

    child.kill('SIGHUP');
    await log.until(({ event }) => event === 'config-refused');

    const { config, ready } = (await (await call(`${admin}/readyz`)).json()) as {
      config: { generation: number; error: string };
      ready: boolean;
    };
    assert.deepEqual([ready, config.generation], [true, 1]);
    assert.match(config.error, /routes\.yaml:1:1/);
    assert.match(await (await call(`${admin}/metrics`)).text(), /^penstock_config_reload_success 0$/m);
    assert.equal((await call(`${gateway}/nothing`)).status, 404);
  });

  test('serves on when its log is read no more', async t => {
    const { child, gateway, admin } = await startGateway(t);
    child.stdout.destroy();

    for (let i = 0; i < 5; i++) assert.equal((await call(`${gateway}/nothing`)).status, 404);

    const metrics = await (await call(`${admin}/metrics`)).text();
    assert.match(metrics, /^penstock_log_lines_dropped_total [1-9]/m);
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  test('survives uncaught errors: logged with their stacks, and counted', async t => {
    const { child, log, gateway, admin } = await startGateway(t);

    child.kill('SIGUSR2');
    const thrown = await log.until(({ where }) => where === 'uncaughtException');
    const rejected = await log.until(({ where }) => where === 'unhandledRejection');

    assert.match(String(thrown['stack']), /^Error: nobody caught me\n +at /);
    assert.match(String(rejected['stack']), /^Error: nor me\n +at /);
    assert.equal((await call(`${gateway}/nothing`)).status, 404);
    assert.match(await (await call(`${admin}/metrics`)).text(), /^penstock_internal_errors_total 2$/m);
  });

  test('says in words that its port is taken', async t => {
    const { child, adminPort } = await startGateway(t);
    const folder = aFolder(t);
    const port = await freePort();
    writeFileSync(join(folder, 'gateway.yaml'), `listen: { port: ${port} }\nadmin: { port: ${adminPort} }\n`);
    writeFileSync(join(folder, 'routes.yaml'), 'routes: []\n');

    const second = spawn(process.execPath, [MAIN, 'serve', '--config', join(folder, 'gateway.yaml')]);
    const said = text(second.stderr);

    assert.deepEqual(await once(second, 'exit'), [1, null]);
    assert.match(
      await said,
      new RegExp(`^penstock: port ${adminPort} on 127\\.0\\.0\\.1 is taken by another process;`),
    );
    assert.equal(child.exitCode, null);
  });

  test('does not start with files that have errors, and shows each as check does', async t => {
    const folder = aFolder(t);
    writeFileSync(join(folder, 'gateway.yaml'), 'lisen: {}\n');
    writeFileSync(join(folder, 'routes.yaml'), 'routs: []\n');

    const child = spawn(process.execPath, [MAIN, 'serve', '--config', join(folder, 'gateway.yaml')]);
    const said = text(child.stderr);

    assert.deepEqual(await once(child, 'exit'), [1, null]);
    assert.match(await said, /gateway\.yaml:1:1: error: .*\n {2}1 \| lisen: \{\}\n +\^\n/);
    assert.match(await said, /routes\.yaml:1:1: error: .*\n {2}1 \| routs: \[\]\n +\^\n/);
  });
});
