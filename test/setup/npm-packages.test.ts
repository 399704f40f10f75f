import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { missingPackages } from '../../gateway/setup/npm-packages.mjs';
import { aFolder } from '../support/folder.ts';

type Packages = Record<string, { version?: string; os?: string | string[]; cpu?: string | string[] }>;

/** A clone whose lock file asks for `wanted`, and where npm says it installed `present`. */
function aCloneWith(t: TestContext, { wanted, present }: { wanted: Packages; present?: Packages }): string {
  const root = aFolder(t);
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...wanted } }));
  if (present === undefined) return root;
  for (const path of Object.keys(present)) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: present }));
  return root;
}

const yaml = { 'node_modules/yaml': { version: '2.9.1' } };

test('all is missing from a fresh clone', t => {
  assert.deepEqual(missingPackages(aCloneWith(t, { wanted: yaml })), ['node_modules/yaml']);
});

test('nothing is missing where npm installed what the lock file asks for', t => {
  assert.deepEqual(missingPackages(aCloneWith(t, { wanted: yaml, present: yaml })), []);
});

test('another version counts as missing', t => {
  const present = { 'node_modules/yaml': { version: '2.9.0' } };

  assert.deepEqual(missingPackages(aCloneWith(t, { wanted: yaml, present })), ['node_modules/yaml']);
});

test('a package whose folder was deleted counts as missing', t => {
  const root = aCloneWith(t, { wanted: yaml, present: yaml });

  rmSync(join(root, 'node_modules', 'yaml'), { recursive: true });

  assert.deepEqual(missingPackages(root), ['node_modules/yaml']);
});

test('a package for other machines is not missed', t => {
  const wanted = { ...yaml, 'node_modules/other': { version: '1.0.0', os: 'plan9' } };

  assert.deepEqual(missingPackages(aCloneWith(t, { wanted, present: yaml })), []);
});
