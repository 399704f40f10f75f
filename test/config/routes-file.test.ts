import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explained, routesOf, soundRoutes, reported } from '../support/configuration.ts';

/** The contract's example, without what is not supported yet. */
const DOCUMENTED = `
defaults:
  timeout: 30s
default-filters: []
services:
  fuel:
    balance: { policy: least-loaded }
    concurrency: 1
    queue: { depthMax: 256, waitMax: 5s }
    ahead: auto
    hangMax: 2m
    streamsMax: 64
    connection: { reuse: auto, connectTimeout: 1s }
    sharedSecret: \${env:FUEL_SECRET}
    health: { path: /ping, interval: 5s, timeout: 2s, passes: 1, fails: 3 }
    outlier: { failures: 5, ejectFor: 30s, ejectForMax: 5m, percentMax: 50, keepMin: 1, statuses: [502, 503, 504],
               share: { callsMin: 30, window: 30s, confidence: 99% } }
    slowStart: 0s
routes:
  - id: fuel
    uri: lb://fuel
    order: 0
    enabled: true
    predicates: [ 'Path=/api/fuel/**', 'Method=GET,POST' ]
    filters: [ 'StripPrefix=2' ]
    auth: { allow: [jwt], scopes: [predict], roles: [], forwardToken: false }
    limits:
      - { rate: 100, per: 1s, by: caller, excess: reject }
      - { rate: 200, per: 1s, by: route, excess: queue, burst: 1, waitMax: 2s, depthMax: 256 }
    body: { max: 1MiB }
    answer: { bufferMax: 1MiB }
    timeout: 30s
    pure: false
    retry: { attempts: 3, attemptTimeout: 10s, on: [connect-failure, connection-lost, attempt-timeout, 502, 503, 504], budgetPercent: 20 }
    cors: { origins: ['https://app.example.org'], methods: [GET, POST], headers: [authorization, content-type], credentials: false, maxAge: 10m }
    stream: false
    streamIdle: 5m
`;

const FUEL_POLICY = {
  balance: { policy: 'least-loaded' },
  concurrency: 1,
  queueDepthMax: 256,
  queueWaitMsMax: 5_000,
  isFair: true,
  ahead: 'auto',
  hangMsMax: 120_000,
  streamsMax: 64,
  reuse: 'auto',
  connectTimeoutMs: 1_000,
  tls: undefined,
  sharedSecret: undefined as string | undefined,
  health: { path: '/ping', intervalMs: 5_000, timeoutMs: 2_000, passes: 1, fails: 3 },
  outlier: {
    failures: 5,
    ejectForMs: 30_000,
    ejectForMsMax: 300_000,
    percentMax: 50,
    keepMin: 1,
    statuses: new Set([502, 503, 504]),
    share: { callsMin: 30, windowMs: 30_000, confidence: 0.99 },
  },
  slowStartMs: 0,
  rserve: { account: undefined, callsMax: 1_000, memoryBytesMax: 2 ** 30 },
};

const IDENTITY = { identityConfigured: true };

const A_LIMIT = { by: { kind: 'caller' }, cost: 'calls', isEnforced: true, onStoreFailure: 'allow' };
const PACE = { burst: 1, waitMsMax: 2_000, depthMax: 256 };

