import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../../gateway/setup/ports.mjs';
import { ensureServer } from '../support/servers.mjs';
import { anEcho, MISBEHAVE, misbehavingRoutes, startCluster } from '../support/cluster.ts';
import { startConsulServers } from '../support/consul-servers.ts';
import { IDENTITY, startGatewayProcess } from '../support/gateway-process.ts';
import { startLoad } from '../support/load.ts';
import { misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';
import { inspectorAt, openLiveHeap } from './live-heap.ts';
import { listen } from '../support/node-server.ts';
import { aFolder } from '../support/folder.ts';

const ROUTES = 10_000;
const RELOAD_SECONDS = Number(process.env['PENSTOCK_RELOAD_SECONDS'] ?? 60);
const HEAP_GROWTH_MAX = 0.1;
const RELOAD_MS_MAX = 180_000;

/** An instance that answers with its name and the path it was asked for. */
async function startNamed(t: TestContext, name: string): Promise<string> {
  const server = createServer((req, res) => void res.end(`${name} ${req.url ?? ''}`));
  const port = await listen(t, server);
  return `http://127.0.0.1:${port}`;
}

/** Ten thousand routes to one service, which is told by the path that it is asked for: half a table would tell both. */
function tableOf(name: string): string {
  const routes = Array.from(
    { length: ROUTES },
    (_, i) =>
      `  - { id: r${i}, uri: lb://${name}, predicates: ['Path=/r${i}/**'], filters: ['SetPath=/${name}/${i}'] }`,
  );
  return `services: { a: { concurrency: 64 }, b: { concurrency: 64 } }\nroutes:\n${routes.join('\n')}\n`;
}

test('10,000 routes are swapped back and forth, and no call fails or sees half a table', async t => {
  const [a, b, inspector] = [await startNamed(t, 'a'), await startNamed(t, 'b'), await freePort()];
  process.env['NODE_OPTIONS'] = inspectorAt(inspector);
  const gateway = await startGatewayProcess(t, {
    discovery: `{ static: [{ service: a, instances: ['${a}'] }, { service: b, instances: ['${b}'] }] }`,
    routes: tableOf('a'),
  });
  delete process.env['NODE_OPTIONS'];
  const heap = await openLiveHeap(gateway.pid, inspector);
  t.after(() => heap.close());
  const reload = async (name: string) => {
    const { generation } = (await gateway.readyz()).body.config;
    writeFileSync(`${gateway.routesFile}.new`, tableOf(name));
    renameSync(`${gateway.routesFile}.new`, gateway.routesFile);
    await until(
      async () => (await gateway.readyz()).body.config.generation > generation,
      'the next generation',
      RELOAD_MS_MAX,
    );
  };
  const ends: Record<string, number> = {};
  const called = new Set<number>();
  const over = new AbortController();
  const callOnAndOn = async (first: number) => {
    for (let i = first; !over.signal.aborted; i = (i + 7_919) % ROUTES) {
      called.add(i);
      const response = await fetch(`${gateway.url}/r${i}/x`);
      const text = await response.text();
      const end = text === `a /a/${i}` || text === `b /b/${i}` ? text.slice(0, 1) : `${response.status} ${text}`;
      ends[end] = (ends[end] ?? 0) + 1;
      await setTimeout(2);
    }
  };

  const callers = Promise.all([0, 2_500, 5_000, 7_500].map(callOnAndOn)); // together they come by each route soon
  for (const name of ['b', 'a']) await reload(name);
  await until(() => called.size === ROUTES, 'each route was called, and has its series', RELOAD_MS_MAX); // warm by then
  const before = await heap.bytes();
  const untilMs = performance.now() + RELOAD_SECONDS * 1_000;
  let swaps = 0;
  for (; performance.now() < untilMs; swaps += 2) for (const name of ['b', 'a']) await reload(name);
  over.abort();
  await callers;
  await gateway.untilIdle();
  const after = await heap.bytes();

  t.diagnostic(JSON.stringify({ swaps, ends, before, after }));
  assert.deepEqual(Object.keys(ends).sort(), ['a', 'b']);
  assert.ok(swaps >= 2 && after < before * (1 + HEAP_GROWTH_MAX), `the heap went from ${before} to ${after} bytes`);
});

/** HAProxy before gateways, of which it asks whether they are ready. */
async function startHaproxy(t: TestContext, servers: readonly { readonly port: number; readonly adminPort: number }[]) {
  const [folder, port] = [aFolder(t), await freePort()];
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 5s
  retries 3
  option redispatch
frontend callers
  bind 127.0.0.1:${port}
  default_backend gateways
backend gateways
  balance roundrobin
  option httpchk GET /readyz
${servers.map(({ port, adminPort }, i) => `  server g${i} 127.0.0.1:${port} check port ${adminPort} inter 200ms fall 1 rise 1`).join('\n')}
`,
  );
  const child = spawn(await ensureServer('haproxy'), ['-db', '-f', config], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await until(
    () =>
      new Promise<boolean>(resolve => {
        const socket = connect({ host: '127.0.0.1', port }, () => resolve(true));
        socket.on('error', () => resolve(false)).on('close', () => socket.destroy());
        socket.once('connect', () => socket.end());
      }),
    'HAProxy listens',
  );
  return `http://127.0.0.1:${port}`;
}

test('two gateways behind HAProxy, and all R behind them, are started anew, and no request is lost', async t => {
  const cluster = await startCluster(t, { services: [MISBEHAVE, MISBEHAVE], routes: misbehavingRoutes() });
  const ports = await Promise.all([0, 1].map(async () => ({ port: await freePort(), adminPort: await freePort() })));
  const start = ({ port, adminPort }: { port: number; adminPort: number }) =>
    startGatewayProcess(t, {
      ...{ routes: misbehavingRoutes(), adminPort, listen: `port: ${port}` },
      more: `${IDENTITY}\ndrain: { grace: 5s, timeout: 30s }`,
      discovery: `{ consul: { address: '${cluster.consul.url}', snapshot: roster.json } }`,
    });
  const gateways = await Promise.all(ports.map(start));
  const url = await startHaproxy(t, ports);
  const [pure, once_] = ['/pure/predict', '/once/predict'].map(path =>
    startLoad({ url, connections: 4, restMs: 2, make: anEcho(path) }),
  );
  assert.ok(pure && once_);
  await pure.more(200);

  for (const [i, where] of ports.entries()) {
    gateways[i]?.child.kill('SIGTERM');
    assert.equal(await gateways[i]?.ended, 0);
    const next = await start(where);
    await until(
      async () => (await next.service(MISBEHAVE)).instances.some(({ requests }) => requests > 20),
      'it serves',
    );
  }
  for (const old of cluster.services) {
    await cluster.add();
    old.child.kill('SIGTERM');
    await old.ended;
    await pure.more(50);
  }
  const [repeatable, others] = await Promise.all([pure.stop(), once_.stop()]);

  t.diagnostic(JSON.stringify({ repeatable, others }));
  assert.deepEqual(repeatable.ends, { 200: repeatable.calls });
  assert.deepEqual(others.ends, { 200: others.calls });
});

test('the leader of a Consul of three servers goes, and no request is lost', async t => {
  const servers = await startConsulServers(t);
  const leads = await Promise.all(servers.map(server => server.isLeader()));
  const leader = servers[leads.indexOf(true)];
  const follower = servers[leads.indexOf(false)];
  assert.ok(leader && follower);
  const env = { CONSUL_HTTP_ADDR: follower.url, PENSTOCK_CONSUL_POLL_S: '1', PENSTOCK_CHECK_INTERVAL_S: '1' };
  const rs = await Promise.all([1, 2].map(() => startPlumberService(t, misbehave, { env })));
  await Promise.all(rs.map(r => r.event('registered')));
  const gateway = await startGatewayProcess(t, {
    ...{ routes: misbehavingRoutes(), more: IDENTITY },
    discovery: `{ consul: { address: '${follower.url}', snapshot: roster.json } }`,
  });
  const inRotation = async () =>
    (await gateway.service(MISBEHAVE)).instances.filter(({ state }) => state === 'in-rotation');
  await until(async () => (await inRotation()).length === 2, 'both are in rotation');
  const load = startLoad({ url: gateway.url, connections: 4, restMs: 2, make: anEcho('/once/predict') });
  await load.more(100);

  await leader.kill();
  await until(
    async () => !['', undefined].includes(await follower.leader()) && !(await leader.isLeader()),
    'another',
    60_000,
  );
  await load.more(200);
  const third = await startPlumberService(t, misbehave, { env });
  await third.event('registered');
  await until(async () => (await inRotation()).length === 3, 'what comes afterwards is known', 60_000);
  const { calls, ends } = await load.stop();

  t.diagnostic(JSON.stringify({ calls, ends }));
  assert.deepEqual(ends, { 200: calls });
});
