import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runQuietly } from './command.mjs';
import { ROOT, requireWritableClone } from './state.mjs';
import { step } from './say.mjs';

/** Installs the npm packages of the lock file where any is missing or of another version. */
export async function ensureNpmPackages(root = ROOT) {
  const missing = missingPackages(root);
  if (missing.length === 0) return;
  requireWritableClone(root);
  const title = `Installing npm packages (${missing.length} of them missing or changed)`;
  // At a lower level npm warns that some packages ask for a newer Node than npm itself runs on: they get one.
  await step(title, () =>
    runQuietly('npm', ['ci', '--loglevel=error', '--include=dev', '--include=optional'], { cwd: root }),
  );
}

/**
 * What the lock file asks for and node_modules does not hold. npm writes down there what it installed, so that
 * comparing two files tells, in milliseconds, and without a stamp of our own that could lie.
 */
export function missingPackages(root) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted)
    .filter(([path, entry]) => path !== '' && isForThisMachine(entry))
    .filter(([path, { version }]) => present[path]?.version !== version || !existsSync(join(root, path)))
    .map(([path]) => path);
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

function isForThisMachine({ os, cpu }) {
  return matches(os, process.platform) && matches(cpu, process.arch);
}

function matches(range, own) {
  return range === undefined || [range].flat().includes(own);
}
