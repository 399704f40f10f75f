import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { systemClock, systemRandom } from '../../gateway/edges/clock.ts';
import { watchConsulPeers } from '../../gateway/edges/consul-service.ts';
import type { ConsulPace } from '../../gateway/edges/consul-watch.ts';
import { startConsulAgent, type ConsulAgent } from '../support/consul-agent.ts';

const BRISK: ConsulPace = {
  waitMs: 30_000,
  answerMsMax: 5_000,
  betweenMsMin: 20,
  backOff: { baseMs: 20, maxMs: 100 },
};

function watchPeers(t: TestContext, address: string, emptyHoldMs = 60_000) {
  const reported = new EventEmitter<{ reported: [] }>();
  const events: GatewayEvent[] = [];
  const receivedFrom: (readonly string[])[] = [];
  const watch = watchConsulPeers({
    config: { address, token: undefined, emptyHoldMs },
    ...{ self: 'penstock-a', clock: systemClock, random: systemRandom, pace: BRISK },
    observe: event => {
      events.push(event);
      reported.emit('told');
    },
    onPeers: peers => {
      assert.equal(peers.self, 'penstock-a');
      receivedFrom.push(peers.gateways);
      reported.emit('told');
    },
  });
  t.after(() => watch.close());
  const received = async (holds: () => boolean) => {
    while (!holds()) await once(reported, 'told');
  };
  return {
    events,
    are: (...expected: string[]) => received(() => receivedFrom.at(-1)?.join() === expected.join()),
    says: (text: string) => received(() => events.some(event => event.kind === 'notice' && event.text === text)),
    doubts: () => received(() => events.some(({ kind }) => kind === 'roster-doubted')),
    received: receivedFrom,
  };
}

async function register(agent: ConsulAgent, name: string, status = 'passing'): Promise<void> {
  const port = 8080 + name.charCodeAt(0);
  await agent.put('/v1/agent/service/register', {
    ...{ Name: 'penstock', ID: `penstock-${name}`, Address: '10.0.0.7', Port: port },
    Check: { Name: 'What this gateway sees', TTL: '10m', Status: status },
  });
}

const set = (agent: ConsulAgent, name: string, verb: 'pass' | 'warn' | 'fail') =>
  agent.put(`/v1/agent/check/${verb}/service:penstock-${name}?note=x`);

describe('the gateways in Consul', { concurrency: false }, () => {
  test('are those that take requests: they come, and go when they drain or deregister', async t => {
    const agent = await startConsulAgent(t);
    const peers = watchPeers(t, agent.url);

    await register(agent, 'b');
    await peers.are('penstock-b');
    await register(agent, 'a');
    await peers.are('penstock-a', 'penstock-b');
    await set(agent, 'b', 'fail');
    await peers.are('penstock-a');
    await set(agent, 'b', 'pass');
    await peers.are('penstock-a', 'penstock-b');
    await agent.put('/v1/agent/service/deregister/penstock-b');
    await peers.are('penstock-a');

    const reported = peers.events.flatMap(event => (event.kind === 'notice' ? [event.about] : []));
    assert.deepEqual(reported[0], { self: 'penstock-a', gateways: 2, others: 'penstock-b' });
    assert.deepEqual(reported.at(-1), { self: 'penstock-a', gateways: 1, others: '' });
  });

  test('count while one of their services has no instance: they serve the others', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'a', 'warning');
    await register(agent, 'b', 'warning');

    const peers = watchPeers(t, agent.url);
    await peers.are('penstock-a', 'penstock-b');

    assert.deepEqual(
      peers.events.filter(({ kind }) => kind === 'roster-doubted'),
      [],
    );
  });

  test('stand as they were while Consul is away, and while it comes back without any', async t => {
    const agent = await startConsulAgent(t);
    await register(agent, 'a');
    await register(agent, 'b');
    const peers = watchPeers(t, agent.url);
    await peers.are('penstock-a', 'penstock-b');

    await agent.kill();
    await peers.says('other gateways cannot be seen');
    const before = peers.received.length;
    await agent.start();
    await peers.doubts();
    await register(agent, 'b');
    await register(agent, 'a');
    await register(agent, 'c');
    await peers.are('penstock-a', 'penstock-b', 'penstock-c');
    assert.deepEqual(peers.received.slice(before), [['penstock-a', 'penstock-b', 'penstock-c']], 'and never fewer');

    const texts = peers.events.flatMap(event => (event.kind === 'notice' ? [event.text] : []));
    assert.equal(texts.filter(text => text.startsWith('other gateways')).length, 1, 'said once');
  });

  test('that may not be seen are reported, once', async t => {
    const refusing = createServer((_, response) => response.writeHead(403).end('Permission denied'));
    await once(refusing.listen(0, '127.0.0.1'), 'listening');
    t.after(() => once(refusing.close(), 'close'));
    const { port } = refusing.address() as AddressInfo;
    const peers = watchPeers(t, `http://127.0.0.1:${port}`);

    await peers.says('other gateways cannot be seen');
    await once(refusing, 'request');
    await once(refusing, 'request');

    const [first, ...rest] = peers.events;
    assert.match(JSON.stringify(first), /403/);
    assert.deepEqual(rest, []);
    assert.deepEqual(peers.received, []);
  });
});
