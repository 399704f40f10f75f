import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import type { Admin, AdminAccess, ExplainInput } from '../../../gateway/domain/operating/admin.ts';
import type { GatewayEvent } from '../../../gateway/domain/events.ts';
import type { LogLevel } from '../../../gateway/domain/operating/log-line.ts';
import { createAdminServer } from '../../../gateway/edges/express/admin.ts';

interface Request {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string;
}

const digestOf = (token: string) => createHash('sha256').update(token).digest('hex');

const ACCESS: AdminAccess = {
  open: ['livez', 'readyz', 'metrics'],
  tokens: [
    { name: 'watcher', sha256: digestOf('see'), role: 'viewer', services: [] },
    { name: 'ops', sha256: digestOf('do'), role: 'operator', services: [] },
    { name: 'audit', sha256: digestOf('read'), role: 'auditor', services: [] },
    { name: 'lab', sha256: digestOf('tend'), role: 'scientist', services: ['fuel', 'a/b'] },
  ],
  roles: { viewer: [], scientist: [], operator: [], auditor: [] },
  services: {},
};

interface AdminTraits {
  host?: string;
  traits?: Partial<Admin>;
}

/** An admin listener of a gateway of which only what it was told is recorded. */
async function startAdmin(t: TestContext, { host = '127.0.0.1', traits = {} }: AdminTraits = {}) {
  const reported = {
    level: 'info' as LogLevel,
    explained: [] as ExplainInput[],
    orders: [] as string[],
    rechecked: [] as string[],
    changes: [] as unknown[],
  };
  const events: GatewayEvent[] = [];
  const admin: Admin = {
    readiness: () => ({
      ready: true,
      config: { generation: 1, loadedAt: '2026-01-01T00:00:00.000Z', error: null },
      roster: {},
      reasons: [],
    }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'penstock_x 1\n' }),
    routes: () => [{ id: 'fuel' }],
    services: () => [
      { service: 'fuel', queue: { depth: 0, depthMax: 256 }, permits: { inUse: 0, abandoned: 0 }, instances: [] },
    ],
    config: () => ({ identity: { jwt: [{ secret: '[redacted]' }] } }),
    reload: async () => ({ kind: 'loaded', generation: 2, warnings: [] }),
    explain: async input => {
      reported.explained.push(input);
      return { answers: 'fuel' };
    },
    purge: route => {
      if (route === 'iris') return 'no-cache';
      return route === 'fuel/a b' ? 7 : 'no-route';
    },
    command: (service, instance, order) => {
      if (service !== 'fuel') return 'no-service';
      if (instance !== 'fuel/1') return 'no-instance';
      reported.orders.push(order);
      return 'done';
    },
    recheck: service => {
      if (service === 'gone') return 'no-service';
      reported.rechecked.push(service);
      return { batching: 1, validation: 2 };
    },
    serviceOf: route => (route === 'fuel/a b' ? 'fuel' : route),
    level: () => reported.level,
    setLevel: level => {
      reported.level = level;
    },
    changed: change => void reported.changes.push(change),
    auditLines: () => Promise.resolve(['{"seq":1}']),
    ...traits,
  };
  const server = createAdminServer({ host, port: 0, access: ACCESS, admin, observe: event => events.push(event) });
  const { port } = await server.listen();
  t.after(() => server.close());

  const send = async (path: string, { method = 'GET', headers = {}, body }: Request = {}) => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const requested = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, resolve);
      requested.once('error', reject);
      requested.end(body);
    });
    const content = await text(answer);
    const json = String(answer.headers['content-type']).includes('json') ? (JSON.parse(content) as unknown) : undefined;
    return { status: answer.statusCode, headers: answer.headers, content, json: json as Record<string, unknown> };
  };
  return { send, reported, events };
}

const as = (token: string) => ({ authorization: `Bearer ${token}` });

