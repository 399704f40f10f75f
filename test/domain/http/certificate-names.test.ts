import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isNamedBy, nameOfHost } from '../../../gateway/domain/http/certificate-names.ts';

describe('the name of a host', () => {
  for (const [host, name] of [
    ['A.Example.org', 'a.example.org'],
    ['a.example.org:8443', 'a.example.org'],
    ['a.example.org.', 'a.example.org'],
    ['a.example.org.:443', 'a.example.org'],
    ['10.0.0.5:80', '10.0.0.5'],
    ['[FE80::1]:80', 'fe80::1'],
    ['[::1]', '::1'],
    ['', ''],
  ] as const) {
    test(`of ${JSON.stringify(host)} is ${JSON.stringify(name)}`, () => {
      assert.equal(nameOfHost(host), name);
    });
  }
});

describe('a certificate', () => {
  const names = new Set(['a.example.org', '*.b.example.org', '10.0.0.5']);

  for (const [name, isNamed] of [
    ['a.example.org', true],
    ['x.b.example.org', true],
    ['b.example.org', false],
    ['x.y.b.example.org', false],
    ['.b.example.org', false],
    ['x.a.example.org', false],
    ['10.0.0.5', true],
    ['10.0.0.6', false],
    ['', false],
  ] as const) {
    test(`${isNamed ? 'names' : 'does not name'} ${JSON.stringify(name)}`, () => {
      assert.equal(isNamedBy(names, name), isNamed);
    });
  }
});
