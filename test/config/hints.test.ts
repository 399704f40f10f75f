import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explained, routesOf, soundRoutes, told } from '../support/configuration.ts';

/** What the one error of this file says to write: what stands between the first pair of backticks, or after `write`. */
function advised(text: string): { readonly path: string; readonly hint: string } {
  const errors = routesOf(text).problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  assert.equal(errors.length, 1, told(errors).join('\n'));
  assert.ok(first?.hint !== undefined);
  return { path: first.path, hint: /`([^`]+)`/.exec(first.hint)?.[1] ?? first.hint.replace('write ', '') };
}

describe('a placeholder of Spring’s is an error, and what is advised works when it is pasted:', () => {
  const rows: [written: string, placeholder: string, request: string, headers: string[]][] = [
    ['predicates: ["Host=@"]', '${GW_HOST:api.example.org}', 'GET /', ['Host', 'api.example.org']],
    ['predicates: ["Path=/@/x/**"]', '${CTX:shop}', 'GET /shop/x/1', []],
    ['predicates: ["Query=@"]', '${q.name:red}', 'GET /?red=1', []],
    ['predicates: [{ name: Path, args: { pattern: "/@" } }]', '${base-path:shop}', 'GET /shop', []],
    ['predicates: ["Method=@"]', '${METHODS:GET}', 'GET /', []],
    ['filters: ["PrefixPath=/@"]', '${CTX:shop}', 'GET /', []],
    ['filters: ["AddRequestHeader=X-Env, @"]', '${ENV:a, b}', 'GET /', []],
  ];
  for (const [written, placeholder, line, headers] of rows) {
    test(written.replace('@', placeholder), () => {
      const fileOf = (value: string) => `routes: [{ id: a, uri: lb://a, ${written.replace('@', value)} }]`;

      const { hint } = advised(fileOf(placeholder));

      assert.equal(explained(soundRoutes(fileOf(hint)), { line, headers }).answers?.route, 'a');
    });
  }

  test('as a uri', () => {
    const { hint } = advised('routes: [{ uri: "lb://${SVC:fuel}" }]');

    assert.equal(soundRoutes(`routes: [{ uri: "lb://${hint}" }]`).specs[0]?.serviceName, 'fuel');
  });

  test('but a group of a RewritePath is none', () => {
    const routes = soundRoutes('routes: [{ uri: lb://a, filters: ["RewritePath=/(?<x>.*), /b/${x}"] }]');

    assert.equal(explained(routes, { line: 'GET /a' }).answers?.sent?.target, '/b/a');
  });
});

describe('what is advised in place of a filter works when it is pasted beside `filters`:', () => {
  for (const filter of ['Retry=3', 'RequestRateLimiter=1', 'TokenRelay=']) {
    test(filter, () => {
      const { hint } = advised(`routes: [{ uri: lb://a, filters: ['${filter}'] }]`);

      assert.deepEqual(told(routesOf(`routes: [{ uri: lb://a, ${hint} }]`, { identityConfigured: true }).problems), []);
    });
  }
});

test('default filters are judged though there is no route', () => {
  assert.deepEqual(told(routesOf("default-filters: ['Bogus=1', 'SetPath=/{x}']\nroutes: []").problems), [
    '1:20 error default-filters[0]: there is no filter called Bogus',
  ]);
});

test('numbers and switches come from references wherever the schema has them', () => {
  const keys =
    'pure: "${env:T}", coalesce: "${env:T}", batch: { sizeMax: "${env:N}" }, cache: { entriesMax: "${env:N}" }';
  const routes = routesOf(`routes: [{ uri: lb://a, order: "\${env:M}", retry: { on: ["\${env:S}"] }, ${keys} }]`, {
    variables: { T: 'true', N: '7', M: '-3', S: '502' },
  });

  const [spec] = routes.specs;
  assert.deepEqual(told(routes.problems), []);
  assert.deepEqual([spec?.order, [...(spec?.policy.retry.on ?? [])]], [-3, [502]]);
  assert.deepEqual([spec?.policy.sharing?.batch?.sizeMax, spec?.policy.sharing?.cache?.entriesMax], [7, 7]);
});
