import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run as check } from '../../gateway/commands/check.ts';
import { run as explain } from '../../gateway/commands/explain.ts';
import { run as generate, generatedFiles } from '../../gateway/commands/generate.ts';
import type { CommandIo, Run } from '../../gateway/commands/io.ts';
import { run as schema } from '../../gateway/commands/schema.ts';
import { aCertificate } from '../support/certificates.ts';
import { aToken, hmac } from '../support/tokens.ts';
import { aFolder } from '../support/folder.ts';

const GATEWAY = 'discovery: { static: [{ service: a, instances: ["http://127.0.0.1:1"] }] }\n';
const ROUTES = `routes:
  - { id: a, uri: lb://a, predicates: ['Path=/a/**', 'Method=GET'], filters: [StripPrefix=1] }
  - { id: rest, uri: lb://a, predicates: ['Path=/**', 'Header=X-Rest'], timeout: 5s }
`;

interface Files {
  readonly gateway?: string;
  readonly routes?: string;
  readonly env?: CommandIo['env'];
}

/** Runs commands in a folder with these two files, and gathers what they say. */
function inFolder(t: TestContext, { gateway = GATEWAY, routes = ROUTES, env = {} }: Files = {}) {
  const cwd = aFolder(t);
  mkdirSync(join(cwd, 'config'));
  writeFileSync(join(cwd, 'config/gateway.yaml'), gateway);
  writeFileSync(join(cwd, 'config/routes.yaml'), routes);
  return async (command: Run, ...args: readonly string[]) => {
    const said = { out: '', err: '' };
    const code = await command(args, {
      stdout: { write: text => (said.out += text) },
      stderr: { write: text => (said.err += text) },
      env,
      cwd,
    });
    return { code, ...said, cwd };
  };
}