describe('admin listener', () => {
  test('says that it lives, and whether it is ready', async t => {
    const { send } = await startAdmin(t);

    assert.equal((await send('/livez')).status, 200);
    const { status, json } = await send('/readyz');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(json), ['ready', 'config', 'roster', 'reasons']);
  });

  test('answers 503 with its reasons while it is not ready', async t => {
    const readiness = {
      ready: false,
      config: { generation: 1, loadedAt: '', error: null },
      roster: {},
      reasons: ['draining'],
    };
    const { send } = await startAdmin(t, { traits: { readiness: () => readiness } });

    const { status, json } = await send('/readyz');

    assert.equal(status, 503);
    assert.deepEqual(json, readiness);
  });

  test('shows metrics, routes, services and the redacted configuration', async t => {
    const { send } = await startAdmin(t);

    const metrics = await send('/metrics');
    assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(metrics.content, 'penstock_x 1\n');
    assert.deepEqual((await send('/api/routes')).json, [{ id: 'fuel' }]);
    assert.equal(((await send('/api/services')).json as unknown as { service: string }[])[0]?.service, 'fuel');
    assert.deepEqual((await send('/api/config')).json, { identity: { jwt: [{ secret: '[redacted]' }] } });
  });

  test('reloads, and answers 422 with the problems where the file has errors', async t => {
    const good = await startAdmin(t);
    assert.deepEqual((await good.send('/api/reload', { method: 'POST' })).json, { generation: 2, warnings: [] });

    const bad = await startAdmin(t, {
      traits: { reload: async () => ({ kind: 'refused', generation: 1, problems: ['routes.yaml:1:1: error: x'] }) },
    });
    const { status, json } = await bad.send('/api/reload', { method: 'POST' });
    assert.equal(status, 422);
    assert.deepEqual(json['problems'], ['routes.yaml:1:1: error: x']);
  });

  test('explains a request given as JSON, whatever its content type', async t => {
    const { send, reported } = await startAdmin(t);
    const body = JSON.stringify({
      method: 'POST',
      url: '/api/fuel?x=1',
      headers: { A: 'b', C: ['d', 'e'] },
      body: '[]',
    });

    const { json } = await send('/api/explain', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });

    assert.deepEqual(json, { answers: 'fuel' });
    assert.deepEqual(reported.explained, [
      { method: 'POST', url: '/api/fuel?x=1', fields: ['A', 'b', 'C', 'd', 'C', 'e'], body: '[]' },
    ]);
  });

  test('ejects, readmits and drains by hand, and tells the log who did', async t => {
    const { send, reported, events } = await startAdmin(t);

    for (const order of ['eject', 'readmit', 'drain']) {
      const { status } = await send(`/api/services/fuel/instances/fuel%2F1/${order}`, { method: 'POST' });
      assert.equal(status, 200);
    }

    assert.deepEqual(reported.orders, ['eject', 'readmit', 'drain']);
    assert.equal(events.filter(event => event.kind === 'notice' && event.about['by'] === 'loopback').length, 3);
  });

  test('finds out anew what is known of a service, and tells the audit trail who asked for it', async t => {
    const { send, reported } = await startAdmin(t);

    const { status, json } = await send('/api/services/fuel/recheck', { method: 'POST' });

    assert.deepEqual([status, json], [200, { service: 'fuel', batching: 1, validation: 2 }]);
    assert.deepEqual(reported.changes, [
      { by: 'loopback', from: '127.0.0.1', what: 'recheck fuel', before: null, after: null, outcome: 'done' },
    ]);
    assert.equal((await send('/api/services/gone/recheck', { method: 'POST' })).status, 404);
  });

  for (const [path, detail] of [
    ['/api/services/iris/instances/x/eject', 'There is no service "iris".'],
    ['/api/services/fuel/instances/x/eject', 'The service fuel has no instance "x".'],
    ['/api/services/fuel/instances/x/kill', 'An instance can be told to eject, readmit, drain; not to "kill".'],
  ] as const) {
    test(`answers 404 that names what is not there: ${path}`, async t => {
      const { send } = await startAdmin(t);

      const { status, json } = await send(path, { method: 'POST' });

      assert.deepEqual([status, json['detail']], [404, detail]);
    });
  }

  test('purges the cache of a route, and logs by which token', async t => {
    const { send, events } = await startAdmin(t);

    const { status, json } = await send('/api/cache/purge?route=fuel%2Fa%20b', { method: 'POST' });

    assert.deepEqual([status, json], [200, { route: 'fuel/a b', entries: 7 }]);
    const about = { by: 'loopback', method: 'POST', path: '/api/cache/purge', route: 'fuel/a b', entries: 7 };
    assert.deepEqual(
      events.map(event => event.kind === 'notice' && event.about),
      [about],
    );
  });

  for (const [query, expected, detail] of [
    ['?route=ozone', 404, 'There is no route "ozone".'],
    ['?route=iris', 404, 'The route "iris" has no `cache`.'],
    ['', 400, 'One `route` is wanted: `/api/cache/purge?route=ID`.'],
    ['?route=a&route=b', 400, 'One `route` is wanted: `/api/cache/purge?route=ID`.'],
  ] as const) {
    test(`answers ${expected} where there is nothing to purge: ${JSON.stringify(query)}`, async t => {
      const { send, events } = await startAdmin(t);

      const { status, json } = await send(`/api/cache/purge${query}`, { method: 'POST' });

      assert.deepEqual([status, json['detail'], events], [expected, detail, []]);
    });
  }

  test('changes the level of the log, and refuses one it does not know', async t => {
    const { send, reported } = await startAdmin(t);

    const changed = await send('/api/log/level', { method: 'PUT', body: '{"level":"debug"}' });
    assert.deepEqual([changed.json, reported.level], [{ level: 'debug' }, 'debug']);
    assert.deepEqual((await send('/api/log/level')).json, { level: 'debug' });

    const refused = await send('/api/log/level', { method: 'PUT', body: '{"level":"loud"}' });
    assert.deepEqual([refused.status, reported.level], [400, 'debug']);
  });

  const refusedRequests: [string, Request & { path: string }, number, string][] = [
    ['an unknown path', { path: '/nothing' }, 404, 'NO_ROUTE'],
    ['a slash too many', { path: '/livez/' }, 404, 'NO_ROUTE'],
    ['a method it is not there for', { path: '/metrics', method: 'POST' }, 405, 'METHOD_NOT_ALLOWED'],
    ['a change by GET', { path: '/api/reload' }, 405, 'METHOD_NOT_ALLOWED'],
    ['what is no JSON', { path: '/api/explain', method: 'POST', body: '{' }, 400, 'BAD_REQUEST'],
    ['JSON that is no question', { path: '/api/explain', method: 'POST', body: '[1]' }, 400, 'BAD_REQUEST'],
    [
      'headers that are none',
      { path: '/api/explain', method: 'POST', body: '{"url":"/","headers":3}' },
      400,
      'BAD_REQUEST',
    ],
    ['a path that is no UTF-8', { path: '/api/services/%ff/instances/x/eject', method: 'POST' }, 400, 'BAD_REQUEST'],
    [
      '64 KiB and more',
      { path: '/api/explain', method: 'POST', body: `"${'x'.repeat(70_000)}"` },
      413,
      'BODY_TOO_LARGE',
    ],
  ];
  for (const [name, { path, ...send }, status, code] of refusedRequests) {
    test(`answers ${status} to ${name}, as problem+json`, async t => {
      const admin = await startAdmin(t);

      const answer = await admin.send(path, send);

      assert.deepEqual([answer.status, answer.json['code']], [status, code]);
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
      assert.equal(answer.json['requestId'], answer.headers['x-request-id']);
    });
  }

  test('names the methods that a path is there for', async t => {
    const { send } = await startAdmin(t);

    assert.equal((await send('/api/log/level', { method: 'DELETE' })).headers.allow, 'GET, HEAD, PUT');
  });

  test('answers 500 to a mistake of ours, tells the log, and says nothing of its insides', async t => {
    const { send, events } = await startAdmin(t, {
      traits: {
        routes: () => {
          throw new TypeError('inside');
        },
      },
    });

    const { status, content } = await send('/api/routes');

    assert.equal(status, 500);
    assert.doesNotMatch(content, /inside/);
    assert.equal(events.filter(({ kind }) => kind === 'internal-error').length, 1);
  });
});

