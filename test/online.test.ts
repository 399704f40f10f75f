import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadContract } from '../gateway/load.ts';
import { askOnline } from '../gateway/online.ts';
import { startConsulAgent } from './support/consul-agent.ts';

/** An instance at a free port, which ends with the test. */
async function startInstance(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What the world says of these two files, as `path: message`. */
async function askedOf(t: TestContext, { gateway, routes }: { gateway: string; routes: string }): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-online-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'gateway.yaml'), `routes: routes.yaml\n${gateway}`);
  writeFileSync(join(folder, 'routes.yaml'), routes);
  const contract = loadContract(join(folder, 'gateway.yaml'), { SHARED: 'open sesame' });
  assert.deepEqual(contract.problems, []);
  const problems = await askOnline(contract);
  return problems.map(({ path, message, file }) => `${file.slice(folder.length + 1)} ${path}: ${message}`);
}

const FUEL = 'routes: [{ id: fuel, uri: "lb://fuel", predicates: ["Path=/fuel/**"] }]';

describe('asking the world', () => {
  test('an instance is asked with the shared secret, as active checks ask it', async t => {
    const address = await startInstance(t, ({ headers }, response) => {
      response.writeHead(headers['plumber-shared-secret'] === 'open sesame' ? 200 : 400).end();
    });

    const said = await askedOf(t, {
      gateway: `discovery: { static: [{ service: fuel, instances: ["http://${address}"] }] }`,
      routes: `${FUEL}\nservices: { fuel: { sharedSecret: "\${env:SHARED}" } }`,
    });

    assert.deepEqual(said, []);
  });

  test('an instance that is not well is told of in the file that names it', async t => {
    const address = await startInstance(t, (_request, response) => response.writeHead(503).end());

    const said = await askedOf(t, {
      gateway: `discovery: { static: [{ service: fuel, instances: ["http://${address}"] }] }`,
      routes: `routes:\n  - { id: a, uri: "lb://fuel", predicates: ["Path=/a"] }\n  - { id: b, uri: "http://${address}", predicates: ["Path=/b"] }`,
    });

    assert.equal(said.length, 2);
    assert.match(said[0] ?? '', /^gateway\.yaml discovery\.static: .* of fuel is not well: \/ping answered 503$/);
    assert.match(said[1] ?? '', /^routes\.yaml routes: .* is not well: .* answered 503$/);
  });

  test('a service that Consul does not know is told of, and one that it knows is not', async t => {
    const consul = await startConsulAgent(t);
    const files = { gateway: `discovery: { consul: { address: "${consul.url}" } }`, routes: FUEL };

    const before = await askedOf(t, files);
    await consul.put('/v1/agent/service/register', { Name: 'fuel', Address: '127.0.0.1', Port: 8000 });
    const after = await askedOf(t, files);

    assert.deepEqual(before, ['gateway.yaml discovery.consul: Consul knows no instance of fuel']);
    assert.deepEqual(after, []);
  });

  test('a Consul that does not answer is told of', async t => {
    const address = await startInstance(t, request => request.socket.destroy());

    const said = await askedOf(t, { gateway: `discovery: { consul: { address: "http://${address}" } }`, routes: FUEL });

    assert.match(said.join(), /^gateway\.yaml discovery\.consul: Consul, asked for fuel: /);
  });
});
