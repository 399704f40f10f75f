import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileRoutes } from '../../gateway/config/compile.ts';
import { parseRoutes, resolvedKey } from '../../gateway/config/parse-routes.ts';
import { compileRegex } from '../../gateway/edges/re2js.ts';
import { explained, routesOf, soundRoutes, surroundings, reported } from '../support/configuration.ts';

describe('a file written for Spring Cloud Gateway', () => {
  const routes = `
          routes:
          - id: score
            uri: lb://plumber-scoring
            predicates: [ "Path=/api/score/**" ]
            filters: [ "StripPrefix=2" ]
          default-filters: [ "AddRequestHeader=X-Env, prod" ]`;

  for (const [what, text] of [
    ['today’s prefix', `spring:\n  cloud:\n    gateway:\n      server:\n        webflux:${routes}`],
    ['the prefix of before 4.3', `spring:\n  cloud:\n        gateway:${routes}`],
    ['dots for nesting', `spring.cloud.gateway:${routes}`],
    ['dots and nesting', `spring:\n  cloud.gateway.server.webflux:${routes}`],
  ] as const) {
    test(`loads under ${what}`, () => {
      const { answers } = explained(soundRoutes(text), { line: 'GET /api/score/1' });

      assert.equal(answers?.sent?.target, '/1');
      assert.ok(answers.sent.headers.some(([name, value]) => name === 'X-Env' && value === 'prod'));
    });
  }

  test('is checked below the prefix, and ignored elsewhere with one warning', () => {
    const text = `
server: { port: 8080 }
eureka: { client: {} }
spring:
  application: { name: gw }
  cloud:
    gateway:
      httpclient: { pool: { type: elastic }, wiretap: true }
      enabled: true
      routs: []
      websocket: { enabled: true }
      routes: [{ uri: lb://a }]
`;

    const { problems } = routesOf(text);

    assert.deepEqual(reported(problems), [
      '2:1 warning server: ignored, as the settings of other software: server, eureka, spring.application',
      '8:21 warning spring.cloud.gateway.httpclient.pool: changes nothing here: httpclient.pool, httpclient.wiretap, enabled',
      '10:7 error spring.cloud.gateway.routs: unknown key `routs`',
      '11:7 error spring.cloud.gateway.websocket: unknown key `websocket`',
    ]);
    assert.deepEqual(
      problems.map(({ hint }) => hint),
      [
        undefined,
        'the same is said by `services: { NAME: { concurrency, connection } }`',
        'did you mean `routes`?',
        'leave it out: Spring Cloud Gateway has none',
      ],
    );
  });

  test('may say default filters in camel case', () => {
    const { answers } = explained(soundRoutes('defaultFilters: [PrefixPath=/p]\nroutes: [{ uri: lb://a }]'), {
      line: 'GET /x',
    });

    assert.equal(answers?.sent?.target, '/p/x');
  });

  test('may not say routes in two places', () => {
    const { problems } = routesOf('routes: [{ uri: lb://a }]\nspring: { cloud: { gateway: { routes: [] } } }');

    assert.deepEqual(reported(problems), ['1:1 error routes: stand here, and under `spring:` too']);
  });

  test('may have properties under keys that are also ours', () => {
    const routes = routesOf(`
services: { user: { url: 'http://users:8081' }, fuel: { concurrency: 2 } }
defaults: { region: eu }
spring.cloud.gateway.routes:
- { id: users, uri: '\${services.user.url}', predicates: [Path=/users] }
- { id: fuel, uri: lb://fuel }
`);

    assert.deepEqual(reported(routes.problems), [
      '3:1 warning defaults: ignored, as the settings of other software: defaults, services.user',
    ]);
    assert.deepEqual(
      routes.specs.map(({ serviceName }) => serviceName),
      ['users:8081', 'fuel'],
    );
    assert.equal(routes.services.get('fuel')?.concurrency, 2);
  });
});

/** A Spring file with these lines below the prefix, and one route. */
const settings = (lines: string) => `spring:
  cloud:
    gateway:
      routes: [{ id: a, uri: lb://a, predicates: [Path=/a/**] }]
${lines.replaceAll(/^/gm, '      ')}`;

