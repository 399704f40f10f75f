import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { describe, test } from 'node:test';
import { redactedGateway } from '../../gateway/config/gateway-config.ts';
import { problemLine } from '../../gateway/config/problem.ts';
import { gatewayOf, reported, type Around } from '../support/configuration.ts';

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const PEM = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n';

/** The contract's example, without what is not supported yet. */
const DOCUMENTED = `
listen:
  host: 0.0.0.0
  port: 8080
  trustedProxies: [10.0.0.0/8]
  urlBytesMax: 8KiB
  headerBytesMax: 16KiB
  headersTimeout: 10s
  bodyIdleTimeout: 30s
  keepAliveTimeout: 65s
  connectionsMax: 10000
  requestsPerConnectionMax: 32
  bytesPerConnectionMax: 1MiB
  h2c: false
  mergeSlashes: false
admin:
  host: 127.0.0.1
  port: 9090
  access:
    open: [livez, readyz, metrics]
    tokens: [{ name: ops, sha256: ${'9f'.repeat(32)}, role: operator }]
routes: routes.yaml
user: penstock
discovery:
  consul:
    address: http://127.0.0.1:8500
    token: \${env:CONSUL_HTTP_TOKEN:-}
    datacenter: dc1
    tag: v2
    snapshot: ../.state/roster.json
    emptyHold: 60s
    register: true
    advertise: 10.0.0.7:8080
  local:
    - { service: fuel, entry: ../plumber-services/fuel, instances: 2, env: [MODEL_DIR] }
  static:
    - { service: legacy, instances: ['http://10.0.0.5:8000'] }
identity:
  jwt:
    - { issuer: penstock-dev, audience: penstock, algorithms: [HS256], secret: '\${env:PENSTOCK_JWT_SECRET}', leeway: 30s }
    - { issuer: 'https://id.example.org', audience: penstock, algorithms: [RS256], publicKey: keys/idp.pem }
    - { issuer: 'https://login.example.org', audience: penstock, algorithms: [RS256], jwks: 'https://login.example.org/jwks.json' }
    - { issuer: 'https://other.example.org', audience: any, clientId: app, algorithms: [ES256], discovery: true, jwksStaleMax: 12h, claims: { scopes: scp, roles: realm_access.roles, subject: oid } }
    - { issuer: jhipster, audience: penstock, algorithms: [HS256], secret: { base64: '\${env:PENSTOCK_BASE64}' } }
  tokenBytesMax: 8KiB
log: { level: info, access: true }
drain: { grace: 5s, timeout: 30s }
`;

const around: Around = {
  variables: { PENSTOCK_JWT_SECRET: SECRET, PENSTOCK_BASE64: Buffer.from(SECRET).toString('base64') },
  files: {
    '/etc/penstock/keys/idp.pem': PEM,
    '/etc/penstock/../plumber-services/fuel/plumber.R': '',
    '/run/secret': `${SECRET}\n`,
  },
};