describe('check', () => {
  test('says that nothing is wrong, and exits with 0', async t => {
    const { code, out } = await inFolder(t)(check);

    assert.deepEqual([code, out], [0, 'No problem found.\n']);
  });

  test('says what is wrong with the route that the inbox names', async t => {
    const of = async (id: string) => {
      const gateway = `${GATEWAY}jobs: { inbox: { folder: in, route: ${id} } }\n`;
      const routes = ROUTES.replace('id: a,', 'id: fuel, pure: true,');
      return (await inFolder(t, { gateway, routes })(check)).out;
    };

    assert.equal(await of('fuel'), 'No problem found.\n');
    assert.match(
      await of('fule'),
      /:2:37: warning: jobs\.inbox\.route: no route is called fule.*did you mean `fuel`\?/s,
    );
    assert.match(await of('rest'), /route rest takes no files.*it must be `pure: true`/s);
  });

  test('finds what R cannot parse, in what the gateway would start, and runs none of it', async t => {
    const entries = ['well', 'broken', 'deep', 'missing'].map(name => `{ service: ${name}, entry: ../${name} }`);
    const run = inFolder(t, {
      gateway: `discovery:\n  local:\n    - ${entries.join('\n    - ')}\n`,
      routes: `routes: [${['well', 'broken', 'deep', 'missing'].map(name => `{ uri: lb://${name}, predicates: [Path=/${name}] }`).join()}]`,
      env: { PATH: process.env['PATH'] },
    });
    const { cwd } = await run(schema, 'gateway');
    const write = (name: string, text: string) => {
      mkdirSync(join(cwd, name, '..'), { recursive: true });
      writeFileSync(join(cwd, name), text);
    };
    write('well/plumber.R', '#* @get /\nfunction() "grün"\nstop("never run")\n');
    write('broken/plumber.R', '#* @get /\nfunction() {\n  x y\n}\n');
    write('deep/plumber.R', 'source("../shared/load.R", local = TRUE)\n');
    write('deep/R/predict.R', 'predict_it <- function(d) {\n');

    const { code, out } = await run(check);

    assert.equal(code, 1);
    assert.match(
      out,
      /gateway\.yaml:4:33: error: discovery\.local\[1\]\.entry: R cannot parse .*broken\/plumber\.R: line 3: unexpected symbol\n/,
    );
    assert.match(
      out,
      /gateway\.yaml:5:31: error: discovery\.local\[2\]\.entry: R cannot parse .*deep\/R\/predict\.R: line 2: unexpected end of input\n/,
    );
    assert.match(out, /3 errors\./);
  });

  test('says nothing of R code where there is no R', async t => {
    const gateway = 'discovery: { local: [{ service: a, entry: . }] }';
    const run = inFolder(t, { gateway, env: { PATH: '/nowhere' } });
    const { cwd } = await run(schema, 'gateway');
    writeFileSync(join(cwd, 'config/plumber.R'), 'x y');

    const { out } = await run(check);

    assert.equal(out, 'No problem found.\n');
  });

  test('finds a key that belongs to another certificate', async t => {
    const [one, another] = [aCertificate(), aCertificate()];
    const run = inFolder(t, { gateway: `${GATEWAY}listen:\n  tls: { cert: c.pem, key: k.pem }\n` });
    const { cwd } = await run(schema, 'gateway');
    writeFileSync(join(cwd, 'config/c.pem'), one.cert);
    writeFileSync(join(cwd, 'config/k.pem'), another.key);

    const { code, out } = await run(check);

    assert.equal(code, 1);
    assert.match(out, /gateway\.yaml:3:28: error: listen\.tls\.key: does not belong to the certificate/);
  });

  test('finds a key that is too weak, or of a kind that its algorithms do not use', async t => {
    const issuer = (name: string, algorithm: string, key: string) =>
      `    - { issuer: ${name}, audience: a, algorithms: [${algorithm}], publicKey: ${key} }\n`;
    const gateway = `${GATEWAY}identity:\n  jwt:\n${issuer('x', 'RS256', 'rsa.pem')}${issuer('y', 'ES256', 'p384.pem')}`;
    const run = inFolder(t, { gateway });
    const pem = { type: 'spki', format: 'pem' } as const;
    const { cwd } = await run(schema, 'gateway');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(pem);
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export(pem);
    writeFileSync(join(cwd, 'config/rsa.pem'), rsa);
    writeFileSync(join(cwd, 'config/p384.pem'), p384);

    const { code, out } = await run(check);

    assert.equal(code, 1);
    assert.match(out, /gateway\.yaml:4:\d+: error: .*publicKey.*1024 bits/);
    assert.match(out, /gateway\.yaml:5:\d+: error: .*publicKey.*secp384r1, which none of ES256 uses/);
  });

  test('shows every problem of both files with its line, a caret and what to write', async t => {
    const run = inFolder(t, {
      gateway: 'listen:\n  prot: 80\n',
      routes: `routes:\n  - uri: lb://a\n    predicates: ['Paht=/a']\n`,
    });

    const { code, out, cwd } = await run(check);

    assert.equal(code, 1);
    assert.equal(
      out,
      `${cwd}/config/gateway.yaml:2:3: error: listen.prot: unknown key \`prot\`
  2 |   prot: 80
        ^
  did you mean \`port\`?

${cwd}/config/routes.yaml:3:19: error: routes[0].predicates[0]: there is no predicate called Paht
  3 |     predicates: ['Paht=/a']
                        ^
  did you mean Path?

2 errors.
`,
    );
  });

  test('exits with 0 when there are only warnings', async t => {
    const { code, out } = await inFolder(t, { routes: `services: { x: {} }\n${ROUTES}` })(check);

    assert.equal(code, 0);
    assert.match(out, /warning: services\.x: no route leads to x/);
    assert.match(out, /1 warning; the configuration can be used\.\n$/);
  });

  test('never shows a secret, wherever the caret points', async t => {
    const secrets = [
      'identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], secret: hunter2, leeway: x }] }',
      'identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], "secret": "hunter2" }] }',
      'identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], secrt: hunter2 }] }',
      'identity:\n  jwt:\n    - issuer: a\n      secret: hunter2\n      secret: hunter2\n',
      'discovery: { consul: { token: hunter2, tokn: hunter2, adress: x } }',
      'discovery: { consul: { tokens: [hunter2] } }',
    ];

    for (const gateway of secrets) {
      for (const flags of [[], ['--json']]) {
        const { code, out, err } = await inFolder(t, { gateway })(check, ...flags);
        assert.equal(code, 1);
        assert.ok(!`${out}${err}`.includes('hunter2'), out);
      }
    }
  });

  test('speaks JSON to scripts', async t => {
    const { code, out } = await inFolder(t, { routes: 'routs: []\n' })(check, '--json');

    const { ok, problems } = JSON.parse(out) as { ok: boolean; problems: Record<string, unknown>[] };
    assert.deepEqual([code, ok, problems.length], [1, false, 1]);
    const { file, ...problem } = problems[0] ?? assert.fail();
    assert.match(String(file), /config\/routes\.yaml$/);
    assert.deepEqual(problem, {
      line: 1,
      column: 1,
      severity: 'error',
      path: 'routs',
      message: 'unknown key `routs`',
      hint: 'did you mean `routes`?',
    });
  });

  test('says which file cannot be read', async t => {
    const run = inFolder(t, { gateway: 'routes: elsewhere.yaml\n' });

    assert.match((await run(check)).out, /config\/elsewhere\.yaml:1:1: error: the file cannot be read/);
    assert.match(
      (await run(check, '--config', 'nope.yaml')).out,
      /nope\.yaml:1:1: error: the file cannot be read: no such file or directory \(ENOENT\)/,
    );
  });

  test('judges the routes by what gateway.yaml configures', async t => {
    const identity = `identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], secret: '\${env:S}' }] }\n`;
    const env = { S: 'x'.repeat(32) };
    const routes = 'routes: [{ uri: lb://a, auth: { scopes: [predict] } }]';

    assert.equal((await inFolder(t, { routes })(check)).code, 1);
    assert.equal((await inFolder(t, { gateway: GATEWAY + identity, routes, env })(check)).code, 0);
  });

  test('asks, when told to, whether instances answer', async t => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    await once(closed.close(), 'close');
    const gateway = `discovery: { static: [{ service: a, instances: ['http://127.0.0.1:${port}'] }] }`;
    const run = inFolder(t, { gateway });

    const [requests, unasked] = [await run(check, '--online'), await run(check)];

    assert.deepEqual([requests.code, unasked.out], [0, 'No problem found.\n']);
    assert.match(requests.out, new RegExp(`warning: .*127\\.0\\.0\\.1:${port}`));
  });

  test('explains itself, and refuses what it does not know', async t => {
    const run = inFolder(t);

    assert.match((await run(check, '--help')).out, /^penstock check/);
    const { code, err } = await run(check, '--onlin');
    assert.equal(code, 2);
    assert.match(err, /--onlin/);
  });
});