describe('settings beside the routes', () => {
  test('of CORS for every path become `defaults: { cors }`', () => {
    const { specs } = soundRoutes(
      settings(`globalcors:
  corsConfigurations:
    '[/**]':
      allowedOrigins: "https://a.example.org, https://b.example.org/"
      allowed-methods: [get, POST]
      allowedHeaders: '*'
      exposedHeaders: [X-Total-Count]
      allowCredentials: true
      maxAge: 3600`),
    );

    assert.deepEqual(specs[0]?.policy.cors, {
      origins: new Set(['https://a.example.org', 'https://b.example.org']),
      methods: ['GET', 'POST'],
      headers: ['*'],
      expose: ['X-Total-Count'],
      credentials: true,
      maxAgeSeconds: 3_600,
    });
  });

  test('of CORS say as little as Spring takes where nothing is written', () => {
    const { specs } = soundRoutes(
      settings("globalcors: { cors-configurations: { '[/**]': { allowedOrigins: '*' } } }"),
    );

    const { methods, headers, maxAgeSeconds } = specs[0]?.policy.cors ?? assert.fail();
    assert.deepEqual([methods, headers, maxAgeSeconds], [['GET', 'HEAD'], [], 5]);
  });

  test('become defaults that our own keys beside them replace', () => {
    const written = settings(`httpclient: { connect-timeout: 250, response-timeout: 5s }
globalcors: { cors-configurations: { '[/**]': { allowedOrigins: '*' } } }`);

    const { specs, services } = soundRoutes(`defaults: { cors: { origins: ['https://x'] } }\n${written}`);

    const [spec] = specs;
    assert.equal(spec?.policy.timeoutMs, 5_000);
    assert.deepEqual([...(spec.policy.cors?.origins ?? [])], ['https://x']);
    assert.equal(services.get('a')?.connectTimeoutMs, 250);
  });

  test('of time are the route’s where its metadata says so, and our own key wins', () => {
    const { specs, services } = soundRoutes(`
services: { c: { connection: { connectTimeout: 3s } } }
spring:
  cloud:
    gateway:
      httpclient: { connect-timeout: 1000, response-timeout: PT1M30S }
      routes:
      - { uri: lb://a, metadata: { response-timeout: 200, connect-timeout: 150, owner: '\${nobody}' } }
      - { uri: lb://b, timeout: 7s, metadata: { response-timeout: 200 } }
      - { uri: lb://c, metadata: { connect-timeout: 150, cors: { allowedOrigins: '*' } } }
`);

    assert.deepEqual(
      specs.map(({ policy }) => policy.timeoutMs),
      [200, 7_000, 90_000],
    );
    assert.deepEqual(
      ['a', 'b', 'c'].map(name => services.get(name)?.connectTimeoutMs),
      [150, 1_000, 3_000],
    );
    assert.deepEqual(
      specs.map(({ policy }) => policy.cors !== undefined),
      [false, false, true],
    );
  });

  const rows: readonly (readonly [lines: string, problems: readonly string[], hint?: string])[] = [
    ['discovery: { locator: { enabled: false, lower-case-service-id: true } }', ['warning']],
    [
      'discovery: { locator: { enabled: true } }',
      ['error discovery.locator.enabled: `discovery.locator.enabled: true` is not a setting of this gateway'],
      "leave it out, and write under `routes:` for each service `- { id: NAME, uri: 'lb://NAME', predicates: ['Path=/NAME/**'], filters: ['RewritePath=/NAME/?(?<remaining>.*), /$\\{remaining}'] }`",
    ],
    ['loadbalancer: { use404: false }', ['warning']],
    [
      'loadbalancer: { use404: true }',
      ['error loadbalancer.use404: `loadbalancer.use404: true` is not a setting of this gateway'],
    ],
    ['httpclient: { response-timeout: soon }', ['error httpclient.response-timeout: must be a duration']],
    [
      'httpclient: { response-timeout: -1 }',
      [
        'warning httpclient.response-timeout: a call without a bound is given a day',
        'warning routes[0].uri: an attempt may take longer than `hangMax` of a, after which its instance is ejected as hung',
      ],
    ],
    ['server: { webmvc: { routes: [] } }', ['error server.webmvc: `server.webmvc` is not a setting of this gateway']],
    [
      "globalcors: { cors-configurations: { '[/api/**]': { allowedOrigins: '*' } } }",
      [
        'error globalcors.cors-configurations.[/api/**]: is for /api/** alone, and `globalcors` becomes `defaults: { cors }` for all routes',
      ],
    ],
    [
      "globalcors: { cors-configurations: { '[/**]': { allowedOrigins: ['*'], allowCredentials: true } } }",
      [
        'error globalcors.cors-configurations.[/**].allowedOrigins: any origin with credentials would let every site act in its visitors’ name',
      ],
    ],
    [
      "globalcors: { cors-configurations: { '[/**]': { allowedOriginPatterns: 'https://*.example.org' } } }",
      ['error globalcors.cors-configurations.[/**].allowedOriginPatterns: patterns of origins are not understood here'],
    ],
    [
      "globalcors: { cors-configurations: { '[/**]': { allowedOrigin: '*' } } }",
      [
        'error globalcors.cors-configurations.[/**].allowedOrigin: unknown key `allowedOrigin`',
        'error globalcors.cors-configurations.[/**]: must have at least 1 item',
      ],
    ],
  ];
  for (const [lines, expected, hint] of rows) {
    test(lines, () => {
      const { problems } = routesOf(settings(lines));

      const short = problems.map(
        ({ severity, path, message }) => `${severity} ${path.replace('spring.cloud.gateway.', '')}: ${message}`,
      );
      if (expected[0] === 'warning') assert.deepEqual([problems.length, problems[0]?.severity], [1, 'warning']);
      else assert.deepEqual(new Set(short), new Set(expected));
      if (hint !== undefined) assert.equal(problems[0]?.hint, hint);
    });
  }

  test('what is advised in place of the locator works when it is pasted', () => {
    const [problem] = routesOf(settings('discovery: { locator: { enabled: true } }')).problems;
    const line = /`(- .*)`$/.exec(problem?.hint ?? '')?.[1]?.replaceAll('NAME', 'fuel') ?? '';

    const routes = soundRoutes(`spring.cloud.gateway.routes:\n${line}`);

    assert.equal(explained(routes, { line: 'GET /fuel/predict' }).answers?.sent?.target, '/predict');
  });
});

