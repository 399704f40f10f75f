import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ensureServer, type ServerName } from '../../gateway/setup/servers.mjs';
import { aClone } from './a-clone.ts';

const runFile = promisify(execFile);

test('several at once fetch a server once, and all get a program that starts', async t => {
  const script = join(aClone(t), 'gateway', 'setup', 'servers.mjs');

  const runs = await Promise.all([1, 2, 3].map(() => runFile(process.execPath, [script, 'consul'])));

  const paths = new Set(runs.map(({ stdout }) => stdout.trim()));
  const downloads = runs.filter(({ stderr }) => stderr.includes('Downloading consul'));
  assert.equal(paths.size, 1);
  assert.ok(downloads.length <= 1, 'none where it is on PATH already');
  const [path = ''] = paths;
  assert.match(execFileSync(path, ['version'], { encoding: 'utf8' }), /^Consul v1\./);
});

test('a server nobody knows is refused by name', async () => {
  await assert.rejects(ensureServer('apache' as ServerName), /no server called 'apache': known are consul, nginx/);
});
