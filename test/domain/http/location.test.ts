import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fieldOf } from '../../../gateway/domain/http/fields.ts';
import { filterReply } from '../../../gateway/domain/http/reply.ts';
import type { Route } from '../../../gateway/domain/route.ts';
import { soundRoutes } from '../../support/configuration.ts';
import { aMatched, aRoute } from '../../support/requests.ts';

const ADDRESS = 'http://10.0.0.5:8000';

type LocationCase = readonly [filters: readonly string[], path: string, location: string, ...unknown[]];

/** What the caller of the path gets, where R answers with this `Location`. */
function ledBack([filters, path, location]: LocationCase, status = 302): string | undefined {
  const written = JSON.stringify(filters);
  const [spec] = soundRoutes(`routes: [{ uri: lb://a, predicates: ['Path=/**'], filters: ${written} }]`).specs;
  const route = aRoute({ filters: spec?.filters ?? [] });
  const view = () => ({ instances: [{ address: ADDRESS }] });
  const service = { ...route.service, view } as unknown as Route['service'];
  const matched = aMatched({ request: { path }, route: { ...route, service } });
  const answer = { status, fields: ['Location', location], body: Buffer.alloc(0), via: null };
  filterReply(answer, matched);
  return fieldOf(answer.fields, 'location');
}

const STRIP = ['StripPrefix=2'];

describe('an instance’s Location', () => {
  const led: Record<string, [filters: readonly string[], path: string, location: string, expected: string]> = {
    'a path': [STRIP, '/api/fuel/x', '/item/5?a=b#c', '/api/fuel/item/5?a=b#c'],
    'the root': [STRIP, '/api/fuel/x', '/', '/api/fuel/'],
    'a path, of a call for the root': [STRIP, '/api/fuel', '/docs/', '/api/fuel/docs/'],
    'a path, of a call for the root with its slash': [STRIP, '/api/fuel/', '/docs/', '/api/fuel/docs/'],
    'a URL of the instance’s own': [STRIP, '/api/fuel/x', `${ADDRESS}/item/5`, '/api/fuel/item/5'],
    'a URL of the instance’s own, without a path': [STRIP, '/api/fuel/x', ADDRESS, '/api/fuel/'],
    'a path that names the prefix already': [STRIP, '/api/fuel/x', '/api/fuel/y', '/api/fuel/y'],
    'a path below a prefix that was put there': [['PrefixPath=/v1'], '/x/y', '/v1/z', '/z'],
    'a path beside it': [['PrefixPath=/v1'], '/x/y', '/v2/z', '/v2/z'],
    'a path, where one prefix takes the place of another': [
      ['RewritePath=/api/(?<rest>.*), /v1/$\\{rest}'],
      '/api/x',
      '/v1/y',
      '/api/y',
    ],
    'a path of a route that rewrites nothing': [[], '/x', '/y', '/y'],
    'a path of a route that sets another': [['SetPath=/predict'], '/fuel', '/y', '/y'],
    'a relative one': [STRIP, '/api/fuel/x', '../y', '../y'],
    'another server’s': [STRIP, '/api/fuel/x', 'https://login.example.org/a', 'https://login.example.org/a'],
    'another server’s, without a scheme': [STRIP, '/api/fuel/x', '//evil.example.org/a', '//evil.example.org/a'],
  };
  for (const [name, redirect] of Object.entries(led)) {
    test(`is led back below the route’s prefix: ${name}`, () => {
      assert.equal(ledBack(redirect), redirect[3]);
    });
  }

  test('is left alone in an answer that leads nowhere', () => {
    assert.equal(ledBack([STRIP, '/api/fuel/x', '/y'], 404), '/y');
  });
});
