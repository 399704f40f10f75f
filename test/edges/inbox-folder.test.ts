import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createInboxFolder } from '../../gateway/edges/jobs/inbox-folder.ts';
import { aFolder } from '../support/folder.ts';

test('a folder with many files is looked at in turns: what waits is not held up by what is done with, and none is left out', async t => {
  const at = aFolder(t);
  const names = Array.from({ length: 700 }, (_, i) => `a${1_000 + i}.csv`);
  for (const name of names)
    for (const each of [name, name.replace('csv', 'result.csv')]) writeFileSync(join(at, each), 'x');
  writeFileSync(join(at, 'z.csv'), 'x');
  const folder = createInboxFolder({ folder: at, out: at, create: () => Promise.reject(new Error('not asked')) });
  const look = async () => (await folder.list()).map(({ name }) => name);

  const looks = [await look(), await look(), await look(), await look()];

  assert.ok(looks.every(found => found.includes('z.csv') && found.length <= 501));
  assert.deepEqual([...new Set(looks.flat())].toSorted(), [...names, 'z.csv']);
  assert.ok(
    names.every(name => looks.some((found, i) => found.includes(name) && looks[i + 1]?.includes(name) === true)),
  );
});
