import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { checkConsulVersion, createConsulClient, parseIndex, stepIndex } from '../../gateway/edges/consul-client.ts';
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

    assert.match(await client.queryVersion(AbortSignal.timeout(10_000)), /^1\.\d+\.\d+/);
  });
});

describe('the index of a blocking query', () => {
  for (const [what, last, current, next, hasGoneBack] of [
    ['starts with what is told first', undefined, 7n, 7n, false],
    ['goes on with what is told', 7n, 9n, 9n, false],
    ['stays where nothing changed', 7n, 7n, 7n, false],
    ['is reset where it went back', 9n, 7n, 0n, true],
    ['is never below 1, which would not block', undefined, 0n, 1n, false],
    ['is reset where Consul falls back to 0', 5n, 0n, 0n, true],
  ] as const) {
    test(what, () => {
      assert.deepEqual(stepIndex(last, current), { next, hasGoneBack });
    });
  }

  for (const text of [undefined, '', '-1', '1.5', 'x', '9'.repeat(21), ['7']]) {
    test(`is none in ${JSON.stringify(text)}`, () => {
      assert.equal(parseIndex(text), undefined);
    });
  }

  test('holds what a double cannot', () => {
    assert.equal(parseIndex('18446744073709551615'), 18446744073709551615n);
  });
});
