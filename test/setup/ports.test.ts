import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { freePort, requireFreePort } from '../../gateway/setup/ports.mjs';

async function aTakenPort(t: TestContext): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a taken port is reported with who has it and what to do', async t => {
  const port = await aTakenPort(t);

  const required = requireFreePort({ port, host: '127.0.0.1', what: 'The gateway', instead: 'set listen.port' });

  await assert.rejects(required, ({ message }: Error) => {
    assert.match(
      message,
      new RegExp(`^The gateway cannot listen on port ${port}: process ${process.pid} \\(.*node.*\\) has it`),
    );
    assert.match(message, new RegExp(`'kill ${process.pid}'\\), or set listen.port`));
    return true;
  });
});

test('a free port is not reported', async () => {
  const port = await freePort();

  await assert.doesNotReject(requireFreePort({ port, host: '127.0.0.1', what: 'The gateway', instead: 'nothing' }));
});

test('another port is found where the wanted one is taken', async t => {
  const taken = await aTakenPort(t);

  const found = await freePort(taken);

  assert.notEqual(found, taken);
});