describe('gateway.yaml', () => {
  test('lists instances of Rserve, with its own port where none is written', () => {
    const text =
      "discovery: { static: [{ service: a, instances: ['rserve://10.0.0.5:6399', 'rserve://r.internal', 'rserve://[fd00::7]', 'rserves://r.internal'] }] }";
    const { config, problems } = gatewayOf(text, around);

    assert.deepEqual(reported(problems), []);
    assert.deepEqual(config?.discovery.static[0]?.instances, [
      ...['rserve://10.0.0.5:6399', 'rserve://r.internal:6311', 'rserve://[fd00::7]:6311', 'rserves://r.internal:6311'],
    ]);
  });

  test('as documented means what it says, in milliseconds, bytes and absolute paths', () => {
    const { config, problems } = gatewayOf(DOCUMENTED, around);

    assert.deepEqual(reported(problems), []);
    assert.deepEqual(config?.listen, {
      host: '0.0.0.0',
      port: 8080,
      trustedProxies: ['10.0.0.0/8'],
      urlBytesMax: 8_192,
      headerBytesMax: 16_384,
      headersTimeoutMs: 10_000,
      bodyIdleTimeoutMs: 30_000,
      keepAliveTimeoutMs: 65_000,
      connectionsMax: 10_000,
      requestsPerConnectionMax: 32,
      bytesPerConnectionMax: 1_048_576,
      h2c: false,
      mergeSlashes: false,
    });
    assert.equal(config.user, 'penstock');
    assert.equal(config.routes, '/etc/penstock/routes.yaml');
    assert.deepEqual(config.discovery.local, [
      {
        kind: 'plumber',
        service: 'fuel',
        entry: '/etc/penstock/../plumber-services/fuel',
        instances: 2,
        env: ['MODEL_DIR'],
      },
    ]);
    assert.deepEqual(config.discovery.static, [{ service: 'legacy', instances: ['http://10.0.0.5:8000'] }]);
    const { token, ...consul } = config.discovery.consul ?? { token: undefined };
    assert.equal(token, undefined);
    assert.deepEqual(consul, {
      address: 'http://127.0.0.1:8500',
      datacenter: 'dc1',
      tag: 'v2',
      snapshot: '/etc/penstock/../.state/roster.json',
      register: true,
      advertise: '10.0.0.7:8080',
      emptyHoldMs: 60_000,
    });
    assert.equal(config.identity?.jwt[0]?.secret?.reveal(), SECRET);
    assert.equal(config.identity.jwt[1]?.publicKey, PEM);
    const [, , fetched, found, decoded] = config.identity.jwt.map(({ jwks, discovery, jwksStaleMsMax, ...rest }) => {
      const { audience, clientId, claims, isSecretBase64 } = rest;
      return [[jwks, discovery, jwksStaleMsMax, audience, clientId], claims, isSecretBase64];
    });
    const url = 'https://login.example.org/jwks.json';
    assert.deepEqual(fetched, [[url, false, 86_400_000, 'penstock', undefined], {}, false]);
    const paths = { scopes: ['scp'], roles: ['realm_access', 'roles'], subject: ['oid'] };
    assert.deepEqual(found, [[undefined, true, 43_200_000, undefined, 'app'], paths, false]);
    assert.equal(decoded?.at(-1), true);
    assert.deepEqual(config.log, { level: 'info', access: true });
    assert.deepEqual(config.drain, { graceMs: 5_000, timeoutMs: 30_000 });
  });

  test('that says nothing has every documented default', () => {
    const empty = gatewayOf('{}').config ?? assert.fail();
    const full = gatewayOf(DOCUMENTED, around).config ?? assert.fail();

    assert.deepEqual(empty.listen, { ...full.listen, trustedProxies: [] });
    assert.deepEqual(empty.admin, { host: '127.0.0.1', port: 9090 });
    assert.deepEqual({ log: empty.log, drain: empty.drain }, { log: full.log, drain: full.drain });
    assert.deepEqual(empty.discovery, { consul: undefined, local: [], static: [] });
    assert.deepEqual([empty.identity, empty.user], [undefined, undefined]);
    const { consul } = gatewayOf('discovery: { consul: {} }').config?.discovery ?? {};
    assert.deepEqual(
      [consul?.address, consul?.snapshot, consul?.emptyHoldMs, consul?.register],
      ['http://127.0.0.1:8500', '/etc/penstock/../.state/roster.json', 60_000, true],
    );
  });

  test('starts one R process of a service, and gives it no variable but the usual', () => {
    const { config } = gatewayOf('discovery: { local: [{ service: a, entry: b }] }', {
      files: { '/etc/penstock/b/plumber.R': '' },
    });

    assert.deepEqual(config?.discovery.local, [
      { kind: 'plumber', service: 'a', entry: '/etc/penstock/b', instances: 1, env: [] },
    ]);
  });

  test('may hold x-… keys for anchors, whatever stands in them', () => {
    const text = 'x-host: &host "${env:HOST}"\nx-more: [1]\nlisten: { host: *host }';

    const { config, problems } = gatewayOf(text, { variables: { HOST: '127.0.0.2' } });

    assert.deepEqual([reported(problems), config?.listen.host], [[], '127.0.0.2']);
    assert.deepEqual(reported(gatewayOf('listen: { x-host: a }').problems), [
      '1:11 error listen.x-host: unknown key `x-host`',
    ]);
  });

  test('takes a key without a value for no key', () => {
    assert.deepEqual(reported(gatewayOf('listen:\nadmin:\n  access:\n').problems), []);
  });

  test('reads numbers and switches that come from the environment', () => {
    const text = 'listen: { port: "${env:PORT}" }\nlog: { access: "${env:ACCESS:-false}" }';

    const { config } = gatewayOf(text, { variables: { PORT: '8181' } });

    assert.deepEqual([config?.listen.port, config?.log.access], [8181, false]);
  });

  test('reads a secret from a file, without the line end that editors put there', () => {
    const text = 'identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], secret: "${file:/run/secret}" }] }';

    const { config, problems } = gatewayOf(text, around);

    assert.deepEqual(reported(problems), []);
    assert.equal(config?.identity?.jwt[0]?.secret?.reveal(), SECRET);
  });
});