describe('routes.yaml', () => {
  test('as documented means what it says', () => {
    const routes = soundRoutes(DOCUMENTED, { ...IDENTITY, variables: { FUEL_SECRET: 'hush' } });

    assert.deepEqual(routes.services.get('fuel'), { ...FUEL_POLICY, sharedSecret: 'hush' });
    const [fuel] = routes.specs;
    assert.deepEqual([fuel?.id, fuel?.order, fuel?.serviceName], ['fuel', 0, 'fuel']);
    assert.deepEqual([fuel?.methods, fuel?.paths.map(({ text }) => text)], [['GET', 'POST'], ['/api/fuel/**']]);
    assert.deepEqual(fuel?.policy, {
      auth: { allow: ['jwt'], scopes: ['predict'], roles: [], forwardToken: false },
      limits: [
        { ...A_LIMIT, rate: 100, perMs: 1_000, pace: undefined },
        { ...A_LIMIT, rate: 200, perMs: 1_000, by: { kind: 'route' }, pace: PACE },
      ],
      countsRows: false,
      bodyBytesMax: 1_048_576,
      streamBodyBytesMax: 1_048_576,
      answerBytesMax: 1_048_576,
      isAudited: false,
      showsErrorMessages: false,
      timeoutMs: 30_000,
      isPure: false,
      retry: {
        attempts: 3,
        attemptTimeoutMs: 10_000,
        repeatableTimeoutMs: 10_000,
        on: new Set(['connect-failure', 'connection-lost', 'attempt-timeout', 502, 503, 504]),
        budgetPercent: 20,
      },
      cors: {
        origins: new Set(['https://app.example.org']),
        methods: ['GET', 'POST'],
        headers: ['authorization', 'content-type'],
        credentials: false,
        expose: [],
        maxAgeSeconds: 600,
      },
      isStream: false,
      streamIdleMs: 300_000,
      priority: 'normal',
      compress: false,
      csv: false,
      async: 'allow',
      sharing: undefined,
      validate: undefined,
    });
  });

  test('with nothing but a uri has every documented default', () => {
    const routes = soundRoutes('routes: [{ uri: lb://fuel }]', IDENTITY);

    const usual = { ...FUEL_POLICY, health: { ...FUEL_POLICY.health, path: undefined } };
    assert.deepEqual(routes.services.get('fuel'), usual);
    assert.deepEqual(routes.policyOf('anything'), usual);
    const { auth, limits, cors, retry, ...policy } = routes.specs[0]?.policy ?? assert.fail();
    assert.deepEqual(auth, { allow: ['jwt'], scopes: [], roles: [], forwardToken: false });
    assert.deepEqual([limits, cors], [[], undefined]);
    assert.deepEqual([retry.attempts, retry.attemptTimeoutMs, retry.repeatableTimeoutMs], [3, 30_000, 10_000]);
    assert.deepEqual(policy, {
      countsRows: false,
      bodyBytesMax: 1_048_576,
      streamBodyBytesMax: Infinity,
      answerBytesMax: 1_048_576,
      isAudited: false,
      showsErrorMessages: false,
      timeoutMs: 30_000,
      isPure: false,
      isStream: false,
      streamIdleMs: 300_000,
      priority: 'normal',
      compress: false,
      csv: false,
      async: 'allow',
      sharing: undefined,
      validate: undefined,
    });
  });

  test('that shows Spring’s own example works unchanged', () => {
    const routes = soundRoutes(`
  routes:
  - id: user-service-route
    uri: lb://user-service
    predicates:
    - Path=/api/user/**
    filters:
    - StripPrefix=1
`);

    const { answers } = explained(routes, { line: 'GET /api/user/7?full=1' });

    assert.deepEqual([answers?.route, answers?.service], ['user-service-route', 'user-service']);
    assert.equal(answers?.sent?.target, '/user/7?full=1');
  });

  test('may have no routes, if it says so', () => {
    assert.deepEqual(soundRoutes('routes: []').specs, []);
    assert.deepEqual(soundRoutes('routes: []\nservices:\ndefaults:\n').specs, []);
    for (const text of ['', '# to be written\n'])
      assert.deepEqual(reported(routesOf(text).problems), ['1:1 error the file is empty']);
  });

  test('may hold x-… keys for anchors, whatever stands in them', () => {
    const text = 'x-limits: &limits [{ rate: 1, per: 1s }]\nx-none:\nroutes: [{ uri: lb://a, limits: *limits }]';

    assert.equal(soundRoutes(text).specs[0]?.policy.limits[0]?.rate, 1);
    assert.deepEqual(soundRoutes('x-a: 1\nspring: { cloud: { gateway: { routes: [] } } }').specs, []);
  });

  test('may not have a shared secret that no header field could hold, and is not told it', () => {
    for (const secret of ['"Sup3r\\nx"', '"Sup3r€"', '"Sup3rä"']) {
      const { problems } = routesOf(`services: { a: { sharedSecret: ${secret} } }\nroutes: [{ uri: lb://a }]`);

      assert.match(reported(problems).join(), /error services\.a\.sharedSecret: must be printable ASCII/);
      assert.doesNotMatch(reported(problems).join(), /Sup3r/);
    }
  });

  test('says of a service what is not its default', () => {
    const service = (keys: string) =>
      soundRoutes(`services: { a: { ${keys} } }\nroutes: [{ uri: lb://a }]`).services.get('a') ?? assert.fail();

    assert.equal(service('ahead: off').ahead, 'off');
    assert.deepEqual(
      [true, false, 'auto'].map(reuse => service(`connection: { reuse: ${reuse} }`).reuse),
      [true, false, 'auto'],
    );
    assert.deepEqual(service('balance: { policy: hash, strict: true }').balance, {
      policy: 'hash',
      by: { kind: 'caller' },
      strict: true,
    });
    assert.deepEqual(service('outlier: { share: { callsMin: 9, window: 1m, confidence: 99.9% } }').outlier.share, {
      callsMin: 9,
      windowMs: 60_000,
      confidence: 0.999,
    });
  });

  test('gives each attempt a third of the time where a repeat is allowed', () => {
    const timesOf = (keys: string) => {
      const { retry } =
        soundRoutes(`routes: [{ uri: lb://a, timeout: 9s, ${keys} }]`).specs[0]?.policy ?? assert.fail();
      return [retry.attemptTimeoutMs, retry.repeatableTimeoutMs];
    };

    assert.deepEqual(timesOf('pure: true'), [3_000, 3_000]);
    assert.deepEqual(timesOf('predicates: ["Method=GET,PUT"]'), [3_000, 3_000]);
    assert.deepEqual(timesOf('predicates: ["Method=GET,POST"]'), [9_000, 3_000]);
    assert.deepEqual(timesOf('pure: true, retry: { attempts: 1 }'), [9_000, 9_000]);
    assert.deepEqual(timesOf('retry: { attemptTimeout: 1s }'), [1_000, 1_000]);
  });

  test('lets a route’s own key replace the default whole', () => {
    const { specs } = soundRoutes(
      `
defaults:
  auth: { scopes: [predict], roles: [admin] }
  limits: [{ rate: 1, per: 1s }]
  timeout: 5s
routes:
  - { id: a, uri: lb://x }
  - { id: b, uri: lb://x, auth: { allow: [anonymous] }, limits: [], timeout: 6s }
`,
      IDENTITY,
    );

    assert.deepEqual(specs[0]?.policy.auth, {
      allow: ['jwt'],
      scopes: ['predict'],
      roles: ['admin'],
      forwardToken: false,
    });
    assert.deepEqual(specs[1]?.policy.auth, { allow: ['anonymous'], scopes: [], roles: [], forwardToken: false });
    assert.deepEqual([specs[0].policy.limits.length, specs[1].policy.limits.length], [1, 0]);
    assert.deepEqual([specs[0].policy.timeoutMs, specs[1].policy.timeoutMs], [5_000, 6_000]);
  });

  test('tries routes by order, then by their place, without those that are not enabled', () => {
    const { specs } = soundRoutes(`
routes:
  - { id: a, uri: lb://x, order: 1 }
  - { id: b, uri: lb://x }
  - { id: c, uri: lb://x, enabled: false }
  - { id: d, uri: lb://x, order: -1 }
  - { uri: lb://x }
`);

    assert.deepEqual(
      specs.map(({ id }) => id),
      ['d', 'b', 'route-5', 'a'],
    );
  });

  test('makes a plain address a service of that name, with the ways of an ordinary server', () => {
    const routes = soundRoutes(`
services:
  legacy.example.org:80: { queue: { depthMax: 7 } }
routes:
  - { uri: 'http://10.0.0.5:8000', predicates: [Path=/a] }
  - { uri: 'http://10.0.0.5:8000', predicates: [Path=/b] }
  - { uri: 'http://legacy.example.org', predicates: [Path=/c] }
`);

    assert.deepEqual(routes.statics, [
      { service: '10.0.0.5:8000', instances: ['http://10.0.0.5:8000'] },
      { service: 'legacy.example.org:80', instances: ['http://legacy.example.org:80'] },
    ]);
    const policy = routes.services.get('10.0.0.5:8000');
    assert.deepEqual([policy?.concurrency, policy?.reuse], [64, true]);
    assert.equal(routes.services.get('legacy.example.org:80')?.queueDepthMax, 7);
  });

  test('takes ws and lb:ws for streams', () => {
    const { specs } = soundRoutes('routes: [{ uri: "lb:ws://a" }, { uri: "ws://h:1" }, { uri: "lb:http://a" }]');

    assert.deepEqual(
      specs.map(({ policy, serviceName }) => [serviceName, policy.isStream]),
      [
        ['a', true],
        ['h:1', true],
        ['a', false],
      ],
    );
  });

  test('bounds a stream’s body only where a bound is written', () => {
    const boundOf = (keys: string, defaults = '') =>
      routesOf(`${defaults}routes: [{ uri: lb://a, stream: true${keys} }]`).specs[0]?.policy.streamBodyBytesMax;

    assert.equal(boundOf(''), Infinity);
    assert.equal(boundOf(', body: { max: 2KiB }'), 2_048);
    assert.equal(boundOf('', 'defaults: { body: { max: 1KiB } }\n'), 1_024);
    assert.equal(boundOf(', filters: [RequestSize=5MB]'), 5_242_880);
    assert.equal(boundOf(', filters: [RequestSize=5MB], body: { max: 2KiB }'), 2_048);
  });

  test('takes the smaller of body.max and RequestSize', () => {
    const sizeOf = (keys: string) => routesOf(`routes: [{ uri: lb://a, ${keys} }]`).specs[0]?.policy.bodyBytesMax;

    assert.equal(sizeOf('filters: [RequestSize=2KB]'), 2_048);
    assert.equal(sizeOf('filters: [{ name: RequestSize, args: { maxSize: 5000 } }]'), 5_000);
    assert.equal(sizeOf('filters: [{ name: RequestSize, args: { max-size: 1KiB } }], body: { max: 2KiB }'), 1_024);
    assert.equal(sizeOf('filters: [RequestSize=5MB], body: { max: 2KiB }'), 2_048);
    assert.equal(sizeOf('filters: [RequestSize], body: { max: 6MiB }'), 5_000_000);
  });

  test('is open where no identity is configured, and says so where a route asks for one', () => {
    assert.equal(soundRoutes('routes: [{ uri: lb://a }]').specs[0]?.policy.auth, undefined);
    assert.deepEqual(reported(routesOf('routes: [{ uri: lb://a, auth: { allow: [jwt] } }]').problems), [
      '1:25 error routes[0].auth: asks for a credential, but gateway.yaml configures no `identity` to judge one by',
    ]);
    assert.deepEqual(reported(routesOf('routes: [{ uri: lb://a, auth: { allow: [anonymous] } }]').problems), []);
  });
});

