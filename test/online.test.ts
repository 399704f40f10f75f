import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadContract } from '../gateway/load.ts';
import { checkOnline } from '../gateway/online.ts';
import { startConsulAgent } from './support/consul-agent.ts';
import { listen } from './support/node-server.ts';
import { aFolder } from './support/folder.ts';

/** An instance at a free port, which ends with the test. */
async function startInstance(t: TestContext, listener: RequestListener): Promise<string> {
  return `127.0.0.1:${await listen(t, createServer(listener))}`;
}

/** What the world says of these two files, as `path: message`. */
async function findingsOf(t: TestContext, { gateway, routes }: { gateway: string; routes: string }): Promise<string[]> {
  const folder = aFolder(t);
  writeFileSync(join(folder, 'gateway.yaml'), `routes: routes.yaml\n${gateway}`);
  writeFileSync(join(folder, 'routes.yaml'), routes);
  writeFileSync(join(folder, 'plumber.R'), '');
  const contract = loadContract(join(folder, 'gateway.yaml'), { SHARED: 'open sesame' });
  assert.deepEqual(contract.problems, []);
  const problems = await checkOnline(contract);
  return problems.map(({ path, message, file }) => `${file.slice(folder.length + 1)} ${path}: ${message}`);
}

const FUEL = 'routes: [{ id: fuel, uri: "lb://fuel", predicates: ["Path=/fuel/**"] }]';

describe('asking the world', () => {
  test('an instance is asked with the shared secret, as active checks ask it', async t => {
    const address = await startInstance(t, ({ headers }, response) => {
      response.writeHead(headers['plumber-shared-secret'] === 'open sesame' ? 200 : 400).end();
    });

    const said = await findingsOf(t, {
      gateway: `discovery: { static: [{ service: fuel, instances: ["http://${address}"] }] }`,
      routes: `${FUEL}\nservices: { fuel: { sharedSecret: "\${env:SHARED}" } }`,
    });

    assert.deepEqual(said, []);
  });

  test('an instance that is not well is reported in the file that names it', async t => {
    const address = await startInstance(t, (_request, response) => response.writeHead(503).end());

    const said = await findingsOf(t, {
      gateway: `discovery: { static: [{ service: fuel, instances: ["http://${address}"] }] }`,
      routes: `routes:\n  - { id: a, uri: "lb://fuel", predicates: ["Path=/a"] }\n  - { id: b, uri: "http://${address}", predicates: ["Path=/b"] }`,
    });

    assert.equal(said.length, 2);
    assert.match(said[0] ?? '', /^gateway\.yaml discovery\.static: .* of fuel is not well: \/ping answered 503$/);
    assert.match(said[1] ?? '', /^routes\.yaml routes: .* is not well: .* answered 503$/);
  });

  test('a service that Consul does not know is reported, and one that it knows is not', async t => {
    const consul = await startConsulAgent(t);
    const files = { gateway: `discovery: { consul: { address: "${consul.url}" } }`, routes: FUEL };

    const before = await findingsOf(t, files);
    await consul.put('/v1/agent/service/register', { Name: 'fuel', Address: '127.0.0.1', Port: 8000 });
    const after = await findingsOf(t, files);

    assert.deepEqual(before, ['gateway.yaml discovery.consul: Consul knows no instance of fuel']);
    assert.deepEqual(after, []);
  });

  test('a Consul that does not answer is reported', async t => {
    const address = await startInstance(t, request => request.socket.destroy());

    const said = await findingsOf(t, {
      gateway: `discovery: { consul: { address: "http://${address}" } }`,
      routes: FUEL,
    });

    assert.match(said.join(), /^gateway\.yaml discovery\.consul: Consul, asked for fuel: /);
  });
});

/** A model of `x` whose answer to several rows is what `predict` makes of them. */
function aModel(
  predict: (x: readonly number[]) => unknown,
  prototype: object = { x: { type: 'numeric', example: '1.5' } },
): RequestListener {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += String(chunk)));
    request.on('end', () => {
      const isPredict = request.url === '/predict';
      const isPrototype = request.url === '/prototype' && Object.keys(prototype).length > 0;
      const x = isPredict ? (JSON.parse(body) as { x: number }[]).map(row => row.x) : [];
      response.writeHead(isPredict || isPrototype || request.url === '/ping' ? 200 : 404, {
        'content-type': 'application/json',
      });
      response.end(JSON.stringify(isPredict ? predict(x) : prototype));
    });
  };
}

const twice = (x: readonly number[]) => (x.length === 1 ? (x[0] ?? 0) * 2 : x.map(value => value * 2));
const mean = (x: readonly number[]) => x.reduce((sum, value) => sum + value, 0) / x.length;

