import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { aClone } from './a-clone.ts';

const runFile = promisify(execFile);

test('several at once fetch a server once, and all get a program that starts', async t => {
  const servers = join(aClone(t), 'gateway', 'setup', 'servers.mjs');
  const script = `import { ensureConsul } from '${servers}'; process.stdout.write(await ensureConsul());`;

  const runs = await Promise.all(
    [1, 2, 3].map(() => runFile(process.execPath, ['--input-type=module', '--eval', script])),
  );

  const paths = new Set(runs.map(({ stdout }) => stdout));
  const downloads = runs.filter(({ stderr }) => stderr.includes('Downloading consul'));
  assert.equal(paths.size, 1);
  assert.ok(downloads.length <= 1, 'none where it is on PATH already');
  const [path = ''] = paths;
  assert.match(execFileSync(path, ['version'], { encoding: 'utf8' }), /^Consul v1\./);
});