describe('gateway.yaml, wrong', () => {
  const rows: readonly (readonly [what: string, text: string, problems: readonly string[]])[] = [
    ['an unknown key, with the nearest known', 'listen: { prot: 1 }', ['1:11 error listen.prot: unknown key `prot`']],
    ['a wrong type', 'listen: { port: "8080" }', ['1:17 error listen.port: must be a whole number']],
    ['a number out of bounds', 'listen: { port: 70000 }', ['1:17 error listen.port: must be at most 65535']],
    ['no duration', 'drain: { grace: 5 }', ['1:17 error drain.grace: must be text']],
    ['an odd duration', 'drain: { grace: 5sec }', ['1:17 error drain.grace: must be a duration']],
    ['a duration beyond what a timer can do', 'drain: { grace: 30d }', ['1:17 error drain.grace: must be at most 10m']],
    [
      'a duplicate key, and more beside it',
      'log:\n  level: info\n  level: loud',
      [
        '3:3 error log.level: this key is there already',
        '3:10 error log.level: must be one of error, warn, info, debug',
      ],
    ],
    [
      'broken YAML',
      'listen: { port: 1',
      ['1:18 error listen.port: is not indented as its neighbours are, or a bracket is not closed'],
    ],
    ['tabs', 'listen:\n\tport: 1', ['2:1 error listen: YAML is indented with spaces, not tabs']],
    ['a list for a map', 'listen: [1]', ['1:9 error listen: must be a map of keys']],
    [
      'an address that is none',
      'discovery: { consul: { address: "ftp://x" } }',
      ['1:33 error discovery.consul.address: must be an address'],
    ],
    [
      'an admin listener for all the world',
      'admin: { host: 0.0.0.0 }',
      ['1:16 error admin.host: is not loopback, and `admin.access` says nothing of who may do what'],
    ],
    [
      'services of one who is no scientist, and of a role that is none',
      `admin: { access: { tokens: [{ name: a, sha256: ${'a'.repeat(64)}, role: viewer, services: [a] }], services: { b: [a] } } }`,
      [
        '1:138 error admin.access.tokens[0].services: is for the role scientist alone',
        '1:161 error admin.access.services.b: is no role of `roles.scientist`',
      ],
    ],
    [
      'a proxy that is no range',
      'listen: { trustedProxies: [10.0.0.0/33] }',
      ['1:28 error listen.trustedProxies[0]: must be an address or a range of addresses'],
    ],
    [
      'a service listed twice',
      'discovery: { local: [{ service: a, entry: x }, { service: a, entry: y }] }',
      ['1:59 error discovery.local[1].service: the service a is listed already'],
    ],
    [
      'a folder without an R service',
      'discovery: { local: [{ service: a, entry: x }] }',
      [
        '1:43 error discovery.local[0].entry: holds no R service: /etc/penstock/x/plumber.R cannot be read: no such file or directory (ENOENT)',
      ],
    ],
    [
      'an R file that is not there',
      'discovery: { local: [{ service: a, entry: x/score.R }] }',
      [
        '1:43 error discovery.local[0].entry: /etc/penstock/x/score.R cannot be read: no such file or directory (ENOENT)',
      ],
    ],
    [
      'a script that is not there',
      'discovery: { local: [{ service: a, script: x.R }] }',
      ['1:44 error discovery.local[0].script: /etc/penstock/x.R cannot be read: no such file or directory (ENOENT)'],
    ],
    [
      'what neither is served nor run',
      'discovery: { local: [{ service: a }] }',
      ['1:22 error discovery.local[0]: needs `entry`, `script`, `rserve` or `onnx`'],
    ],
    [
      'an ONNX file beside another way',
      'discovery: { local: [{ service: a, script: x.R, onnx: x.onnx }] }',
      ['1:55 error discovery.local[0].onnx: is in place of `script`: only one of them'],
    ],
    [
      'what is both a service and a script, with keys that only a script has beside it',
      'discovery: { local: [{ service: a, entry: x, script: y }, { service: b, entry: x, warm: 1 }] }',
      [
        '1:54 error discovery.local[0].script: is in place of `entry`: only one of them',
        '1:89 error discovery.local[1].warm: `warm` is only for a `script`',
      ],
    ],
    ...['identity', 'addresses', 'audit'].map((key): (typeof rows)[number] => [
      `an ${key} without a value, which would guard nothing`,
      `${key}:`,
      [`1:1 error ${key}: has no value`],
    ]),
    ['a `tls` without a value', 'listen:\n  tls:', ['2:3 error listen.tls: has no value']],
    ['an unset variable', 'routes: ${env:NOPE}', ['1:9 error routes: the environment variable NOPE is not set']],
    [
      'an unreadable file',
      'routes: ${file:nope}',
      ['1:9 error routes: the file nope cannot be read: no such file or directory (ENOENT)'],
    ],
  ];

  test('a number that needs a unit is told how one is written', () => {
    const { problems } = gatewayOf('drain: { grace: 5 }', around);

    assert.deepEqual(
      problems.map(({ hint }) => hint),
      ['such as 250ms, 5s, 2m'],
    );
  });

  for (const text of ['${SECRET}', '${env.SECRET}', '${ENV:SECRET}', '${env:SECRET', 'a${SECRET}b']) {
    test(`does not take the text ${text} for the secret itself`, () => {
      const { config, problems } = gatewayOf(
        `discovery: { consul: { address: "http://consul:8500", token: "${text}" } }`,
      );

      assert.equal(config, undefined);
      assert.deepEqual(reported(problems), [
        '1:62 error discovery.consul.token: what begins with ${ is no reference, or is not closed',
      ]);
    });
  }

  for (const [what, text, problems] of rows) {
    test(`refuses ${what}`, () => {
      const parsed = gatewayOf(text);

      assert.deepEqual(reported(parsed.problems), problems);
      assert.equal(parsed.config, undefined);
    });
  }

  test('says everything at once, in the order of the file', () => {
    const text = 'listen:\n  prot: 1\n  port: x\nlog: { levl: info }\nnope: 1\n';

    assert.deepEqual(reported(gatewayOf(text).problems), [
      '2:3 error listen.prot: unknown key `prot`',
      '3:9 error listen.port: must be a whole number',
      '4:8 error log.levl: unknown key `levl`',
      '5:1 error nope: unknown key `nope`',
    ]);
    assert.equal(gatewayOf(text).problems[2]?.hint, 'did you mean `level`?');
  });

  test('reports certificates that cannot be read, and a redirect that leads nowhere', () => {
    const tls = '{ cert: tls/c.pem, key: tls/k.pem, hsts: 1h, more: [{ cert: /x.pem, key: /y.pem }] }';
    const around = { files: { '/etc/penstock/tls/c.pem': '', '/etc/penstock/tls/k.pem': '', '/y.pem': '' } };

    assert.deepEqual(reported(gatewayOf(`listen: { tls: ${tls} }`, around).problems), [
      '1:76 error listen.tls.more[0].cert: the file cannot be read: no such file or directory (ENOENT)',
    ]);
    assert.deepEqual(
      reported(gatewayOf('listen: { tls: { cert: /y.pem, key: /y.pem }, h2c: true }', around).problems),
      ['1:52 error listen.h2c: has no place beside `tls`: there callers agree on HTTP/2 in the handshake'],
    );
    assert.deepEqual(reported(gatewayOf('listen: { redirectFrom: 8081 }').problems), [
      '1:25 error listen.redirectFrom: redirects to https, and the gateway has no `listen.tls`',
    ]);
    assert.deepEqual(
      reported(gatewayOf('listen: { tls: { cert: /y.pem, key: /y.pem }, redirectFrom: 8080 }', around).problems),
      ['1:61 error listen.redirectFrom: is `port` itself: it must be another one'],
    );
  });

  test('asks callers for certificates only where they count, and takes them only where they are asked for', () => {
    const around = { files: { '/c.pem': '' } };
    const withClientCa = (ca: string, more = '') =>
      reported(gatewayOf(`listen: { tls: { cert: /c.pem, key: /c.pem, clientCa: ${ca} } }${more}`, around).problems);

    assert.deepEqual(withClientCa('/c.pem', '\nidentity: { mtls: {} }'), []);
    assert.deepEqual(withClientCa('/c.pem'), [
      '1:55 warning listen.tls.clientCa: callers are asked for certificates that count nowhere',
    ]);
    assert.deepEqual(withClientCa('/x.pem', '\nidentity: { mtls: {} }'), [
      '1:55 error listen.tls.clientCa: the file cannot be read: no such file or directory (ENOENT)',
    ]);
    assert.deepEqual(reported(gatewayOf('identity: { mtls: { caller: subject } }').problems), [
      '1:13 error identity.mtls: no caller is asked for a certificate',
    ]);
  });

  test('has a Redis without credentials in its address, whose password is not shown', () => {
    const { config } = gatewayOf("redis: { url: 'redis://127.0.0.1:6379', password: '${env:P}' }", {
      variables: { P: 'hush-hush' },
    });

    assert.deepEqual([config?.redis?.timeoutMs, config?.redis?.password?.reveal()], [100, 'hush-hush']);
    assert.doesNotMatch(JSON.stringify(config), /hush/);
    const [problem = '', ...others] = reported(gatewayOf("redis: { url: 'redis://:hush-hush@h:6379' }").problems);
    assert.match(problem, /error redis\.url: must be redis:\/\/HOST:PORT/);
    assert.doesNotMatch(problem, /hush/);
    assert.deepEqual(others, []);
  });

  test('has certificates by absolute paths', () => {
    const around = { files: { '/etc/penstock/c.pem': '', '/etc/penstock/k.pem': '' } };
    const text = 'listen: { tls: { cert: c.pem, key: k.pem, hsts: 2m }, redirectFrom: 8081 }';

    const { config } = gatewayOf(text, around);

    const [cert, key] = ['/etc/penstock/c.pem', '/etc/penstock/k.pem'];
    assert.deepEqual(config?.listen.tls, { cert, key, more: [], hstsSeconds: 120 });
    assert.equal(config.listen.redirectFrom, 8081);
  });

  for (const [path, text] of [['tracing', 'tracing: {}']] as const) {
    test(`refuses ${path} by name, as not yet supported`, () => {
      const key = path.split('.').at(-1) ?? '';

      assert.ok(
        reported(gatewayOf(text).problems).some(line => line.endsWith(`error ${path}: ${key}: not yet supported`)),
      );
    });
  }
});

