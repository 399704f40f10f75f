import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPathIndex, createRouteTable } from '../../../gateway/domain/routing/route-table.ts';
import { parsePathPattern, segmentsOf } from '../../../gateway/domain/routing/path-pattern.ts';
import { isProblem } from '../../../gateway/domain/routing/regex.ts';
import { compileRegex } from '../../../gateway/edges/re2js.ts';
import type { RequestAttributes, RouteSpec } from '../../../gateway/domain/route.ts';
import { seeded } from '../../support/service-at-work.ts';
import { soundRoutes } from '../../support/configuration.ts';

function specsOf(...routes: readonly { readonly predicates: readonly string[] }[]): readonly RouteSpec[] {
  const listed = routes.map(({ predicates }, i) => ({ id: `r${i}`, uri: 'lb://s', predicates }));
  return soundRoutes(JSON.stringify({ routes: listed })).specs;
}

function aRequest(line: string, fields: readonly string[] = []): RequestAttributes {
  const [method = '', url = ''] = line.split(' ');
  const [path = '', query = ''] = url.split('?');
  return {
    method,
    path,
    query,
    fields,
    host: 'localhost',
    peerAddress: '127.0.0.1',
    callerAddress: '127.0.0.1',
    wallMs: 0,
  };
}

/** What the table promises, said without an index. */
function firstThatHolds(specs: readonly RouteSpec[], request: RequestAttributes): string | undefined {
  return specs.find(({ predicates }) => predicates.every(predicate => predicate.holds(request, new Map())))?.id;
}

describe('the route table', () => {
  test('finds the first route in order, however its path is written', () => {
    const table = createRouteTable(
      specsOf(
        { predicates: ['Path=/a/{x}', 'Query=q'] },
        { predicates: ['Path=/a/b'] },
        { predicates: ['Path=/a/**'] },
        { predicates: [] },
      ),
    );
    const idOf = (line: string) => {
      const found = table.find(aRequest(line));
      return found?.kind === 'route' ? found.route.id : found?.kind;
    };

    assert.deepEqual(['GET /a/b?q', 'GET /a/b', 'GET /a/c', 'GET /z'].map(idOf), ['r0', 'r1', 'r2', 'r3']);
  });

  test('gives what the patterns of the route captured, and of no other', () => {
    const table = createRouteTable(
      specsOf({ predicates: ['Path=/{a}/x', 'Query=q'] }, { predicates: ['Path=/m/{b}'] }),
    );

    const found = table.find(aRequest('GET /m/x'));

    assert.deepEqual(found?.kind === 'route' ? [...found.variables] : [], [['b', 'x']]);
  });

  test('says which methods would do where the method alone fails', () => {
    const table = createRouteTable(
      specsOf(
        { predicates: ['Path=/a', 'Method=GET'] },
        { predicates: ['Path=/a', 'Method=POST', 'Query=q'] },
        { predicates: ['Path=/a', 'Method=PUT,GET'] },
      ),
    );

    const refused = (line: string) => {
      const found = table.find(aRequest(line));
      return found?.kind === 'method' ? [found.route.id, ...found.allow] : found;
    };

    assert.deepEqual(refused('DELETE /a'), ['r0', 'GET', 'HEAD', 'PUT']);
    assert.deepEqual(refused('DELETE /a?q'), ['r0', 'GET', 'HEAD', 'POST', 'PUT']);
    assert.equal(table.find(aRequest('DELETE /b')), undefined);
  });

  test('lets a later route answer where an earlier one has the wrong method', () => {
    const table = createRouteTable(specsOf({ predicates: ['Path=/a', 'Method=GET'] }, { predicates: ['Path=/**'] }));

    const found = table.find(aRequest('POST /a'));

    assert.equal(found?.kind === 'route' ? found.route.id : undefined, 'r1');
  });

  test('lets HEAD go where GET does', () => {
    const table = createRouteTable(specsOf({ predicates: ['Path=/a', 'Method=GET'] }));

    assert.equal(table.find(aRequest('HEAD /a'))?.kind, 'route');
  });

  test('finds what a search of all routes in order finds, for any patterns and paths', () => {
    const random = seeded(7);
    const one = <T>(items: readonly T[]): T => items[random.below(items.length)] as T;
    const parts = ['a', 'b', 'c', '{x}', '*', 'a*', '{y:[ab]}', '%61', ''];
    const ends = ['', '', '', '/**', '/{*rest}', '/'];
    const pattern = () => {
      const middle = Array.from({ length: 1 + random.below(3) }, () => one(parts)).join('/');
      const start = one(['', '', '', '/**']);
      return `${start}/${middle}${start === '' ? one(ends) : ''}`
        .replaceAll('{x}/{x}', '{x}/*')
        .replaceAll('{y:[ab]}/{y:[ab]}', 'a/b');
    };
    const isSound = (text: string) => (text.match(/\{x\}/g) ?? []).length < 2 && (text.match(/\{y/g) ?? []).length < 2;
    const patterns = Array.from({ length: 400 }, pattern).filter(isSound);
    const routes = patterns.map((text, i) => ({
      predicates: i % 9 === 0 ? [`Query=q${i % 4}`] : [`Path=${text},/z/${i}`],
    }));
    const specs = specsOf(...routes);
    const table = createRouteTable(specs);
    let hits = 0;

    for (let i = 0; i < 3_000; i++) {
      const path = Array.from({ length: 1 + random.below(4) }, () => one(['a', 'b', 'c', 'ab', '%61', '', 'z'])).join(
        '/',
      );
      const request = aRequest(`GET /${path}${one(['', '?q0', '?q1=1'])}`);
      const found = table.find(request);
      assert.equal(found?.kind === 'route' ? found.route.id : undefined, firstThatHolds(specs, request), request.path);
      if (found !== undefined) hits += 1;
    }
    assert.ok(hits > 500, `only ${hits} paths met a route`);
  });
});

describe('the index of paths', () => {
  const pathPattern = (text: string) => {
    const pattern = parsePathPattern(text, compileRegex);
    assert.ok(!isProblem(pattern), text);
    return pattern;
  };
  const count = (patterns: readonly (readonly string[])[], path: string) => {
    const index = createPathIndex();
    for (const texts of patterns) index.add(texts.map(pathPattern));
    return index.candidates(segmentsOf(path)).reduce((sum, list) => sum + list.length, 0);
  };

  test('names among 10,000 routes as many candidates as among 10', () => {
    const shapes = [
      (i: number) => `/api/model-${i}/**`,
      (i: number) => `/${i}`,
      (i: number) => `/tenants/{tenant}/models/model-${i}/predict`,
    ];
    for (const shape of shapes) {
      const patterns = Array.from({ length: 10_000 }, (_, i) => [shape(i)]);
      const path = shape(5_000).replace('{tenant}', 'acme').replace('/**', '/predict');

      assert.equal(count(patterns, path), 1, path);
      assert.equal(count(patterns.slice(0, 10), path.replace('5000', '5')), 1, path);
    }
  });

  test('names a position that takes any path for every path', () => {
    assert.equal(count([['/a'], [], ['/**/b'], ['/b']], '/x'), 2);
  });
});
