import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { StatusReport } from '../../gateway/domain/discovery/status-text.ts';
import { systemClock, systemRandom } from '../../gateway/edges/clock.ts';
import { createConsulRegistration, type ConsulRegistration } from '../../gateway/edges/consul-registration.ts';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';
import { until } from '../support/until.ts';

interface Check {
  readonly Status: string;
  readonly Output: string;
}

const well: StatusReport = { status: 'passing', output: '1 service\nfuel: 2 of 2 pass, 0 busy, 0 ejected' };

function registerGateway(t: TestContext, address: string, report: () => StatusReport = () => well) {
  const reported = new EventEmitter<{ event: [GatewayEvent] }>();
  const events: GatewayEvent[] = [];
  const registration = createConsulRegistration({
    config: { address, token: undefined },
    advertise: { host: '10.0.0.7', port: 8080 },
    ...{ report, clock: systemClock, random: systemRandom, ttlMs: 3_000 },
    observe: event => {
      events.push(event);
      reported.emit('event', event);
    },
  });
  t.after(() => registration.close()); // where a test failed before it did so itself
  return { registration, events, reported };
}

async function checkOf(agent: ConsulAgent, { id }: ConsulRegistration): Promise<Check | undefined> {
  const checks = (await agent.get('/v1/agent/checks')) as Record<string, Check>;
  return checks[`service:${id}`];
}

describe('the registration of the gateway', { concurrency: false }, () => {
  test('says in Consul where the gateway is and what it sees, until it is closed', async t => {
    const agent = await startConsulAgent(t);
    const { registration, events } = registerGateway(t, agent.url);

    registration.start();
    await until(async () => (await checkOf(agent, registration))?.Output === well.output, 'the check says it all');

    assert.equal(registration.id, 'penstock-10.0.0.7-8080');
    const service = (await agent.get(`/v1/agent/service/${registration.id}`)) as Record<string, unknown>;
    assert.deepEqual([service['Service'], service['Address'], service['Port']], ['penstock', '10.0.0.7', 8080]);
    assert.equal((await checkOf(agent, registration))?.Status, 'passing');
    await registration.close();
    assert.equal(await agent.get(`/v1/agent/service/${registration.id}`), undefined);
    assert.deepEqual(events, []);
  });

  test('tells at once what changes, and the colour of it', async t => {
    const agent = await startConsulAgent(t);
    let report: StatusReport = well;
    const { registration } = registerGateway(t, agent.url, () => report);
    registration.start();

    for (const status of ['warning', 'critical', 'passing'] as const) {
      report = { status, output: `now ${status}` };
      await registration.refresh();
      const check = await checkOf(agent, registration);
      assert.deepEqual([check?.Status, check?.Output], [status, `now ${status}`]);
    }
    await registration.close();
  });

  test('registers again when Consul has forgotten it, and says once that Consul was away', async t => {
    const agent = await startConsulAgent(t);
    const { registration, events, reported } = registerGateway(t, agent.url);
    registration.start();
    await until(async () => (await checkOf(agent, registration)) !== undefined, 'it is registered');

    await agent.kill();
    const lost = once(reported, 'event');
    await registration.refresh();
    await lost;
    await registration.refresh();
    await agent.start();
    await until(async () => (await checkOf(agent, registration))?.Output === well.output, 'it is registered again');
    await registration.close();

    const texts = events.map(event => (event.kind === 'notice' ? event.text : event.kind));
    assert.deepEqual(texts, ['this gateway is not registered in Consul', 'registered in Consul']);
  });

  test('deregisters only when a registration under way is over', async t => {
    const paths: string[] = [];
    const reported = new EventEmitter<{ registering: [] }>();
    const consul = createHttpServer(({ url = '' }, response) => {
      const path = url.replace(/^\/v1\/agent\/(\w+)\/(\w+).*/, '$1 $2');
      paths.push(path);
      if (path !== 'service register') {
        response.writeHead(path === 'check pass' && paths.length === 1 ? 404 : 200).end();
        return;
      }
      reported.emit('registering');
      systemClock.after(200, () => {
        paths.push('registered');
        response.end();
      });
    });
    await once(consul.listen(0, '127.0.0.1'), 'listening');
    t.after(() => once(consul.close(), 'close'));
    const { port } = consul.address() as AddressInfo;
    const { registration } = registerGateway(t, `http://127.0.0.1:${port}`);
    const registering = once(reported, 'registering');
    registration.start();
    await registering;

    await registration.close();

    assert.deepEqual(paths, ['check pass', 'service register', 'registered', 'check pass', 'service deregister']);
  });

  test('closes in time where Consul hangs', async t => {
    const sockets = new Set<Socket>();
    const swallowing = createServer(socket => sockets.add(socket.on('error', () => undefined).resume()));
    await once(swallowing.listen(0, '127.0.0.1'), 'listening');
    t.after(async () => {
      for (const socket of sockets) socket.destroy();
      await once(swallowing.close(), 'close');
    });
    const { port } = swallowing.address() as AddressInfo;
    const { registration } = registerGateway(t, `http://127.0.0.1:${port}`);
    const requested = once(swallowing, 'connection');
    registration.start();
    await requested;

    const startedMs = performance.now();
    await registration.close();

    assert.ok(performance.now() - startedMs < 10_000, 'it gives up by itself');
  });
});
