import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runQuietly, runVisibly } from '../../../gateway/setup/command.mjs';
import { STATE } from '../../../gateway/setup/state.mjs';

const VERSION = '1.30.0';
const CACHE = join(STATE, 'onnxruntime');
const HOME = join(CACHE, VERSION);

/** A folder `node_modules` with onnxruntime-node, which is no dependency: fetched once, and kept under `.state/`. */
export async function ensureOnnxRuntime() {
  const found = join(HOME, 'node_modules');
  if (existsSync(found)) return found;
  mkdirSync(CACHE, { recursive: true });
  // The kernel lets go of flock's lock when its holder dies, however it dies.
  const fetching = [join(CACHE, 'lock'), process.execPath, fileURLToPath(import.meta.url)];
  if ((await runVisibly('flock', fetching)) !== 0) throw new Error('cannot fetch onnxruntime-node');
  return found;
}

/** Its post-install script would download what a machine without a graphics processor does not need. */
async function fetchRuntime() {
  if (existsSync(HOME)) return;
  process.stderr.write('Installing onnxruntime-node under .state/ …\n');
  const draft = join(CACHE, 'draft');
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft);
  const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund'];
  await runQuietly('npm', ['install', '--prefix', draft, ...options, `onnxruntime-node@${VERSION}`], { cwd: draft });
  removeOtherMachines(join(draft, 'node_modules', 'onnxruntime-node', 'bin', 'napi-v6'));
  renameSync(draft, HOME);
}

/** Most of it is for machines that are not this one. */
function removeOtherMachines(binaries) {
  for (const platform of readdirSync(binaries)) {
    for (const arch of readdirSync(join(binaries, platform))) {
      const isOwn = platform === process.platform && arch === process.arch;
      if (!isOwn) rmSync(join(binaries, platform, arch), { recursive: true });
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await fetchRuntime();