describe('admin listener on loopback', () => {
  test('answers to addresses, to localhost and to no other name', async t => {
    const { send } = await startAdmin(t);

    for (const [host, status] of [
      ['localhost:9090', 200],
      ['127.0.0.1', 200],
      ['[::1]:9090', 200],
      ['evil.example', 403],
      ['evil.example:9090', 403],
      ['localhost.evil.example', 403],
    ] as const) {
      assert.equal((await send('/api/config', { headers: { host } })).status, status, host);
    }
  });

  test('lets pages of other sites change nothing', async t => {
    const { send } = await startAdmin(t);
    const host = 'localhost:9090';

    for (const [headers, status] of [
      [{ origin: 'http://evil.example' }, 403],
      [{ origin: 'null' }, 403],
      [{ 'sec-fetch-site': 'cross-site' }, 403],
      [{ 'sec-fetch-site': 'same-site' }, 403],
      [{ origin: 'http://localhost:9090', 'sec-fetch-site': 'same-origin' }, 200],
      [{}, 200],
    ] as const) {
      const answer = await send('/api/reload', { method: 'POST', headers: { host, ...headers } });
      assert.equal(answer.status, status, JSON.stringify(headers));
    }
  });
});

describe('admin listener that others can reach', () => {
  test('opens what is listed as open, and asks for a token elsewhere', async t => {
    const { send } = await startAdmin(t, { host: '0.0.0.0' });

    for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await send(path)).status, 200);
    const refused = await send('/api/services');
    assert.equal(refused.status, 401);
    assert.equal(refused.headers['www-authenticate'], 'Bearer realm="penstock-admin"');
    for (const headers of [as('wrong'), as(digestOf('do')), { authorization: 'Basic ZG86' }]) {
      assert.equal((await send('/api/services', { headers })).status, 401);
    }
  });

  test('takes no request with two credentials, whichever comes first', async t => {
    const { send } = await startAdmin(t, { host: '0.0.0.0' });
    const twice = (...tokens: string[]) =>
      send('/api/services', { headers: { authorization: tokens.map(token => `Bearer ${token}`) } });

    assert.equal((await twice('do')).status, 200);
    for (const tokens of [
      ['do', 'do'],
      ['do', 'wrong'],
      ['wrong', 'do'],
    ]) {
      assert.equal((await twice(...tokens)).status, 400);
    }
  });

  test('lets a viewer read and explain, and an operator change as well', async t => {
    const { send, reported } = await startAdmin(t, { host: '0.0.0.0' });
    const change = { method: 'PUT', body: '{"level":"debug"}' };
    const explain = { method: 'POST', body: '{"url":"/"}' };

    assert.equal((await send('/api/services', { headers: as('see') })).status, 200);
    assert.equal((await send('/api/explain', { ...explain, headers: as('see') })).status, 200);
    assert.equal((await send('/api/log/level', { ...change, headers: as('see') })).status, 403);
    assert.equal((await send('/api/log/level', { ...change, headers: as('read') })).status, 403);
    assert.equal((await send('/api/audit', { headers: as('read') })).status, 200);
    for (const other of ['see', 'do']) assert.equal((await send('/api/audit', { headers: as(other) })).status, 403);
    assert.equal((await send('/api/cache/purge?route=iris', { method: 'POST', headers: as('see') })).status, 403);
    assert.equal(reported.level, 'info');
    assert.equal((await send('/api/log/level', { ...change, headers: as('do') })).status, 200);
    assert.equal(reported.level, 'debug');
  });

  test('lets a scientist look, and purge and recheck the services named for them, and nothing else', async t => {
    const { send, reported } = await startAdmin(t, { host: '0.0.0.0' });
    const status = async (method: string, path: string, token = 'tend') =>
      (
        await send(path, {
          method,
          headers: as(token),
          ...(method !== 'GET' && { body: '{"level":"debug","url":"/"}' }),
        })
      ).status;

    assert.equal(await status('GET', '/api/services'), 200);
    assert.equal(await status('POST', '/api/explain'), 200);
    assert.equal(await status('POST', '/api/services/fuel/recheck'), 200);
    assert.equal(await status('POST', '/api/services/a%2Fb/recheck'), 200);
    assert.equal(await status('POST', '/api/cache/purge?route=fuel%2Fa%20b'), 200);
    for (const path of [
      '/api/services/iris/recheck',
      '/api/services/%ff/recheck',
      '/api/cache/purge?route=iris',
      '/api/cache/purge?route=fuel%2Fa%20b&route=iris',
      '/api/cache/purge',
      '/api/services/fuel/instances/fuel%2F1/eject',
      '/api/reload',
    ]) {
      assert.equal(await status('POST', path), 403, path);
    }
    assert.equal(await status('PUT', '/api/log/level'), 403);
    assert.equal(await status('GET', '/api/audit'), 403);
    assert.equal(await status('POST', '/api/services/fuel/recheck', 'see'), 403);
    assert.equal(await status('POST', '/api/services/iris/recheck', 'do'), 200);
    assert.deepEqual(reported.rechecked, ['fuel', 'a/b', 'iris']);
  });

  test('is called by whatever name it is known by', async t => {
    const { send } = await startAdmin(t, { host: '0.0.0.0' });

    assert.equal((await send('/metrics', { headers: { host: 'penstock.monitoring.svc' } })).status, 200);
  });

  test('reads no body of a stranger', async t => {
    const { send } = await startAdmin(t, { host: '0.0.0.0' });

    assert.equal((await send('/api/explain', { method: 'POST', body: '{' })).status, 401);
  });
});

describe('admin listener and its port', () => {
  test('says so when its port is taken', async t => {
    const admin = {} as Admin;
    const first = createAdminServer({ host: '127.0.0.1', port: 0, access: ACCESS, admin, observe: () => undefined });
    const { port } = await first.listen();
    t.after(() => first.close());
    const second = createAdminServer({ host: '127.0.0.1', port, access: ACCESS, admin, observe: () => undefined });

    await assert.rejects(second.listen(), { code: 'EADDRINUSE' });
    await second.close();
  });
});
