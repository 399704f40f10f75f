import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import { before, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';
import { heldCalls, misbehave, startPlumberService } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';

const services = fileURLToPath(new URL('../../plumber-services/', import.meta.url));

interface Entry {
  Service: { ID: string; Address: string; Port: number; Tags: string[]; Meta: Record<string, string> };
  Checks: { CheckID: string; Status: string }[];
}

before(() => {
  execFileSync(`${services}train.sh`, { stdio: 'ignore' });
});

/** A service that is told of the agent, and has registered. */
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

/** Consul takes a moment to tell of what its agent has checked, and a busy machine may be late for a check. */
function untilStatus(consul: ConsulAgent, name: string, status: string): Promise<void> {
  return until(async () => statusOf((await entriesOf(consul, name))[0]) === status, `${name} is ${status}`);
}

/** What the agent's one check said last. */
async function checkOutput(consul: ConsulAgent): Promise<string> {
  const checks = (await consul.get('/v1/agent/checks')) as Record<string, { Output: string }>;
  return Object.values(checks)[0]?.Output ?? '';
}

describe('a registered service', () => {
  test('says where it is, which version of what, and how it is checked', async t => {
    const consul = await startConsulAgent(t);
    const env = { PENSTOCK_TAGS: 'v1, blue', PENSTOCK_WEIGHT: '3', PENSTOCK_CHECK_INTERVAL_S: '1' };
    const fuel = await startRegistered(t, 'fuel', { consul, env });

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
  });

  test('has left Consul before R is done with the call in hand', async t => {
    const consul = await startConsulAgent(t);
    const service = await startRegistered(t, misbehave, { consul });
    const held = heldCalls(t);
    const inHand = fetch(service.url + held.path, { headers: { connection: 'close' } });
    await service.event('r-output');

    service.child.kill('SIGTERM');
    await until(async () => (await entriesOf(consul, 'misbehave')).length === 0, 'it has left');
    held.release();

    const answer = await inHand;
    assert.deepEqual([answer.status, await answer.json()], [200, { pid: service.rPid }]);
    assert.equal(await service.ended, 0);
  });

  test('is registered again when Consul comes back empty', async t => {
    const consul = await startConsulAgent(t);
    const fuel = await startRegistered(t, 'fuel', { consul });

    await consul.kill();
    await fuel.event('registration-failed');
    await consul.start();

    await untilStatus(consul, 'fuel', 'passing');
  });

  test('is registered again while R computes, as critical until R has answered', async t => {
    const consul = await startConsulAgent(t);
    const service = await startRegistered(t, misbehave, { consul, env: { PENSTOCK_CHECK_INTERVAL_S: '1' } });
    const held = heldCalls(t);
    const inHand = fetch(service.url + held.path, { headers: { connection: 'close' } });
    await service.event('r-output');

    await consul.put(`/v1/agent/service/deregister/misbehave-${hostname()}-${service.port}`);

    await untilStatus(consul, 'misbehave', 'critical');
    held.release();
    assert.equal((await inHand).status, 200);
    await untilStatus(consul, 'misbehave', 'passing');
  });

  test('leaves Consul when R ends by itself', async t => {
    const consul = await startConsulAgent(t);
    const service = await startRegistered(t, misbehave, { consul });

    await assert.rejects(fetch(`${service.url}/crash`, { headers: { connection: 'close' } }));

    assert.equal(await service.ended, 1);
    assert.deepEqual(await entriesOf(consul, 'misbehave'), []);
  });

  test('leaves Consul when serve.sh is killed', async t => {
    const consul = await startConsulAgent(t);
    const fuel = await startRegistered(t, 'fuel', { consul });

    fuel.child.kill('SIGKILL');

    await until(async () => (await entriesOf(consul, 'fuel')).length === 0, 'fuel has left');
  });

  test('serves without Consul, and registers when there is one', async t => {
    const consul = await startConsulAgent(t);
    await consul.kill();
    const fuel = await startPlumberService(t, 'fuel', { env: { CONSUL_HTTP_ADDR: consul.url } });
    await fuel.event('registration-failed');
    const ping = await fetch(`${fuel.url}/ping`, { headers: { connection: 'close' } });

    await consul.start();

    assert.equal(ping.status, 200);
    await fuel.event('registered');
  });

  test('is checked without the secret it asks of callers, which Consul never sees', async t => {
    const consul = await startConsulAgent(t);
    const env = { PLUMBER_SHARED_SECRET: 'sesame-sesame', PENSTOCK_CHECK_INTERVAL_S: '1' };
    await startRegistered(t, 'fuel', { consul, env });

    await until(async () => (await checkOutput(consul)).includes('200 OK'), 'Consul has checked');
    await untilStatus(consul, 'fuel', 'passing');
    const [entry] = await entriesOf(consul, 'fuel');
    const all = [entry, await consul.get('/v1/agent/services'), await consul.get('/v1/agent/checks')];

    assert.match(String(entry?.Service.Meta['version']), /^1\.0\.0-/);
    assert.doesNotMatch(JSON.stringify(all), /sesame/);
  });
});