/** gateway.yaml with a plug-in of this text, in a file beside the folder of the configuration. */
function withPlugin(t: TestContext, plugin: string, routes?: string) {
  const folder = aFolder(t);
  const file = join(folder, 'plugin.ts');
  writeFileSync(file, `import { defineFilter, defineMiddleware, definePredicate } from 'penstock';\n${plugin}`);
  const run = inFolder(t, { gateway: `${GATEWAY}plugins: [${file}]\n`, ...(routes === undefined ? {} : { routes }) });
  return { run, file };
}

const PLUGIN = `
export const share = definePredicate({ name: 'Share', args: {
  percent: { type: 'integer', min: 1, max: 100 },
  by: { type: 'text', oneOf: ['ip', 'tenant'] },
  within: { type: 'duration', optional: true },
}, prepare: async ({ args }) => args.percent, holds: ({ prepared, args }) => prepared === 50 && args.within !== 1 });
export const note = defineFilter({ name: 'Note', args: { notes: { type: 'list' } },
  onRequest: ({ request, args }) => request.headers.set('X-Note', args.notes.join('+')) });
export const asks = defineFilter({ name: 'Asks', prepare: async () => { throw new Error('asked'); }, onRequest() {} });
export const edge = defineMiddleware({ name: 'Edge', handler: (_req, _res, next) => next() });
`;