describe('routes.yaml, wrong', () => {
  const rows: readonly (readonly [what: string, text: string, problems: readonly string[]])[] = [
    ['an unknown key of the file', 'route: []', ['1:1 error route: unknown key `route`']],
    [
      'an unknown key of a route',
      'routes: [{ uri: lb://a, timeot: 1s }]',
      ['1:25 error routes[0].timeot: unknown key `timeot`'],
    ],
    [
      'an unknown key deep down',
      'services: { a: { queue: { depthmx: 1 } } }\nroutes: [{ uri: lb://a }]',
      ['1:27 error services.a.queue.depthmx: unknown key `depthmx`'],
    ],
    ['a route without a uri', 'routes: [{ id: a }]', ['1:10 error routes[0].uri: is missing']],
    [
      'two routes of one name',
      'routes: [{ id: a, uri: lb://x, predicates: [Path=/a] }, { id: a, uri: lb://x }]',
      ['1:63 error routes[1].id: another route is called a already'],
    ],
    [
      'what belongs to each route in the defaults',
      'defaults: { uri: lb://a }\nroutes: []',
      ['1:13 error defaults.uri: uri belongs to each route'],
    ],
    ['no list of routes', 'routes: { a: 1 }', ['1:9 error routes: must be a list']],
    ['a URI of nothing', 'routes: [{ uri: fuel }]', ['1:17 error routes[0].uri: is no URI of a service']],
    ['forward:', 'routes: [{ uri: "forward:/x" }]', ['1:17 error routes[0].uri: forward: is not part of this gateway']],
    [
      'a Spring placeholder',
      'routes: [{ uri: "${BACKEND}" }]',
      ['1:17 error routes[0].uri: ${BACKEND} leads nowhere: the environment has no BACKEND, and this file no such key'],
    ],
    [
      'credentials in a URI',
      'routes: [{ uri: "http://u:p@h" }]',
      ['1:17 error routes[0].uri: credentials do not belong in a URI'],
    ],
    [
      'a service with a port',
      'routes: [{ uri: "lb://a:80" }]',
      ['1:17 error routes[0].uri: a service has no port: its instances have'],
    ],
    [
      'one address by two schemes',
      'routes: [{ uri: "http://h:443", predicates: [Path=/a] }, { uri: "https://h" }]',
      ['1:65 error routes[1].uri: h:443 is called by http elsewhere'],
    ],
    [
      'credentials for any origin',
      'routes: [{ uri: lb://a, cors: { origins: ["*"], credentials: true } }]',
      [
        '1:31 error routes[0].cors: `credentials: true` needs the origins by name: browsers refuse `*` together with credentials',
      ],
    ],
    [
      'an origin with a path',
      'routes: [{ uri: lb://a, cors: { origins: ["https://a/b"] } }]',
      ['1:43 error routes[0].cors.origins[0]: must be an origin'],
    ],
    [
      'an affinity without hash',
      'services: { a: { balance: { by: ip } } }\nroutes: [{ uri: lb://a }]',
      ['1:33 error services.a.balance.by: `by` is only for `policy: hash`'],
    ],
    [
      'strictness without hash',
      'services: { a: { balance: { strict: true } } }\nroutes: [{ uri: lb://a }]',
      ['1:37 error services.a.balance.strict: `strict` is only for `policy: hash`'],
    ],
    [
      'a connection that is kept perhaps',
      'services: { a: { connection: { reuse: perhaps } } }\nroutes: [{ uri: lb://a }]',
      ['1:39 error services.a.connection.reuse: must be true, false or auto'],
    ],
    [
      'a share that is no percentage',
      'services: { a: { outlier: { share: { confidence: 0.99 } } } }\nroutes: [{ uri: lb://a }]',
      ['1:50 error services.a.outlier.share.confidence: must be text'],
    ],
    [
      'a share above the whole',
      'routes: [{ uri: lb://a, pure: true, batch: { recheck: 101% } }]',
      ['1:55 error routes[0].batch.recheck: must be a share'],
    ],
    [
      'an ejection that shrinks',
      'services: { a: { outlier: { ejectFor: 2m, ejectForMax: 1m } } }\nroutes: [{ uri: lb://a }]',
      ['1:56 error services.a.outlier.ejectForMax: must not be shorter than `ejectFor`'],
    ],
    [
      'an unknown reason to retry',
      'routes: [{ uri: lb://a, retry: { on: [conect-failure] } }]',
      [
        '1:39 error routes[0].retry.on[0]: must be one of connect-failure, connection-lost, attempt-timeout, or a status from 400 to 599',
      ],
    ],
    [
      'a limit by nothing known',
      'routes: [{ uri: lb://a, limits: [{ rate: 1, per: 1s, by: user }] }]',
      ['1:58 error routes[0].limits[0].by: must be one of caller, ip, route, header:NAME'],
    ],
    [
      'a limit that is longer than a month, and one that lets wait without end',
      'routes: [{ uri: lb://a, limits: [{ rate: 1, per: 32d }, { rate: 1, per: 1s, excess: queue, waitMax: 2h }] }]',
      [
        '1:50 error routes[0].limits[0].per: must be at most 31d',
        '1:101 error routes[0].limits[1].waitMax: must be at most 1h',
      ],
    ],
    [
      'what is for calls that wait, where none do',
      'routes: [{ uri: lb://a, limits: [{ rate: 1, per: 1s, burst: 5 }] }]',
      ['1:61 error routes[0].limits[0].burst: is for calls that may wait'],
    ],
    [
      'rows by an address, which is counted before there is a body',
      'routes: [{ uri: lb://a, limits: [{ rate: 1, per: 1s, by: ip, cost: rows }] }]',
      [
        '1:68 error routes[0].limits[0].cost: is counted once the body is known, and addresses and headers are counted before',
      ],
    ],
    [
      'rows of a stream, whose body is not taken in',
      'routes: [{ uri: lb://a, stream: true, limits: [{ rate: 1, per: 1s, cost: rows }] }]',
      ['1:74 error routes[0].limits[0].cost: is for bodies that are taken in, and the route is a stream'],
    ],
    [
      'code in the place of a function of R',
      `routes: [{ uri: lb://a, rserve: { call: 'system("id")' } }]`,
      ['1:41 error routes[0].rserve.call: must be the name of a function of R: NAME, or PACKAGE::NAME'],
    ],
    [
      'a user of Rserve without a password',
      'services: { a: { rserve: { user: alice } } }\nroutes: [{ uri: lb://a, rserve: { call: f } }]',
      ['1:26 error services.a.rserve: needs `user` and `password`, or none of them'],
    ],
    [
      'a word for what input is held against',
      'routes: [{ uri: lb://a, validate: { from: protoype } }]',
      ['1:43 error routes[0].validate.from: must be prototype, openapi or the path of a JSON Schema'],
    ],
    [
      'a JSON Schema that is not there',
      'routes: [{ uri: lb://a, validate: { from: car.json } }]',
      ['1:43 error routes[0].validate.from: car.json cannot be read'],
    ],
  ];

  for (const [what, text, problems] of rows) {
    test(`refuses ${what}`, () => {
      const routes = routesOf(text);

      assert.deepEqual(reported(routes.problems), problems);
      assert.deepEqual(routes.specs, []);
    });
  }

  for (const key of ['experiment', 'mirror', 'askVersion', 'slo']) {
    test(`refuses ${key} by name, as not yet supported, on a route and in the defaults`, () => {
      assert.deepEqual(reported(routesOf(`routes: [{ uri: lb://a, ${key}: x }]`).problems), [
        `1:25 error routes[0].${key}: ${key}: not yet supported`,
      ]);
      assert.deepEqual(reported(routesOf(`defaults: { ${key}: x }\nroutes: []`).problems), [
        `1:13 error defaults.${key}: ${key}: not yet supported`,
      ]);
    });
  }

  test('reads the `tls` of a service, and names each file that is not there', () => {
    const tls = '{ ca: ca.pem, cert: c.pem, key: k.pem, serverName: fuel.internal }';
    const text = `services: { a: { tls: ${tls} } }\nroutes: [{ uri: lb://a }]`;
    const flaws = [{ of: 'ca', message: 'the file cannot be read' }] as const;

    const routes = routesOf(text, {
      tlsIn: ({ ca, serverName, verify }) => ({
        ...{ tls: { id: '', ca, client: undefined, serverName, isVerified: verify }, flaws },
      }),
    });

    assert.deepEqual(
      routes.problems.map(({ path, message }) => `${path}: ${message}`),
      ['services.a.tls.ca: the file cannot be read'],
    );
    const made = routes.policyOf('a').tls;
    assert.deepEqual([made?.ca, made?.serverName, made?.isVerified], ['ca.pem', 'fuel.internal', true]);
  });

  for (const [tls, problem] of [
    ['{ cert: c.pem }', 'error services.a.tls.cert: goes together with `key`'],
    ['{ key: k.pem }', 'error services.a.tls.key: goes together with `cert`'],
    ['{ serverName: "a b" }', 'error services.a.tls.serverName: must be a name of a host, or an address'],
    [
      '{ verify: false }',
      'warning services.a.tls.verify: any machine at an address is believed to be the instance: certificates are not verified',
    ],
  ] as const) {
    test(`says of \`tls: ${tls}\` what is wrong with it`, () => {
      const [line, ...others] = reported(
        routesOf(`services: { a: { tls: ${tls} } }\nroutes: [{ uri: lb://a }]`).problems,
      );

      assert.equal(line?.replace(/^\S+ /, ''), problem);
      assert.deepEqual(others, []);
    });
  }

  test('reports what the file says and what it means together', () => {
    const text = `
services: { fuel: { concurency: 1 } }
routes:
  - { id: a, uri: lb://fuel, timeot: 1s, predicates: ['Paht=/x', 'Query=a, (?=b)'] }
  - { id: a, uri: nowhere, filters: [StripPrefix=x] }
`;

    assert.deepEqual(reported(routesOf(text).problems), [
      '2:21 error services.fuel.concurency: unknown key `concurency`',
      '4:30 error routes[0].timeot: unknown key `timeot`',
      '4:56 error routes[0].predicates[0]: there is no predicate called Paht',
      '4:76 error routes[0].predicates[1]: Query: regexp: look-ahead and look-behind are not supported: patterns run in linear time',
      '5:11 error routes[1].id: another route is called a already',
      '5:19 error routes[1].uri: is no URI of a service',
      '5:48 error routes[1].filters[0]: StripPrefix: parts must be a whole number',
    ]);
  });

  test('warns where a route gives an instance longer than its service lets it live', () => {
    const text = [
      'services: { b: { hangMax: 10m } }',
      'routes:',
      "  - { id: a, uri: 'lb://a', predicates: [Path=/a], timeout: 3m }",
      "  - { id: b, uri: 'lb://b', predicates: [Path=/b], timeout: 3m }",
      "  - { id: s, uri: 'lb://a', predicates: [Path=/s], stream: true }",
    ].join('\n');

    assert.deepEqual(reported(routesOf(text).problems), [
      '3:19 warning routes[0].uri: an attempt may take longer than `hangMax` of a, after which its instance is ejected as hung',
    ]);
  });

  test('warns of a service entry that no route leads to, and of a service that no source knows', () => {
    const text = 'services: { feul: {} }\nroutes: [{ uri: lb://fuel }]';

    const { problems, specs } = routesOf(text, { knownServices: new Set(['fual']) });

    assert.deepEqual(reported(problems), [
      '1:13 warning services.feul: no route leads to feul',
      '2:17 warning routes[0].uri: no discovery in gateway.yaml knows a service called fuel',
    ]);
    assert.deepEqual(
      problems.map(({ hint }) => hint),
      ['did you mean `fuel`?', 'did you mean lb://fual?'],
    );
    assert.equal(specs.length, 1);
  });

  test('warns of a literal secret, and never quotes it', () => {
    const { problems } = routesOf('services: { a: { sharedSecret: hunter2 } }\nroutes: [{ uri: lb://a }]');

    assert.deepEqual(reported(problems), ['1:32 warning services.a.sharedSecret: a secret stands in the file']);
    assert.ok(!JSON.stringify(problems).includes('hunter2'));
  });
});
