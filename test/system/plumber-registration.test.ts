import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test, type TestContext } from 'node:test';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';
import { heldCalls, misbehave, startPlumberService, type PlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

interface Entry {
  Service: { ID: string; Address: string; Port: number; Tags: string[]; Meta: Record<string, string> };
  Checks: { CheckID: string; Status: string }[];
}

/** A service that knows the agent, and has registered. */
async function startRegistered(
  t: TestContext,
  service: string,
  { consul, env = {} }: { consul: ConsulAgent; env?: Readonly<Record<string, string>> },
) {
  const settings = { CONSUL_HTTP_ADDR: consul.url, PENSTOCK_CONSUL_POLL_S: '1', ...env };
  const started = await startPlumberService(t, service, { env: settings });
  await started.event('registered');
  return started;
}

async function entriesOf(consul: ConsulAgent, name: string): Promise<Entry[]> {
  return (await consul.get(`/v1/health/service/${name}`).catch(() => [])) as Entry[];
}

const statusOf = (entry: Entry | undefined) => entry?.Checks.find(check => check.CheckID.startsWith('ping:'))?.Status;

/** Consul takes a moment to report what its agent has checked, and a busy machine may be late for a check. */
function untilStatus(consul: ConsulAgent, name: string, status: string): Promise<void> {
  return until(async () => statusOf((await entriesOf(consul, name))[0]) === status, `${name} is ${status}`);
}

/** What the agent's one check said last. */
async function checkOutput(consul: ConsulAgent): Promise<string> {
  const checks = (await consul.get('/v1/agent/checks')) as Record<string, { Output: string }>;
  return Object.values(checks)[0]?.Output ?? '';
}

/** What the registrar has said so often, at least. */
const untilSaid = ({ lines }: PlumberService, event: string, times: number) =>
  until(() => lines.filter(line => line.event === event).length >= times, `${event}, ${times} times`);

// One after the other, each by itself in the same Consul.
test('a registered service', async t => {
  const consul = await startConsulAgent(t);

  await t.test(
    'says where it is, which version of what, and how it is checked; Consul never sees its secret',
    async own => {
      const secret = { PLUMBER_SHARED_SECRET: 'sesame-sesame' };
      const env = { PENSTOCK_TAGS: 'v1, blue', PENSTOCK_WEIGHT: '3', PENSTOCK_CHECK_INTERVAL_S: '1', ...secret };
      const fuel = await startRegistered(own, 'fuel', { consul, env });

      await untilStatus(consul, 'fuel', 'passing');
      const [entry, ...others] = await entriesOf(consul, 'fuel');
      const service = (await consul.get(`/v1/agent/service/${entry?.Service.ID ?? ''}`)) as Record<string, unknown>;

      assert.equal(others.length, 0);
      assert.equal(entry?.Service.ID, `fuel-${hostname()}-${fuel.port}`);
      assert.equal(`http://${entry.Service.Address}:${entry.Service.Port}`, fuel.url);
      assert.deepEqual(entry.Service.Tags, ['plumber', 'v1', 'blue']);
      assert.equal(entry.Service.Meta['model'], 'fuel');
      assert.match(String(entry.Service.Meta['version']), /^1\.0\.0-[0-9a-f]{8}$/);
      assert.equal(entry.Service.Meta['concurrency'], '1');
      assert.deepEqual(service['Weights'], { Passing: 3, Warning: 1 });
      await until(async () => (await checkOutput(consul)).startsWith(`HTTP GET ${fuel.url}/ping: 200 OK`), 'a check');
      const all = [entry, await consul.get('/v1/agent/services'), await consul.get('/v1/agent/checks')];
      assert.doesNotMatch(JSON.stringify(all), /sesame/);

      await own.test('and leaves Consul when serve.sh is killed', async () => {
        fuel.child.kill('SIGKILL');

        await until(async () => (await entriesOf(consul, 'fuel')).length === 0, 'fuel has left');
      });
    },
  );

  await t.test('is registered again while R computes, as critical until R has answered', async own => {
    const service = await startRegistered(own, misbehave, { consul, env: { PENSTOCK_CHECK_INTERVAL_S: '1' } });
    const held = heldCalls(own);
    const inHand = fetch(service.url + held.path, { headers: { connection: 'close' } });
    await service.event('r-output');

    await consul.put(`/v1/agent/service/deregister/misbehave-${hostname()}-${service.port}`);

    await untilStatus(consul, 'misbehave', 'critical');
    held.release();
    assert.equal((await inHand).status, 200);
    await untilStatus(consul, 'misbehave', 'passing');

    await own.test('and has left Consul before R is done with the call in hand', async () => {
      const again = heldCalls(own);
      const last = fetch(service.url + again.path, { headers: { connection: 'close' } });
      await untilSaid(service, 'r-output', 2);

      service.child.kill('SIGTERM');
      await until(async () => (await entriesOf(consul, 'misbehave')).length === 0, 'it has left');
      again.release();

      const answer = await last;
      assert.deepEqual([answer.status, await answer.json()], [200, { pid: service.rPid }]);
      assert.equal(await service.ended, 0);
    });
  });

  await t.test('leaves Consul when R ends by itself', async own => {
    const service = await startRegistered(own, misbehave, { consul });

    await assert.rejects(fetch(`${service.url}/crash`, { headers: { connection: 'close' } }));

    assert.equal(await service.ended, 1);
    assert.deepEqual(await entriesOf(consul, 'misbehave'), []);
  });

  await t.test('serves without Consul, and registers when there is one, as often as it comes back empty', async own => {
    await consul.kill();
    const env = { CONSUL_HTTP_ADDR: consul.url, PENSTOCK_CONSUL_POLL_S: '1' };
    const fuel = await startPlumberService(own, 'fuel', { env });
    await fuel.event('registration-failed');
    const ping = await fetch(`${fuel.url}/ping`, { headers: { connection: 'close' } });

    await consul.start();
    assert.equal(ping.status, 200);
    await fuel.event('registered');
    await consul.kill();
    await untilSaid(fuel, 'registration-failed', 2);
    await consul.start();

    await untilStatus(consul, 'fuel', 'passing');
  });
});