describe('Spring’s placeholders', () => {
  const variables = {
    GW_HOST: 'api.example.org',
    USER_SERVICEURL: 'http://users:8081',
    HOSTS: 'a.example.org, b.example.org',
    segment: 'trap',
    EVIL: '/a, /b/{x}',
    ON: 'false',
  };
  const file = (route: string, properties = '') => `${properties}\nspring.cloud.gateway.routes: [${route}]`;

  const rows: readonly (readonly [
    route: string,
    line: string,
    to: string,
    target: string,
    headers?: readonly string[],
  ])[] = [
    ["{ uri: 'lb://${SVC:fuel}' }", 'GET /x', 'fuel', '/x'],
    ["{ uri: '${user.service-url}' }", 'GET /x', 'users:8081', '/x'],
    ["{ uri: '${user.serviceUrl}' }", 'GET /x', 'users:8081', '/x'],
    ["{ uri: '${scheme}://${back-end.host}:${back-end.port}' }", 'GET /x', 'backend:9000', '/x'],
    ["{ uri: 'http://${NO:${NEITHER:deep}}:80' }", 'GET /x', 'deep:80', '/x'],
    ["{ uri: 'http://${hosts[1].name}:80' }", 'GET /x', 'two:80', '/x'],
    ["{ uri: lb://a, predicates: ['Host=${GW_HOST}'] }", 'GET /x', 'a', '/x', ['Host', 'api.example.org']],
    ["{ uri: lb://a, predicates: ['Host=${HOSTS}'] }", 'GET /x', 'a', '/x', ['Host', 'b.example.org']],
    ["{ uri: lb://a, predicates: ['Method=${METHODS:GET,POST}'] }", 'POST /x', 'a', '/x'],
    [
      "{ uri: lb://a, predicates: [{ name: Path, args: { pattern: '/${base-path:shop}/**' } }] }",
      'GET /shop/x',
      'a',
      '/shop/x',
    ],
    ["{ uri: lb://a, filters: ['PrefixPath=/${ctx}'] }", 'GET /x', 'a', '/eu/west/x'],
    ["{ uri: lb://a, filters: ['RewritePath=/red/(?<segment>.*), /${segment}'] }", 'GET /red/x', 'a', '/x'],
    [
      "{ uri: lb://a, filters: ['RewritePath=/${ctx:no}/(?<s>.*), /${GW_HOST}/${s}'] }",
      'GET /eu/west/x',
      'a',
      '/api.example.org/x',
    ],
    [
      "{ uri: lb://a, filters: ['RewritePath=/red/(?<s>.*), /$\\\\{s}'] }".replaceAll('\\\\', '\\'),
      'GET /red/x',
      'a',
      '/x',
    ],
  ];
  const properties = `
back-end: { host: backend, port: 9000 }
scheme: http
hosts: [{ name: one }, { name: two }]
region: eu
ctx: '\${region}/west'`;
  for (const [route, line, to, target, headers = []] of rows) {
    test(route, () => {
      const { answers } = explained(routesOf(file(route, properties), { variables }), { line, headers });

      assert.deepEqual([answers?.service, answers?.sent?.target], [to, target]);
    });
  }

  test('are filled in a routes.yaml of our own as well', () => {
    const routes = soundRoutes(
      "routes: [{ uri: 'lb://${SVC:fuel}', enabled: '${ON_OR:true}', filters: ['PrefixPath=/${P:a}'] }]",
    );

    assert.equal(explained(routes, { line: 'GET /x' }).answers?.sent?.target, '/a/x');
  });

  test('may stand for switches and numbers', () => {
    const text = file("{ uri: lb://a, enabled: '${ON}' }, { id: b, uri: lb://b, order: '${ORDER:7}' }");

    assert.deepEqual(
      soundRoutes(text, { variables }).specs.map(({ id, order }) => [id, order]),
      [['b', 7]],
    );
  });

  const chain = Array.from({ length: 20 }, (_, i) => `b${i}: '${`\${b${i + 1}}`.repeat(8)}'`).join('\n');
  const wrong: readonly (readonly [route: string, reports: string])[] = [
    [
      "{ uri: '${back.end}' }",
      '22:38 error spring.cloud.gateway.routes[0].uri: ${back.end} leads nowhere: the environment has no BACK_END, and this file no such key',
    ],
    [
      "{ uri: lb://a, predicates: ['Path=/${ctx}/**'] }",
      '22:65 error spring.cloud.gateway.routes[0].predicates[0]: Path: ${ctx} leads nowhere: the environment has no CTX, and this file no such key',
    ],
    [
      "{ uri: lb://a, filters: ['RewritePath=/a/(?<s>.*), /${t}'] }",
      '22:82 error spring.cloud.gateway.routes[0].filters[0]: RewritePath: ${t} leads nowhere: the environment has no T, and this file no such key',
    ],
    [
      "{ uri: lb://a, filters: ['PrefixPath=/${loop}'] }",
      '22:68 error spring.cloud.gateway.routes[0].filters[0]: PrefixPath: ${loop} stands for itself',
    ],
  ];
  for (const [route, expected] of wrong) {
    test(`${route} is an error at its place`, () => {
      const { problems } = routesOf(`loop: '\${loop}'\n${chain}${file(route)}`);

      assert.deepEqual(reported(problems.filter(({ severity }) => severity === 'error')), [expected]);
    });
  }

  test('do not blow a small file up', () => {
    const [problem] = routesOf(
      `${chain}\nb20: x${file("{ uri: lb://a, filters: ['PrefixPath=/${b0}'] }")}`,
    ).problems.filter(({ severity }) => severity === 'error');

    assert.match(problem?.message ?? '', /^PrefixPath: \$\{b\d+\} stands for too much$/);
  });

  test('from the environment are secrets, and nothing tells what they hold', () => {
    const text = file("{ uri: lb://a, predicates: ['Path=/${EVIL}x{'] }");

    const { problems } = routesOf(text, { variables });

    assert.ok(problems.length > 0);
    for (const { message, hint = '' } of problems) assert.doesNotMatch(`${message}${hint}`, /\/b/);
  });

  test('are the same in the thread that makes the routes', () => {
    const parsed = parseRoutes(
      file("{ uri: lb://a, filters: ['RewritePath=/red/(?<segment>.*), /${GW_HOST}/${segment}'] }"),
      surroundings('routes.yaml', { variables }),
    );
    compileRoutes(parsed, { identityConfigured: false, compileRegex });

    const again = compileRoutes(
      { ...parsed, resolve: (text, _complain, kept) => parsed.resolved.get(resolvedKey(text, kept)) ?? text },
      { identityConfigured: false, compileRegex },
    );

    assert.equal(explained(again, { line: 'GET /red/x' }).answers?.sent?.target, '/api.example.org/x');
  });
});

