import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { checkConsulVersion } from '../../gateway/edges/consul-version.ts';
import { createConsulClient } from '../../gateway/edges/consul-client.ts';
import { startConsulAgent } from '../support/consul-agent.ts';

/** An agent that says one thing of itself; it closes each connection, and tells when the last is closed. */
async function anAgent(t: TestContext, { status = 200, body }: { status?: number; body: unknown }) {
  const server = createServer((_req, res) =>
    res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body)),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const closed = once(server, 'connection').then(([socket]) => once(socket as never, 'close'));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, closed };
}

describe('the version of Consul', () => {
  for (const [what, answer, warned] of [
    ['1.7.14', { body: { Config: { Version: '1.7.14' } } }, ['1.7.14']],
    ['0.9.3', { body: { Config: { Version: '0.9.3' } } }, ['0.9.3']],
    ['1.8.7', { body: { Config: { Version: '1.8.7' } } }, []],
    ['1.20.1', { body: { Config: { Version: '1.20.1+ent' } } }, []],
    ['2.0', { body: { Config: { Version: '2.0.0' } } }, []],
    ['nothing said of it', { body: {} }, []],
    ['a refusal', { status: 403, body: 'Permission denied' }, []],
  ] as const) {
    test(`is warned of where it is too old, and nothing else is: ${what}`, async t => {
      const { address, closed } = await anAgent(t, answer);
      const events: GatewayEvent[] = [];

      checkConsulVersion({
        config: { address, token: undefined },
        clock: systemClock,
        observe: event => events.push(event),
      });
      await closed;
      await new Promise(resolve => setImmediate(resolve));

      assert.deepEqual(
        events.map(event => (event.kind === 'notice' ? event.about['version'] : event.kind)),
        warned,
      );
    });
  }

  test('is known of a real agent', async t => {
    const agent = await startConsulAgent(t);
    const client = createConsulClient({ address: agent.url, token: undefined, datacenter: undefined });
    t.after(() => client.close());

    assert.match(await client.askVersion(AbortSignal.timeout(10_000)), /^1\.\d+\.\d+/);
  });
});
