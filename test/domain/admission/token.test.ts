import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimAt, claimPathText, parseClaimPath } from '../../../gateway/domain/admission/token.ts';

describe('a path of claims', () => {
  const paths: [written: string, names: string[] | undefined][] = [
    ['sub', ['sub']],
    ['realm_access.roles', ['realm_access', 'roles']],
    ["['cognito:groups']", ['cognito:groups']],
    ["['https://example.org/roles'].list", ['https://example.org/roles', 'list']],
    ['a["x.y"][\'z\'].b', ['a', 'x.y', 'z', 'b']],
    ['cognito:groups', undefined],
    ['a..b', undefined],
    ['.a', undefined],
    ['a.', undefined],
    ["a['x']b", undefined],
    ["a['x", undefined],
    ['a b', undefined],
    ['', undefined],
  ];
  for (const [written, names] of paths) {
    test(`${JSON.stringify(written)} ${names === undefined ? 'is none' : `leads by ${names.join(', ')}`}`, () => {
      assert.deepEqual(parseClaimPath(written), names);
    });
  }

  test('is written as it is read', () => {
    for (const written of ['realm_access.roles', "['a.b'].c['d:e']"]) {
      assert.equal(claimPathText(parseClaimPath(written) ?? []), written);
    }
  });

  test('leads to what stands there, and never beyond the token', () => {
    assert.equal(claimAt({ a: { b: 1 } }, ['a', 'b']), 1);
    for (const path of [['x'], ['a', 'b', 'c'], ['constructor'], ['__proto__', 'x'], ['a', 'toString']]) {
      assert.equal(claimAt({ a: { b: 1 } }, path), undefined);
    }
  });
});
