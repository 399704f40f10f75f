import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { importSpring } from '../../gateway/config/import/import.ts';
import { hasError, type Problem } from '../../gateway/config/problem.ts';
import { explained, gatewayOf, routesOf, soundRoutes, surroundings, reported } from '../support/configuration.ts';

const FOLDER = join(import.meta.dirname, 'spring');

interface File {
  readonly profiles?: readonly string[];
  /** What `check` spells out: a line of the file with an error, and what is written in its place. */
  readonly edits?: readonly (readonly [line: string, instead: string])[];
  /** A request, and where it goes: the service, and the target as the instance sees it. */
  readonly sends: readonly (readonly [request: string, to: string, headers?: readonly string[]])[];
  /** Routes that the import switches off, since something that they need is left out. */
  readonly off?: readonly string[];
}

/** Files as they are written for Spring Cloud Gateway, by their name. */
const FILES: Readonly<Record<string, File>> = {
  '01-tutorial': {
    sends: [
      ['GET /api/product', 'product-service /api/product'],
      ['GET /eureka/web', 'localhost:8761 /'],
    ],
  },
  '02-placeholders': {
    sends: [
      ['GET /api/v1/users/7', 'localhost:8081 /users/7'],
      ['GET /api/v1/orders/7', 'localhost:8082 /orders/7', ['Host', 'a.example.org']],
    ],
  },
  '03-profiles': { profiles: ['docker'], sends: [['GET /basket/1', 'basket:8080 /basket/1']] },
  '04-old-profiles': { sends: [['GET /a/1', 'a /a/1']] },
  '05-default-filters': {
    sends: [
      ['GET /inventory/x/y', 'inventory-service /x'],
      ['GET /search/?q=1', 'search-service /search/?q=1'],
    ],
  },
  '06-cors': { sends: [['GET /accounts/1', 'accounts /accounts/1']] },
  '07-cors-narrow': {
    edits: [
      [
        "          '[/api/**]':\n            allowed-origin-patterns: 'https://*.example.org'\n            allowed-methods: '*'\n",
        '',
      ],
      ['        - id: api\n', "        - id: api\n          cors: { origins: ['https://app.example.org'] }\n"],
    ],
    sends: [['GET /api/1', 'api /api/1']],
  },
  '08-locator': {
    edits: [['          enabled: true\n', '']],
    sends: [['GET /fuel/1', 'fuel /fuel/1']],
  },
  '09-resilience': {
    edits: [
      ['                fallbackUri: forward:/fallback/inventory\n', ''],
      ['          uri: forward:/fallback\n', '          uri: lb://fallback\n'],
    ],
    sends: [['GET /inventory/1', 'inventory /inventory/1']],
    off: ['fallback'],
  },
  '10-rate-limit': {
    edits: [
      [
        "            - name: RequestRateLimiter\n              args:\n                redis-rate-limiter.replenishRate: 10\n                redis-rate-limiter.burstCapacity: 20\n                redis-rate-limiter.requestedTokens: 1\n                key-resolver: '#{@ipKeyResolver}'\n",
        '          limits: [{ rate: 10, per: 1s, by: ip, excess: queue, burst: 20, waitMax: 0s }]\n',
      ],
    ],
    sends: [['GET /quotes/a', 'quotes.example.org:443 /a']],
  },
  '11-keycloak': {
    edits: [
      ['        - SaveSession\n', ''],
      ['        - TokenRelay=\n', ''],
      [
        '        - id: resource\n',
        '        - id: resource\n          auth: { allow: [jwt, anonymous], forwardToken: true }\n',
      ],
    ],
    sends: [['GET /resource', 'resource:9000 /resource']],
  },
  '12-websocket': {
    sends: [
      ['GET /websocket/1', 'chat:3001 /websocket/1'],
      ['GET /notifications/1', 'notification-service /notifications/1'],
    ],
  },
  '13-canary': { sends: [['GET /score/1', 'score-v3:8080 /score/1', ['Cookie', 'beta=yes']]] },
  '14-all-predicates': {
    sends: [
      ['GET /after/1', 'example.org:443 /after/1'],
      ['GET /x?red=green', 'example.org:443 /x?red=green', ['X-Request-Id', '1', 'Cookie', 'chocolate=chip']],
    ],
  },
  '15-all-filters': {
    edits: [['          uri: no://op\n', '          uri: lb://nowhere\n']],
    sends: [['GET /red/a/b', 'example.org:443 /mypath/red/a/b?red=blue']],
  },
  '16-own-filters': {
    edits: [
      ['            - AuthenticationFilter\n', ''],
      [
        '            - name: Logging\n              args:\n                baseMessage: billing\n                preLogger: true\n',
        '',
      ],
    ],
    sends: [['GET /auth/1', 'AUTH-SERVICE /auth/1']],
    off: ['billing-service'],
  },
  '17-body-filters': {
    edits: [
      ['            - name: CacheRequestBody\n              args:\n                bodyClass: java.lang.String\n', ''],
      ['            - RemoveJsonAttributesResponseBody=id,color\n', ''],
      [
        '            - name: FallbackHeaders\n              args:\n                executionExceptionTypeHeaderName: Test-Header\n',
        '',
      ],
    ],
    sends: [],
    off: ['cached'],
  },
  '18-java-regex': {
    edits: [['            - Header=X-Role, (?!admin).*\n', '            - Header=X-Role, user|guest\n']],
    sends: [['GET /en/about', 'site /about']],
    off: ['not-admin'],
  },
  '19-metadata': { sends: [['GET /slow/1', 'slow:8080 /slow/1']] },
  '20-kitchen-sink': {
    edits: [
      ['      trusted-proxies: 10\\.0\\..*\n', ''],
      ['        secure-headers:\n          frame-options: SAMEORIGIN\n', ''],
      ['            - RequestHeaderToRequestUri=X-Target\n', '            []\n'],
      ['            - Version=1.2+\n', '            - Header=API-Version, 1\\.2\n'],
    ],
    sends: [['GET /v3/api-docs/x', 'docs.example.org:443 /x/v3/api-docs']],
    off: ['dynamic', 'versions'],
  },
};