describe('secrets in gateway.yaml', () => {
  const issuer = (keys: string) => `identity:\n  jwt:\n    - { issuer: a, audience: b, ${keys} }\n`;

  test('a literal one is used, with a warning', () => {
    const { config, problems } = gatewayOf(issuer(`algorithms: [HS256], secret: ${SECRET}`));

    assert.deepEqual(reported(problems), ['3:62 warning identity.jwt[0].secret: a secret stands in the file']);
    assert.equal(config?.identity?.jwt[0]?.secret?.reveal(), SECRET);
  });

  for (const [algorithm, bytes] of [
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
  ] as const) {
    test(`one for ${algorithm} has at least ${bytes} bytes`, () => {
      const text = issuer(`algorithms: [${algorithm}], secret: '\${env:S}'`);
      const problemsWith = (length: number) =>
        reported(gatewayOf(text, { variables: { S: 'x'.repeat(length) } }).problems);

      assert.deepEqual(problemsWith(bytes), []);
      assert.deepEqual(problemsWith(bytes - 1), [
        `3:62 error identity.jwt[0].secret: is too short: ${algorithm} asks for at least ${bytes} bytes`,
      ]);
    });
  }

  test('none is printed, logged or part of a problem', () => {
    const { config } = gatewayOf(DOCUMENTED, around);
    const shown = [
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      JSON.stringify(redactedGateway(config as never)),
    ];
    const broken = gatewayOf(issuer('algorithms: [HS512], secret: hunter2'), around).problems.map(problemLine);

    for (const text of shown) assert.ok(!text.includes(SECRET), text);
    assert.ok(shown[2]?.includes('[redacted]') === true && !shown[2].includes('9f9f'));
    assert.ok(broken.length > 0 && !broken.join('').includes('hunter2'));
  });

  for (const [what, keys, problem] of [
    [
      'a secret for a key pair’s algorithm',
      `algorithms: [RS256], publicKey: keys/idp.pem, secret: '\${env:PENSTOCK_JWT_SECRET}'`,
      'is of no use with RS256',
    ],
    [
      'HS together with others',
      `algorithms: [HS256, RS256], secret: '\${env:PENSTOCK_JWT_SECRET}'`,
      'mixes HS… with others: an issuer has a secret, or it has a key pair',
    ],
    ['no key at all', 'algorithms: [ES256]', 'ES256 needs `publicKey`, `jwks` or `discovery`'],
    ['no secret', 'algorithms: [HS256]', 'HS256 needs `secret`'],
    ['no algorithm', 'algorithms: []', 'must have at least 1 item'],
    [
      'none as an algorithm',
      'algorithms: [none]',
      'must be one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512',
    ],
    [
      'a key file that is not there',
      'algorithms: [RS256], publicKey: nope.pem',
      'the file cannot be read: no such file or directory (ENOENT)',
    ],
  ] as const) {
    test(`an issuer with ${what} is refused`, () => {
      const messages = gatewayOf(issuer(keys), around).problems.map(({ message }) => message);

      assert.deepEqual(messages, [problem]);
    });
  }

  test('a private key where the public one belongs is refused', () => {
    const files = { '/etc/penstock/k.pem': '-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n' };

    const { problems } = gatewayOf(issuer('algorithms: [RS256], publicKey: k.pem'), { files });

    assert.deepEqual(
      problems.map(({ message }) => message),
      ['is a private key: here belongs the public one'],
    );
  });
});