describe('asking whether calls may travel together', () => {
  for (const [what, model, said] of [
    ['finds nothing amiss where rows together are answered as alone', aModel(twice), []],
    [
      'is an error, at the place of `batch`, where they are not',
      aModel(x => x.map(value => value - mean(x))),
      ['4 error /predict: a row is answered otherwise among others than alone: its calls cannot travel together'],
    ],
    [
      'is a warning where the model publishes nothing to ask with',
      aModel(twice, {}),
      ['4 warning : it publishes no examples at /prototype to prove by that rows may travel together'],
    ],
  ] as const) {
    test(what, async t => {
      const address = await startInstance(t, model);
      const folder = aFolder(t);
      const services = `[{ service: fuel, instances: ["http://${address}"] }]`;
      writeFileSync(join(folder, 'gateway.yaml'), `routes: routes.yaml\ndiscovery: { static: ${services} }`);
      const route = [
        '  - id: fuel',
        '    uri: lb://fuel',
        '    batch: {}',
        '    pure: true',
        '    predicates: ["Path=/fuel/**"]',
      ];
      writeFileSync(join(folder, 'routes.yaml'), ['routes:', ...route].join('\n'));

      const problems = await checkOnline(loadContract(join(folder, 'gateway.yaml'), {}));

      assert.deepEqual(
        problems.map(
          ({ line, severity, message }) => `${line} ${severity} ${message.replace(`http://${address}`, '')}`,
        ),
        said,
      );
    });
  }
});

describe('asking the running gateway what it has found', () => {
  test('is an error at the place of `batch` where calls that travelled together were answered otherwise alone', async t => {
    const reason = '/predict of version 1: a row is answered otherwise among others than alone: alone with 422';
    const reported = [
      { id: 'fuel', batching: { isOn: false, reason } },
      { id: 'well', batching: { isOn: true, reason: null } },
      { id: 'elsewhere', batching: { isOn: false, reason } },
      'nonsense',
    ];
    const admin = await startInstance(t, ({ url }, response) => {
      response.writeHead(url === '/api/routes' ? 200 : 404).end(JSON.stringify(reported));
    });
    const port = admin.slice(admin.indexOf(':') + 1);
    const routeOf = (id: string) => `{ id: ${id}, uri: "lb://x", predicates: ["Path=/${id}"], batch: {}, pure: true }`;

    const said = await findingsOf(t, {
      gateway: `discovery: { static: [{ service: x, instances: ['http://${admin}'] }] }\nadmin: { port: ${port} }`,
      routes: `routes: [${routeOf('fuel')}, ${routeOf('well')}]`,
    });

    const ofRunning = said.filter(line => line.includes('the running gateway'));
    assert.deepEqual(ofRunning, [`routes.yaml routes[0].batch: the running gateway has found: ${reason}`]);
  });
});

describe('asking whether calls to R processes of the gateway’s own may travel together', () => {
  const routes =
    'routes: [{ id: fuel, uri: "lb://fuel", predicates: ["Path=/fuel/**"], batch: {}, pure: true }, { id: a, uri: "lb://fuel", predicates: ["Path=/a"] }]';
  const gatewayAt = (port: number | string) =>
    `discovery: { local: [{ service: fuel, entry: ., instances: 1 }] }\nadmin: { port: ${port} }`;
  const portOf = (address: string) => address.slice(address.indexOf(':') + 1);

  test('asks them where the running gateway says they are', async t => {
    const model = await startInstance(
      t,
      aModel(x => x.map(value => value - mean(x))),
    );
    const reported = [
      { service: 'fuel', instances: [{ address: `http://${model}`, source: 'local' }, { source: 'local' }, null] },
      { service: 'other', instances: [{ address: 'http://127.0.0.1:9', source: 'consul' }] },
      'nonsense',
    ];
    const admin = await startInstance(t, ({ url }, response) => {
      response.writeHead(url === '/api/services' ? 200 : 404).end(JSON.stringify(reported));
    });

    const said = await findingsOf(t, { gateway: gatewayAt(portOf(admin)), routes });

    assert.deepEqual(said, [
      `routes.yaml routes[0].batch: http://${model}/predict: a row is answered otherwise among others than alone: its calls cannot travel together`,
    ]);
  });

  for (const [what, listener] of [
    ['no gateway answers', (_request, response) => response.destroy()],
    ['it asks for a token', (_request, response) => response.writeHead(401).end('{"status":401}')],
    ['it has not started any', (_request, response) => response.end('[]')],
  ] as const satisfies readonly (readonly [string, RequestListener])[]) {
    test(`is warned of as not done where ${what}`, async t => {
      const admin = await startInstance(t, listener);

      const said = await findingsOf(t, { gateway: gatewayAt(portOf(admin)), routes });

      assert.deepEqual(said, [
        'routes.yaml routes[0].batch: not proven: no gateway of this configuration runs that would tell where its R processes are',
      ]);
    });
  }
});
