import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OwnPaths } from '../../gateway/config/own-paths.ts';
import { routesOf } from '../support/configuration.ts';

/** Which of these routes are told never to be reached, and because of which. */
function shadowed(...routes: readonly (readonly unknown[])[]): string[] {
  const listed = routes.map((predicates, i) => ({ id: `r${i}`, uri: 'lb://s', predicates }));
  return routesOf(JSON.stringify({ routes: listed }))
    .problems.filter(({ message }) => message.startsWith('can never be reached'))
    .map(({ path, message }) => `${path}: ${/: (.*) before/.exec(message)?.[1] ?? ''}`);
}

describe('a route that can never be reached is reported:', () => {
  const rows: readonly (readonly [
    what: string,
    routes: readonly (readonly string[])[],
    expected: readonly string[],
  ])[] = [
    ['behind a wider path', [['Path=/api/**'], ['Path=/api/fuel/**']], ['routes[1]: r0']],
    ['behind one without predicates', [[], ['Path=/a', 'Method=GET']], ['routes[1]: r0']],
    [
      'behind the same',
      [
        ['Path=/a/{x}', 'Method=GET'],
        ['Path=/a/{y}', 'Method=GET'],
      ],
      ['routes[1]: r0'],
    ],
    ['behind two that share it out', [['Path=/a/**'], ['Path=/b'], ['Path=/a/x,/b']], ['routes[2]: r0 and r1']],
    [
      'HEAD behind GET',
      [
        ['Path=/a', 'Method=GET'],
        ['Path=/a', 'Method=HEAD'],
      ],
      ['routes[1]: r0'],
    ],
    ['not before it', [['Path=/api/fuel/**'], ['Path=/api/**']], []],
    ['not where the earlier takes fewer methods', [['Path=/a', 'Method=GET'], ['Path=/a']], []],
    ['not where the earlier asks more', [['Path=/a', 'Query=q'], ['Path=/a']], []],
    [
      'where both ask the same',
      [
        ['Path=/a/**', 'Query=q'],
        ['Query=q', 'Path=/a/b'],
      ],
      ['routes[1]: r0'],
    ],
    ['not where only one of its paths is taken', [['Path=/a'], ['Path=/a,/b']], []],
    ['not where a name needs a text and * does not', [['Path=/a/{x}'], ['Path=/a/*']], []],
    ['not where a slash at the end counts', [['Path=/a/*/c'], ['Path=/a//c'], ['Path=/a/{x}'], ['Path=/a/']], []],
    ['not where regexes differ', [['Path=/{a:[0-9]+}'], ['Path=/{a:[0-9]*}']], []],
    [
      'not by a share of a group',
      [
        ['Path=/a', 'Weight=g, 1'],
        ['Path=/a', 'Weight=g, 1'],
      ],
      [],
    ],
  ];
  for (const [what, routes, expected] of rows) {
    test(what, () => {
      assert.deepEqual(shadowed(...routes), expected);
    });
  }

  test('by the order in which routes are tried, and without those that are not enabled', () => {
    const text = `routes:
- { id: narrow, uri: lb://a, predicates: [Path=/a/b], order: 1 }
- { id: wide, uri: lb://a, predicates: [Path=/a/**] }
- { id: off, uri: lb://a, enabled: false }`;

    assert.deepEqual(
      routesOf(text).problems.map(({ line, message }) => [line, message]),
      [[2, 'can never be reached: wide before it answers all that it would']],
    );
  });

  test('among 10,000 routes in a moment', () => {
    const routes = Array.from({ length: 10_000 }, (_, i) => ({ uri: 'lb://s', predicates: [`Path=/api/m-${i}/**`] }));
    const startMs = performance.now();

    const { problems } = routesOf(
      JSON.stringify({ routes: [...routes, { uri: 'lb://s', predicates: ['Path=/api/m-7/x'] }] }),
    );

    assert.equal(problems.length, 1);
    assert.ok(performance.now() - startMs < 30_000);
  });
});

test('a route all of whose paths are the gateway’s own is reported, and no other', () => {
  const paths = ['/jobs', '/jobs/{id}/x', '/v2/models/{model}/infer', '/v2/health/live', '/jobs,/v2'];
  const open = ['/job', '/jobs,/other', '/v2/**', '/v2/models/**', '/v2/models/{m}/rows', '/**'];
  const listed = [...paths, ...open].map((path, i) => ({ id: `r${i}`, uri: 'lb://s', predicates: [`Path=${path}`] }));
  const ofOwn = (ownPaths?: OwnPaths) =>
    routesOf(JSON.stringify({ routes: listed }), { ownPaths })
      .problems.filter(({ hint = '' }) => hint.startsWith('give it another path'))
      .map(({ path, severity, message }) => `${severity} ${path} ${/`(.*)`/.exec(message)?.[1] ?? ''}`);
  const reported = (of: number, key: string) => `warning routes[${of}] ${key}`;

  const [jobs, inference] = ['jobs.path', 'inference.path'];
  assert.deepEqual(ofOwn({ jobs: '/jobs', inference: '/v2' }), [
    ...[reported(0, jobs), reported(1, jobs), reported(2, inference), reported(3, inference), reported(4, jobs)],
  ]);
  assert.deepEqual(ofOwn({ jobs: undefined, inference: undefined }), []);
  assert.deepEqual(ofOwn(), []);
});