const errorsOf = (problems: readonly Problem[]) => problems.filter(({ severity }) => severity === 'error');

function read(name: string): string {
  return readFileSync(join(FOLDER, `${name}.yml`), 'utf8');
}

/** The file after one pass of edits, and the lines on which they begin. */
function edited(text: string, edits: File['edits'] = []): { text: string; lines: ReadonlySet<number> } {
  const lines = new Set<number>();
  let result = text;
  for (const [from, to] of edits) {
    assert.equal(text.split(from).length, 2, `stands there once: ${from}`);
    lines.add(text.slice(0, text.indexOf(from)).split('\n').length);
    result = result.replace(from, () => to);
  }
  return { text: result, lines };
}

function sent(routes: ReturnType<typeof routesOf>, [request, , headers]: File['sends'][number]): string {
  const { answers } = explained(routes, { line: request, headers: headers ?? [], wallMs: Date.UTC(2026, 1, 1) });
  return `${answers?.service ?? 'none'} ${answers?.sent?.target ?? '-'}`;
}

/** A line is in what an edit takes out, or is the one that it begins with. */
function covers(text: string, edits: File['edits'] = [], line: number): boolean {
  return edits.some(([from]) => {
    const first = text.slice(0, text.indexOf(from)).split('\n').length;
    return line >= first && line < first + from.split('\n').length - 1;
  });
}

test('every file is looked at', () => {
  const names = readdirSync(FOLDER).map(name => name.replace(/\.yml$/, ''));

  assert.deepEqual(names, Object.keys(FILES));
  assert.ok(names.length >= 20);
});

