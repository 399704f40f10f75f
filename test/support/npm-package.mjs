import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runQuietly, runVisibly } from '../../gateway/setup/command.mjs';
import { STATE } from '../../gateway/setup/state.mjs';

/** Packages that are no dependencies: what they bring, and what is taken out of it. */
const PACKAGES = {
  'onnxruntime-node': { version: '1.30.0', trim: keepOwnMachine },
  '@bufbuild/buf': { version: '1.75.0', trim: () => undefined },
};

/** A folder `node_modules` with onnxruntime-node, fetched once and kept under `.state/`. */
export function ensureOnnxRuntime() {
  return ensurePackage('onnxruntime-node');
}

/** The folder of the program `buf`, fetched once and kept under `.state/`. */
export async function ensureBuf() {
  return join(await ensurePackage('@bufbuild/buf'), '.bin');
}

const folderOf = name => join(STATE, 'npm', name.replace('/', '-'));

async function ensurePackage(name) {
  const folder = folderOf(name);
  const found = join(folder, PACKAGES[name].version, 'node_modules');
  if (existsSync(found)) return found;
  mkdirSync(folder, { recursive: true });
  // The kernel lets go of flock's lock when its holder dies, however it dies.
  const fetching = [join(folder, 'lock'), process.execPath, fileURLToPath(import.meta.url), name];
  if ((await runVisibly('flock', fetching)) !== 0) throw new Error(`cannot fetch ${name}`);
  return found;
}

/** Without its post-install script, which would download what is not needed here. */
async function fetchPackage(name) {
  const { version, trim } = PACKAGES[name];
  const home = join(folderOf(name), version);
  if (existsSync(home)) return;
  process.stderr.write(`Installing ${name} under .state/ …\n`);
  const draft = join(folderOf(name), 'draft');
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft);
  const options = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund'];
  await runQuietly('npm', ['install', '--prefix', draft, ...options, `${name}@${version}`], { cwd: draft });
  trim(join(draft, 'node_modules'));
  renameSync(draft, home);
}

/** Most of onnxruntime-node is for machines that are not this one. */
function keepOwnMachine(modules) {
  const binaries = join(modules, 'onnxruntime-node', 'bin', 'napi-v6');
  for (const platform of readdirSync(binaries)) {
    for (const arch of readdirSync(join(binaries, platform))) {
      const isOwn = platform === process.platform && arch === process.arch;
      if (!isOwn) rmSync(join(binaries, platform, arch), { recursive: true });
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await fetchPackage(process.argv[2]);