describe('plug-ins', () => {
  test('have their arguments checked, with line and caret', async t => {
    const { run } = withPlugin(
      t,
      PLUGIN,
      `routes:
  - { id: a, uri: lb://a, predicates: ['Share=500, ip'] }
  - id: b
    uri: lb://a
    predicates: [Path=/b, { name: Share, args: { percent: 5, by: tenants, within: 3 } }]
    filters: ['Notes=a']
`,
    );

    const { code, out } = await run(check);

    assert.equal(code, 1);
    const problems = out.split('\n').filter(line => line.includes(': error: '));
    assert.deepEqual(
      problems.map(line => line.replace(/^.*routes\.yaml:/, '')),
      [
        '2:47: error: routes[0].predicates[0]: Share: percent must be at least 1 and at most 100',
        '5:66: error: routes[1].predicates[1].args.by: Share: by must be one of ip, tenant',
        '5:83: error: routes[1].predicates[1].args.within: Share: within must be a duration, as 250ms is one',
        '6:16: error: routes[1].filters[0]: there is no filter called Notes',
      ],
    );
    assert.match(out, /\n +2 \| .*'Share=500, ip'.*\n +\^\n/);
    assert.match(out, /did you mean Note\?/);
  });

  test('that cannot be loaded are reported where gateway.yaml lists them', async t => {
    for (const [plugin, says] of [
      ['export const a = ;', 'cannot be loaded: Expression expected'],
      ["throw new Error('boom');", 'cannot be loaded: boom'],
      ['await 3; export {};', 'it has an `await` outside of any function'],
      ["import './nowhere.ts';", 'cannot be loaded: Cannot find module'],
      ['export const a = 1;', 'exports nothing that'],
    ] as const) {
      const { code, out } = await withPlugin(t, plugin).run(check);

      assert.equal(code, 1, out);
      assert.ok(out.includes('gateway.yaml:2:11: error: plugins[0]: ') && out.includes(says), out);
    }
  });

  test('are named by explain, which asks predicates that wait and no filter', async t => {
    const { run, file } = withPlugin(
      t,
      PLUGIN,
      `routes:
  - { id: a, uri: lb://a, predicates: ['Share=40, ip'] }
  - { id: b, uri: lb://a, predicates: ['Share=50, ip'], filters: ['Note=x, y', Asks] }
`,
    );

    const { code, out } = await run(explain, 'GET', '/a');

    assert.equal(code, 0, out);
    assert.match(out, new RegExp(`first +Edge \\(${file}\\)`));
    assert.match(out, /no +a +Share=40, ip/);
    assert.match(out, new RegExp(`plug-ins +Share \\(${file}\\) · Note \\(${file}\\) · Asks`));
    assert.match(out, /X-Note: x\+y/);
  });
});