for (const [name, file] of Object.entries(FILES)) {
  const { profiles = [], edits = [], sends, off = [] } = file;

  describe(`${name}.yml`, () => {
    test(edits.length === 0 ? 'loads as it is' : 'loads after one pass of the edits that `check` spells out', () => {
      const text = read(name);
      const errors = errorsOf(routesOf(text, { profiles }).problems);

      assert.equal(errors.length > 0, edits.length > 0, reported(errors).join('\n'));
      for (const { line, hint, message } of errors)
        assert.ok(covers(text, edits, line), `${line}: ${message} (${hint ?? ''})`);
      const after = routesOf(edited(text, edits).text, { profiles, identityConfigured: name === '11-keycloak' });
      assert.deepEqual(reported(errorsOf(after.problems)), []);
      for (const each of sends) assert.equal(sent(after, each), each[1]);
    });

    test('is imported as two files that `check` passes, and that send the same', () => {
      const judge = (routes: string, identityConfigured: boolean) => routesOf(routes, { identityConfigured }).problems;
      const imported = importSpring(read(name), { surroundings: surroundings(`${name}.yml`), profiles, judge });
      assert.ok('routes' in imported);

      const gateway = gatewayOf(imported.gateway);
      const routes = routesOf(imported.routes, { identityConfigured: gateway.config?.identity !== undefined });
      assert.deepEqual(reported(errorsOf([...gateway.problems, ...routes.problems])), [], imported.routes);
      for (const each of sends) assert.equal(sent(routes, each), each[1], imported.routes);
      const isOff = [...imported.routes.matchAll(/- id: (\S+)(?:(?!- id:)[^])*?enabled: false/g)].map(([, id]) => id);
      assert.deepEqual(isOff, off);
      assert.equal(imported.less > 0, `${imported.gateway}${imported.routes}`.includes('Less: '));
    });
  });
}

