import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  authProblem,
  isPermitted,
  lackOf,
  lookedFor,
  rolesOf,
  scopesOf,
} from '../../../gateway/domain/admission/scheme.ts';
import { anAuth } from '../../support/requests.ts';

const holding = (scopes: readonly string[], roles: readonly string[] = []) =>
  ({ kind: 'jwt', id: 'i/s', issuer: 'i', subject: 's', scopes, roles }) as const;

describe('scopes and roles', () => {
  const claims: [name: string, claims: Record<string, unknown>, scopes: string[]][] = [
    ['scope as words', { scope: 'a b  c' }, ['a', 'b', 'c']],
    ['scp as a list', { scp: ['a', 'b'] }, ['a', 'b']],
    ['scp as words', { scp: 'a b' }, ['a', 'b']],
    ['scopes as a list', { scopes: ['a'] }, ['a']],
    ['all three, each once', { scope: 'a b', scp: ['b', 'c'], scopes: ['c'] }, ['a', 'b', 'c']],
    ['what is neither a text nor a list', { scope: { a: 1 }, scp: 5, scopes: null }, []],
    ['members that are no texts', { scp: ['a', 1, null, '', ['b']] }, ['a']],
    ['nothing', {}, []],
  ];
  for (const [name, given, expected] of claims) {
    test(`are read from ${name}`, () => assert.deepEqual(scopesOf(given), expected));
  }

  test('roles are read from roles', () => {
    assert.deepEqual(rolesOf({ roles: ['admin', 'analyst', 'admin'], scope: 'a' }), ['admin', 'analyst']);
  });

  test('are read where the issuer says that they stand', () => {
    const claims = {
      realm_access: { roles: ['analyst'] },
      'cognito:groups': ['ops'],
      permissions: ['predict'],
      deep: { 'x.y': { z: 'a b' } },
    };

    assert.deepEqual(rolesOf(claims, ['realm_access', 'roles']), ['analyst']);
    assert.deepEqual(rolesOf(claims, ['cognito:groups']), ['ops']);
    assert.deepEqual(scopesOf(claims, ['permissions']), ['predict']);
    assert.deepEqual(scopesOf(claims, ['deep', 'x.y', 'z']), ['a', 'b']);
    assert.deepEqual([rolesOf(claims), rolesOf(claims, ['realm_access', 'constructor'])], [[], []]);
  });

  test('what a caller lacks is said: which, or that there are none at all where they were looked for', () => {
    const where = lookedFor({ roles: ['cognito:groups'] });
    const auth = anAuth({ scopes: ['a', 'b'], roles: ['x', 'y'] });
    const lack = (scopes: string[], roles: string[]) => lackOf(auth, holding(scopes, roles), where);

    assert.equal(
      lack([], []),
      'The credential carries no scopes at all; they were looked for in scope, scp and scopes.',
    );
    assert.equal(lack(['a'], []), 'The credential lacks the scope b.');
    assert.equal(lack(['c'], []), 'The credential lacks the scopes a b.');
    assert.equal(
      lack(['a', 'b'], []),
      "The credential carries no roles at all; they were looked for in ['cognito:groups'].",
    );
    assert.equal(lack(['a', 'b'], ['z']), 'The credential carries none of the roles x, y.');
    assert.equal(lack(['a', 'b'], ['y']), undefined);
  });

  test('of scopes all are needed', () => {
    const auth = anAuth({ scopes: ['a', 'b'] });

    assert.ok(isPermitted(auth, holding(['b', 'a', 'c'])));
    assert.ok(!isPermitted(auth, holding(['a'])));
    assert.ok(!isPermitted(auth, holding(['A', 'b'])), 'case counts');
  });

  test('of roles any is enough', () => {
    const auth = anAuth({ roles: ['x', 'y'] });

    assert.ok(isPermitted(auth, holding([], ['y'])));
    assert.ok(!isPermitted(auth, holding([], ['z'])));
    assert.ok(!isPermitted(auth, holding(['x'], [])), 'a scope is no role');
  });

  test('a route that asks for them of strangers is reported', () => {
    assert.match(authProblem(anAuth({ allow: ['jwt', 'anonymous'], scopes: ['a'] })) ?? '', /anonymous/);
    assert.equal(authProblem(anAuth({ allow: ['jwt', 'anonymous'] })), undefined);
    assert.equal(authProblem(anAuth({ scopes: ['a'] })), undefined);
  });
});