describe('explain', () => {
  test('tells whether a route takes jobs, and why not, where there are jobs', async t => {
    const routes = ['', 'pure: true', 'pure: true, batch: {}, async: always', 'pure: true, async: refuse']
      .map((more, i) => `\n  - { id: r${i}, uri: lb://a, predicates: [Path=/${i}/**], ${more} }`)
      .concat("\n  - { id: open, uri: lb://a, predicates: ['Path=/{x}/y'], pure: true }");
    const of = async (gateway: string, path: string) => {
      const run = inFolder(t, { gateway, routes: `routes:${routes.join('')}\n` });
      const { out } = await run(explain, 'POST', path);
      return /^ {2}jobs +(.*)$/m.exec(out)?.[1];
    };
    const reported = await Promise.all(
      ['/0/p', '/1/p', '/2/p', '/3/p', '/4/y'].map(path => of(`${GATEWAY}jobs: {}\n`, path)),
    );

    const [preferred, quickly] = ['with `Prefer: respond-async`', 'as many rows a call as are answered quickly'];
    assert.deepEqual(reported, [
      'none: it is not `pure: true`: rows may be asked twice',
      `of files at /jobs/r1; ${preferred}; ${quickly}`,
      'of files at /jobs/r2; of each POST; 64 rows a call',
      'none: it has `async: refuse`',
      `${preferred}; ${quickly}`,
    ]);
    assert.equal(await of(GATEWAY, '/1/p'), undefined);
  });

  test('knows the doors by which a route is named: a file for a job, a model by REST or gRPC', async t => {
    const route = (id: string, more: string) =>
      `  - { id: ${id}, uri: lb://a, predicates: [Path=/${id}/**], filters: [StripPrefix=1], ${more} }\n`;
    const gateway = `${GATEWAY}jobs: {}\ninference: {}\n`;
    const run = inFolder(t, {
      gateway,
      routes: `routes:\n${route('once', 'order: 0')}${route('fuel', 'pure: true')}${route('table', 'csv: true')}`,
    });
    const requests = async (path: string, body: string) => {
      const { code, out } = await run(explain, 'POST', path, '-d', body);
      return code === 0 ? /^ {2}yes +(\w+)/m.exec(out)?.[1] : /^ {2}404 +.*$/m.exec(out)?.[0].trim();
    };

    const model = '{"model_name":"fuel"}';
    const named = await Promise.all([
      requests('/jobs/fuel', 'wt\n2\n'),
      requests('/v2/models/fuel/infer', '{}'),
      requests('/inference.GRPCInferenceService/ModelInfer', model),
    ]);
    assert.deepEqual(named, ['fuel', 'fuel', 'fuel']);
    assert.match((await run(explain, 'POST', '/v2/models/fuel/infer', '-d', '{}')).out, /^ {4}\(rows from Open Inf/m);
    const csv = await run(explain, 'POST', '/table/predict', '-H', 'Content-Type: text/csv', '-d', 'wt\n2\n');
    assert.match(csv.out, /^ {4}10 bytes of JSON from text\/csv: \[\{"wt":2\}\]$/m);
    assert.match((await requests('/jobs/once', '')) ?? '', /^404 +NO_ROUTE: No route of this name takes files here/);
  });

  test('says which route answers, why each earlier one does not, and what is sent', async t => {
    const { code, out } = await inFolder(t)(explain, 'GET', '/b?c=d', '-H', 'X-Rest: 1');

    assert.equal(code, 0);
    assert.equal(
      out,
      `GET /b?c=d (Host: localhost)

  no   a         Path=/a/**
  yes  rest      Path=/** · Header=X-Rest

  service   a
  auth      open: gateway.yaml configures no identity
  limits    none
  body      at most 1MiB; answers are buffered up to 1MiB
  timeout   5s; at most 3 attempts of 5s (1666ms where a repeat is safe)
  admitted  anonymous: 127.0.0.1

  Sent to lb://a:

    GET /b?c=d
    Host: (the instance’s own)
    X-Rest: 1
    Via: 1.1 penstock
    X-Forwarded-For: 127.0.0.1
    X-Forwarded-Proto: http
    X-Forwarded-Host: localhost
    X-Forwarded-Port: 80
    Forwarded: for=127.0.0.1;host="localhost";proto=http
    X-Request-Id: (new for each request)
`,
    );
  });

  test('says how callers come in over TLS, and as whom an instance with TLS is verified', async t => {
    const pem = aCertificate({ names: ['localhost'] });
    const folder = aFolder(t);
    writeFileSync(join(folder, 'c.pem'), pem.cert);
    writeFileSync(join(folder, 'k.pem'), pem.key);
    const [cert, key] = [join(folder, 'c.pem'), join(folder, 'k.pem')];
    const gateway = `listen: { tls: { cert: ${cert}, key: ${key}, clientCa: ${cert} } }
identity: { mtls: {} }
discovery: { static: [{ service: a, instances: ['https://10.0.0.5:8000'] }] }`;
    const routes = `
services:
  a: { tls: { ca: ${cert}, serverName: a.internal, cert: ${cert}, key: ${key} } }
routes:
  - { id: a, uri: lb://a, predicates: ['Path=/a/**'] }
  - { id: b, uri: 'https://b.example:8443', predicates: ['Path=/b/**'] }`;
    const run = inFolder(t, { gateway, routes });

    const { out } = await run(explain, 'GET', '/a', '-H', 'X-Client-Cert: me');
    const { out: json } = await run(explain, 'GET', '/b', '--json');

    assert.match(out, /callers {3}HTTP\/2 or HTTP\/1.1 over TLS, asked for a certificate\n/);
    assert.match(out, /auth {6}mtls\n/);
    assert.match(
      out,
      /sent to lb:\/\/a \(over TLS where the address is https:\/\/: verified as a.internal by the service’s own authority, shown a certificate of the gateway’s\):/,
    );
    assert.match(out, /X-Forwarded-Proto: https\n/);
    assert.match(out, /X-Penstock-Subject: \(from the credential\)/);
    assert.match(out, /Not sent:\n\n {4}X-Client-Cert: whose certificate was shown only trustedProxies may say/);
    const { listener, answers } = JSON.parse(json) as { listener: unknown; answers: { sent: { secured: unknown } } };
    assert.deepEqual(listener, { isSecure: true, speaks: ['HTTP/2', 'HTTP/1.1'], asksForCertificates: true });
    assert.deepEqual(answers.sent.secured, {
      ...{ verifiedAs: 'b.example', isVerified: true, hasOwnAuthority: false, showsCertificate: false },
    });
  });

  test('says why no route answers, and exits with 1', async t => {
    const run = inFolder(t);

    const [missing, method, dots] = [
      await run(explain, 'GET', '/b'),
      await run(explain, 'PUT', '/a/b'),
      await run(explain, 'GET', '/a/../b'),
    ];

    assert.deepEqual([missing.code, method.code, dots.code], [1, 1, 1]);
    assert.match(missing.out, /no {3}a {9}Path=\/a\/\*\*\n {2}no {3}rest {6}Header=X-Rest\n {2}404 {2}NO_ROUTE/);
    assert.match(method.out, /405 {2}METHOD_NOT_ALLOWED.*\n {7}Allow: GET, HEAD/);
    assert.match(dots.out, /400 {2}BAD_REQUEST: The path contains dot segments/);
  });

  test('takes a URL in full, a body and several fields, and speaks JSON', async t => {
    const args = ['GET', 'http://api.example.org/a/x', '-H', 'X-A: 1', '-H', 'X-B:2', '-d', '[1]', '--json'];

    const { out } = await inFolder(t)(explain, ...args);

    const { request, answers } = JSON.parse(out) as {
      request: unknown;
      answers: { route: string; sent: { target: string; headers: [string, string][]; bodyBytes: number } };
    };
    assert.deepEqual(request, { method: 'GET', path: '/a/x', query: '', host: 'api.example.org' });
    assert.deepEqual([answers.route, answers.sent.target, answers.sent.bodyBytes], ['a', '/x', 3]);
    assert.deepEqual(answers.sent.headers.slice(0, 2), [
      ['X-A', '1'],
      ['X-B', '2'],
    ]);
  });

  test('shows neither the secrets of the files nor the token of the request', async t => {
    const routes = `services: { a: { sharedSecret: '\${env:S}' } }
routes: [{ uri: lb://a, predicates: ['Path=/{tenant}'], filters: ['AddRequestHeader=X-Key, {tenant}-\${env:K}', 'SetRequestHeader=X-Api-Key, sesame-{tenant}'] }]`;
    const run = inFolder(t, { routes, env: { S: 'hunter2hunter2', K: 'letmein' } });

    for (const flags of [[], ['--json']]) {
      const { code, out } = await run(explain, 'GET', '/acme', '-H', 'Authorization: Bearer my-token', ...flags);
      assert.equal(code, 0);
      assert.ok(!/hunter2|letmein|my-token|sesame/.test(out), out);
      assert.match(out, /PLUMBER-SHARED-SECRET/);
      assert.match(out, /X-Key\W+acme-\[redacted\]/);
      assert.match(out, /SetRequestHeader=X-Api-Key, \[redacted\]\{tenant\}/);
    }
  });

  test('says which scheme admits the request, what it counts under, and what only a provider knows', async t => {
    const secret = 'a secret of thirty-two bytes or more';
    const identity = `{ guessing: { failures: 1 }, jwt: [
      { issuer: here, audience: a, algorithms: [HS256], secret: '\${env:S}' },
      { issuer: 'https://id.example.org', audience: a, algorithms: [RS256], discovery: true } ],
      introspection: [{ endpoint: 'https://id.example.org/i', clientId: a, clientSecret: '\${env:S}', match: opaque- }] }`;
    const limits = `[{ rate: 9, per: 1s, by: ip }, { rate: 5, per: 1s, by: 'header:Cookie' }, { rate: 8, per: 1s, by: caller },
      { rate: 7, per: 1s, by: route, enforce: false }, { rate: 6, per: 1s, by: caller, cost: rows }]`;
    const routes = `routes: [{ uri: lb://a, predicates: [Path=/a], auth: { roles: [analyst] }, limits: ${limits} }]`;
    const run = inFolder(t, { gateway: `identity: ${identity}`, routes, env: { S: secret } });
    const token = (claims: object) =>
      aToken({ alg: 'HS256' }, { iss: 'here', aud: 'a', exp: 4e9, ...claims }, hmac(secret));
    const reported = async (...fields: string[]) => {
      const flags = [...fields.flatMap(field => ['-H', field]), '--address', '2001:db8::7'];
      const { code, out, err } = await run(explain, 'GET', '/a', ...flags);
      assert.equal(code, 0, err);
      return out.split('\n').flatMap(line => /^  ((?:admitted|refused|not asked|counted) .*)$/.exec(line)?.[1] ?? []);
    };
    const early = ['counted   9-per-1s-by-ip: 2001:db8:0:0::/64', 'counted   5-per-1s-by-header-cookie: [redacted]'];

    assert.deepEqual(
      await reported(`Authorization: Bearer ${token({ sub: 'ann', roles: ['analyst'] })}`, 'Cookie: a=b'),
      [
        'admitted  jwt: here/ann, role analyst',
        ...early,
        'counted   8-per-1s-by-caller: here/ann',
        'counted   7-per-1s-by-route: all calls of the route',
        'counted   6-rows-per-1s-by-caller: here/ann',
      ],
    );
    for (const credential of ['opaque-1', token({ iss: 'https://id.example.org', sub: 'ann' })]) {
      const [first = '', ...others] = await reported(`Authorization: Bearer ${credential}`, 'Cookie: a=b');
      assert.match(first, /^not asked {1,2}(?:opaque|jwt): its provider knows/);
      assert.ok(others.includes('counted   8-per-1s-by-caller: (the caller)'));
    }
    assert.deepEqual(await reported(`Authorization: Bearer ${token({ sub: 'ann' })}`, 'Cookie: a=b'), [
      'refused   403 FORBIDDEN: The credential carries no roles at all; they were looked for in roles.',
      ...early,
    ]);
    assert.match((await reported())[0] ?? '', /^refused {3}401 UNAUTHENTICATED: This route needs/);
    const { err } = await run(explain, 'GET', '/a', '--address', 'here');
    assert.match(err, /--address is an IP address/);
  });

  test('knows a preflight, a redirect and a stream', async t => {
    const routes = `routes:
  - { id: c, uri: lb://a, predicates: [Path=/c, Method=PUT], cors: { origins: ['https://app'] } }
  - { id: r, uri: lb://a, predicates: [Path=/r], filters: ['RedirectTo=302, /c'] }
  - { id: s, uri: 'lb:ws://a', predicates: [Path=/s] }
`;
    const run = inFolder(t, { routes });
    const preflight = ['-H', 'Origin: https://app', '-H', 'Access-Control-Request-Method: PUT'];

    assert.match((await run(explain, 'OPTIONS', '/c', ...preflight)).out, /A preflight: the gateway answers it itself/);
    assert.match((await run(explain, 'GET', '/r')).out, /Answered here: 302, Location: \/c/);
    assert.match((await run(explain, 'GET', '/s')).out, /timeout {3}none: a stream, ended when idle for 5m/);
  });

  test('lists what is not sent, and why', async t => {
    const fields = [
      'X_User: admin',
      'Connection: X-A',
      'X-A: 1',
      'X-Penstock-Subject: x',
      'Accept-Encoding: br',
      'X-B: 1',
    ];
    const { out } = await inFolder(t)(explain, 'GET', '/a/b', ...fields.flatMap(field => ['-H', field]));

    const [, listed = ''] = out.split('Not sent:\n\n');
    assert.deepEqual(
      listed
        .trim()
        .split('\n')
        .map(line => line.trim()),
      [
        'X_User: R reads _ as -, so that it could stand for a field that was checked',
        'Connection: it concerns one connection and ends at this hop',
        'X-A: named by Connection: it ends at this hop',
        'X-Penstock-Subject: the gateway alone says who calls',
        'Accept-Encoding: R is spared compression',
      ],
    );
  });

  test('shows the problems of files that cannot be used', async t => {
    const { code, err } = await inFolder(t, { routes: 'routs: []' })(explain, 'GET', '/');

    assert.equal(code, 1);
    assert.match(err, /unknown key `routs`/);
  });

  test('explains itself, and asks for what is missing', async t => {
    const run = inFolder(t);

    assert.match((await run(explain, '--help')).out, /^penstock explain/);
    assert.equal((await run(explain, 'GET')).code, 2);
    assert.equal((await run(explain, 'GET', '/', '-H', 'nonsense')).code, 2);
  });
});

describe('schema', () => {
  test('prints a JSON Schema that knows what the parser knows', async t => {
    const run = inFolder(t);

    const { out } = await run(schema, 'routes');

    const { properties } = JSON.parse(out) as {
      properties: { routes: { items: { properties: Record<string, unknown> } } };
    };
    const keys = Object.keys(properties.routes.items.properties);
    for (const key of ['id', 'uri', 'predicates', 'filters', 'auth', 'limits', 'retry', 'cors', 'stream', 'cache'])
      assert.ok(keys.includes(key), key);
    assert.ok(keys.includes('validate') && !keys.includes('mirror'));
    assert.equal((await run(schema, 'gateway')).code, 0);
    assert.equal((await run(schema, 'gatway')).code, 2);
  });
});

describe('generate', () => {
  test('writes what is missing or stale, and with --check only says so', async t => {
    const run = inFolder(t);
    const { cwd } = await run(check);
    mkdirSync(join(cwd, 'docs'));
    const asRun: Run = (args, io) => generate(args, io);

    const before = await run(asRun, '--check');
    const written = await run(asRun);
    const after = await run(asRun, '--check');

    assert.equal(before.code, 1);
    assert.equal(before.err.split('\n').length - 1, generatedFiles().size);
    assert.equal(written.out.split('\n').length - 1, generatedFiles().size);
    assert.deepEqual([after.code, after.err], [0, '']);
  });
});