describe('an import', () => {
  const imported = (text: string, variables: Readonly<Record<string, string>> = {}) => {
    const around = { variables };
    const result = importSpring(text, {
      surroundings: surroundings('application.yml', around),
      profiles: [],
      judge: (routes, identityConfigured) => routesOf(routes, { identityConfigured, ...around }).problems,
    });
    assert.ok('routes' in result, 'problems' in result ? reported(result.problems).join('\n') : '');
    return result;
  };

  test('says where instances, tokens and ports were, in gateway.yaml', () => {
    const { gateway } = imported(`
server: { port: '\${PORT:8088}', address: 127.0.0.1, max-http-request-header-size: 32KB }
management.server.port: 9191
spring:
  security.oauth2.resourceserver.jwt: { issuer-uri: https://id.example.org, audiences: [shop], jws-algorithms: ES256 }
  cloud:
    consul: { host: consul.example.org, config: { acl-token: very-secret } }
    discovery.client.simple.instances: { users: [{ uri: http://10.0.0.7:8080/ }] }
    gateway.routes: [{ id: users, uri: lb://users, predicates: [Path=/users/**] }]
`);

    const { config, problems } = gatewayOf(gateway);
    assert.deepEqual(reported(errorsOf(problems)), []);
    assert.ok(config);
    assert.deepEqual(
      [config.listen.port, config.listen.host, config.listen.headerBytesMax],
      [8_088, '127.0.0.1', 32_768],
    );
    assert.equal(config.admin.port, 9_191);
    assert.deepEqual(config.discovery.static, [{ service: 'users', instances: ['http://10.0.0.7:8080'] }]);
    assert.equal(config.discovery.consul?.address, 'http://consul.example.org:8500');
    const [issuer] = config.identity?.jwt ?? [];
    assert.ok(issuer);
    assert.deepEqual(
      [issuer.issuer, issuer.audience, issuer.algorithms, issuer.discovery],
      ['https://id.example.org', 'shop', ['ES256'], true],
    );
    assert.doesNotMatch(gateway, /very-secret/);
  });

  test('makes what a placeholder found in the file its default, so that the environment goes on winning', () => {
    const { routes } = imported(`
back: { host: 'b.example.org', url: 'http://\${back.host}:\${BACK_PORT:80}' }
spring.cloud.gateway.routes: [{ id: a, uri: '\${back.url}', predicates: ['Path=/a'] }]
`);

    assert.match(routes, /uri: '\$\{back\.url:http:\/\/\$\{back\.host:b\.example\.org\}:\$\{BACK_PORT:80\}\}'/);
    const service = (variables: Readonly<Record<string, string>>) =>
      soundRoutes(routes, { variables }).specs[0]?.serviceName;
    assert.deepEqual(
      [service({}), service({ BACK_HOST: 'c' }), service({ BACK_URL: 'http://d:1' })],
      ['b.example.org:80', 'c:80', 'd:1'],
    );
  });

  test('keeps what only the environment lacks, and says so', () => {
    const { routes } = imported(
      "spring.cloud.gateway.routes: [{ id: a, uri: '${BACK_URL}', predicates: ['Path=/a'] }]",
    );

    assert.match(routes, /# \$\{BACK_URL\} stands in no file: the environment must have it\./);
    assert.equal(soundRoutes(routes, { variables: { BACK_URL: 'lb://b' } }).specs[0]?.serviceName, 'b');
  });

  test('does not grow without end by properties that name one another', () => {
    const chain = Array.from({ length: 16 }, (_, i) => `p${i}: '\${p${i + 1}}\${p${i + 1}}'`);

    const { routes } = imported(
      `${chain.join('\n')}\np16: x\nspring.cloud.gateway.routes: [{ id: a, uri: lb://a, predicates: ['Path=/\${p0}'] }]`,
    );

    assert.ok(routes.length < 500_000, `${routes.length} characters`);
  });

  test('switches every route off where a default filter of one’s own is left out, and a route where a predicate is', () => {
    const { routes } = imported(`
spring.cloud.gateway:
  default-filters: [TenantFilter]
  routes: [{ id: a, uri: lb://a, predicates: [Path=/a] }, { id: b, uri: lb://b, predicates: [Path=/b, Version=1] }]
`);

    assert.deepEqual(soundRoutes(routes).specs, []);
    assert.match(routes, /# Less: TenantFilter is left out/);
    assert.match(routes, /# Less: Version=1 is left out/);
  });

  test('keeps the comments and quotes of what it keeps', () => {
    const { routes } = imported(`
spring:
  cloud:
    gateway:
      routes:
        # The users.
        - id: users
          uri: "lb://users" # in Consul
          predicates: ['Path=/users/**']

        # Nobody asks for these.
        - id: old
          uri: lb://old
          predicates:
            # gone by May
            - Path=/old/**
`);

    for (const line of [
      '# The users.',
      '"lb://users" # in Consul',
      "[ 'Path=/users/**' ]",
      '# Nobody asks for these.',
      '# gone by May',
    ]) {
      assert.ok(routes.includes(line), `${line} in ${routes}`);
    }
  });

  test('makes a bucket that fills the pace that lets through the same', () => {
    const args =
      "{ redis-rate-limiter: { replenishRate: 1, burstCapacity: 60, requestedTokens: 60 }, key-resolver: '#{@userKeyResolver}' }";
    const { routes } = imported(
      `spring.cloud.gateway.routes: [{ id: a, uri: lb://a, predicates: [Path=/a], filters: [{ name: RequestRateLimiter, args: ${args} }] }]`,
    );

    const [limit] = soundRoutes(routes).specs[0]?.policy.limits ?? [];
    assert.deepEqual([limit?.rate, limit?.perMs, limit?.by], [1, 60_000, { kind: 'caller' }]);
    assert.deepEqual(limit?.pace, { burst: 1, waitMsMax: 0, depthMax: 256 });
  });

  test('is none of a file that was not written for Spring Cloud Gateway, or that cannot be read', () => {
    for (const text of ['routes: []', 'spring: {', 'spring: {}\nspring: {}']) {
      const result = importSpring(text, { surroundings: surroundings('a.yml'), profiles: [], judge: () => [] });
      assert.ok('problems' in result && hasError(result.problems), text);
    }
  });
});
