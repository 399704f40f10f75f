import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ensureDevSecret } from '../../gateway/setup/state.mjs';

function aFolder(t: TestContext): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-secret-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return { folder, file: join(folder, 'dev.env') };
}

test('the development secret is long enough for any HS algorithm, and its owner’s alone', t => {
  const { folder, file } = aFolder(t);

  ensureDevSecret(folder);

  assert.match(readFileSync(file, 'utf8'), /^PENSTOCK_JWT_SECRET=[\w-]{64}$/m);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('the development secret stays, so that tokens outlive a restart', t => {
  const { folder, file } = aFolder(t);
  ensureDevSecret(folder);
  const before = readFileSync(file, 'utf8');

  ensureDevSecret(folder);

  assert.equal(readFileSync(file, 'utf8'), before);
});

test('a secret that is too short, or open to others, is mended', t => {
  const { folder, file } = aFolder(t);
  writeFileSync(file, 'PENSTOCK_JWT_SECRET=short\n', { mode: 0o644 });

  ensureDevSecret(folder);

  assert.match(readFileSync(file, 'utf8'), /^PENSTOCK_JWT_SECRET=[\w-]{64}$/m);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});
