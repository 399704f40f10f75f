import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRoutes } from '../../gateway/config/compile.ts';
import { parseRoutes } from '../../gateway/config/parse-routes.ts';
import { problemLine } from '../../gateway/config/problem.ts';
import { compileRegex } from '../../gateway/edges/re2js.ts';

function problemsOf(text: string): string[] {
  const surroundings = {
    file: 'routes.yaml',
    variables: {},
    absolute: String,
    readText: () => undefined,
    whyUnread: String,
  };
  const { problems } = compileRoutes(parseRoutes(text, surroundings), {
    ...{ identityConfigured: true, compileRegex },
    schemaIn: () => ({ problem: 'cannot be read' }),
  });
  return problems.map(problemLine);
}

test('strangers who would need a scope are warned of, where they were allowed', () => {
  const [said = '', ...rest] = problemsOf('routes: [{ uri: lb://a, auth: { allow: [jwt, anonymous], scopes: [s] } }]');

  assert.match(said, /^routes\.yaml:1:31: warning: routes\[0\]\.auth: `anonymous` callers hold no scopes/);
  assert.deepEqual(rest, []);
  assert.deepEqual(problemsOf('routes: [{ uri: lb://a, auth: { allow: [jwt, anonymous] } }]'), []);
});
