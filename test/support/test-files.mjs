import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../gateway/setup/state.mjs';

/** Of these folders tests open and start nothing: they share a process, since one each would cost more than they do. */
const SHARING = ['config', 'domain', 'stages'].map(folder => join('test', folder, '/'));

/** The tests that are imported by `test/rules.mjs`. */
export function sharingFiles() {
  return testFiles().filter(isSharing);
}

/** What is run: those that take long, or all others, each a process. */
export function filesToRun({ isLong }) {
  const files = testFiles().filter(path => path.startsWith(join('test', 'long')) === isLong);
  return isLong ? files : [join('test', 'rules.mjs'), ...files.filter(path => !isSharing(path))];
}

const isSharing = path => SHARING.some(folder => path.startsWith(folder));

function testFiles() {
  return readdirSync(join(ROOT, 'test'), { recursive: true })
    .filter(path => path.endsWith('.test.ts'))
    .map(path => join('test', path))
    .sort();
}