describe('several documents', () => {
  const file = `
server: { port: 8088 }
---
spring:
  profiles: default
  cloud.gateway:
    routes: [{ id: order, uri: 'http://localhost:8082' }]
---
spring:
  config.activate.on-profile: docker & !test
  cloud.gateway:
    routes: [{ id: order, uri: 'http://order:8080' }]
    default-filters: [PrefixPath=/docker]
---
spring:
  profiles: [prod, staging]
order: { host: order.internal }
spring.cloud.gateway.routes: [{ id: order, uri: 'http://\${order.host}:80' }]
`;

  /** Where the one route leads with these profiles, and what is said. */
  const withProfiles = (...profiles: string[]) => {
    const { specs, problems } = routesOf(file, { profiles });
    const [spec] = specs;
    return { service: spec?.serviceName, filters: spec?.filters.length, reports: reported(problems) };
  };

  test('count where the profile is chosen, and are reported where not', () => {
    assert.deepEqual(withProfiles(), {
      service: 'localhost:8082',
      filters: 0,
      reports: [
        '2:1 warning server: ignored, as the settings of other software: server',
        '10:3 warning spring.config.activate.on-profile: the document is for the profile docker & !test, and left out',
        '16:3 warning spring.profiles: the document is for the profile prod, staging, and left out',
      ],
    });
    assert.equal(withProfiles('docker').service, 'order:8080');
    assert.equal(withProfiles('docker').filters, 1);
    assert.equal(withProfiles('docker', 'test').service, undefined);
    assert.equal(withProfiles('staging').service, 'order.internal:80');
  });

  test('are merged as Spring does: a later list replaces one before, whole', () => {
    const { service, reports: lines } = withProfiles('docker', 'prod', 'default');

    assert.equal(service, 'order.internal:80');
    assert.deepEqual(
      lines.filter(line => line.includes('replaces')),
      [
        '7:5 warning spring.cloud.gateway.routes: a later document replaces these',
        '12:5 warning spring.cloud.gateway.routes: a later document replaces these',
      ],
    );
  });

  test('a profile that none is for is reported', () => {
    const { problems } = routesOf(file, { profiles: ['dokcer', 'default'] });

    assert.deepEqual(
      problems.filter(({ message }) => message.includes('dokcer')).map(({ message, hint }) => [message, hint]),
      [['no document is for the profile dokcer', 'did you mean docker?']],
    );
    assert.deepEqual(reported(routesOf('routes: []', { profiles: ['prod'] }).problems), [
      '1:1 warning no document is for the profile prod',
    ]);
  });

  test('hide nothing of one another, whatever is wrong with one', () => {
    const { problems, specs } = routesOf(
      `
spring.cloud.gateway: { rotes: [], routes: [{ uri: lb://a, filters: [Bogus=1] }] }
---
key: @broken
---
spring: { config.activate.on-profile: prod, x: 'a' 'b' }
---
spring.cloud.gateway.routes: [{ uri: 'ftp://b', predicates: [Paht=/a] }]
`,
      { profiles: [] },
    );

    assert.deepEqual(specs, []);
    assert.deepEqual(reported(problems), [
      '2:25 error spring.cloud.gateway.rotes: unknown key `rotes`',
      '2:36 warning spring.cloud.gateway.routes: a later document replaces these',
      '2:70 warning spring.cloud.gateway.routes[0].filters[0]: there is no filter called Bogus',
      '4:6 error key: no text begins so without quotes',
      '6:52 error spring.x: cannot be read as YAML',
      '8:38 error spring.cloud.gateway.routes[0].uri: is no URI of a service',
      '8:62 error spring.cloud.gateway.routes[0].predicates[0]: there is no predicate called Paht',
    ]);
  });

  test('that none of is Spring’s are an error', () => {
    assert.deepEqual(reported(routesOf('routes: []\n---\nservices: {}').problems), [
      '2:1 error a second document begins: a file is one document',
    ]);
  });
});
