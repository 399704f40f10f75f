import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOnPath, isProgram, runVisibly } from './command.mjs';
import { STATE } from './state.mjs';

const CACHE = join(STATE, 'servers');

/** Consul left Debian after release 11, so that is where it is taken from. */
const CONSUL = { packages: ['consul'], program: 'usr/bin/consul', probe: 'version', suite: 'bullseye' };

/** The path of Consul's program. */
export function ensureConsul() {
  return ensureServer('consul', CONSUL);
}

/**
 * The path of a server's program: the one on PATH, or one downloaded from Debian and unpacked under `.state/servers/`.
 * `server` says where it comes from: its Debian packages, the program in them, an argument with which it starts, says
 * something and ends, the release of Debian where it is not this machine's own, and what it needs in its environment,
 * where `$root` is the folder that it was unpacked into.
 *
 * Nothing is installed, since installing a server would also start it as a daemon. Several calls at once, in one
 * process or many, download it once.
 */
export async function ensureServer(name, server) {
  const present = findOnPath(name) ?? findUnpacked(name);
  if (present !== undefined) return present;
  requireDebian(name);

  mkdirSync(CACHE, { recursive: true });
  // The kernel lets go of flock's lock when its holder dies, however it dies; a lock file of ours would stay.
  const unpack = [process.execPath, fileURLToPath(import.meta.url), name, JSON.stringify(server)];
  if ((await runVisibly('flock', [join(CACHE, 'lock'), ...unpack])) !== 0) throw new Error(`cannot fetch ${name}`);
  return wrapperOf(name);
}

const wrapperOf = name => join(CACHE, name, name);

function findUnpacked(name) {
  return existsSync(wrapperOf(name)) ? wrapperOf(name) : undefined;
}

function requireDebian(name) {
  if (isProgram('/usr/bin/apt-get') && isProgram('/usr/bin/dpkg')) return;
  throw new Error(`${name} is needed and cannot be fetched here (no apt-get). Install it so that it is on PATH.`);
}

/** Runs under the lock. A call that waited for it while another unpacked the server finds it done. */
function unpackServer(name, server) {
  if (findUnpacked(name) !== undefined) return;
  process.stderr.write(`Downloading ${name} (unpacked under .state/servers/, not installed) …\n`);

  const draft = join(CACHE, `${name}.draft`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(join(draft, 'root'), { recursive: true });
  for (const archive of downloadPackages(server, draft))
    quietly('dpkg-deb', ['--extract', archive, join(draft, 'root')]);
  rmSync(join(draft, 'debs'), { recursive: true });

  writeWrapper(join(draft, name), server);
  proveItStarts(join(draft, name), server.probe);
  rmSync(join(CACHE, name), { recursive: true, force: true });
  renameSync(draft, join(CACHE, name));
}

function downloadPackages({ packages, suite = osRelease('VERSION_CODENAME') }, draft) {
  const apt = privateApt(suite);
  const archives = join(draft, 'debs');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  if (!apt.isUpdated) quietly('apt-get', [...apt.options, 'update']);
  // The system's own record of what is installed tells apt which libraries are missing: only those come along.
  quietly('apt-get', [
    ...apt.options,
    `-oDir::Cache::archives=${archives}`,
    ...['install', '--download-only', '--reinstall', '--no-install-recommends', '--yes', ...packages],
  ]);
  return readdirSync(archives)
    .filter(file => file.endsWith('.deb'))
    .map(file => join(archives, file));
}

/** apt with lists, cache and sources of its own: the system's stay untouched, and root is not needed. */
function privateApt(suite) {
  const home = join(CACHE, `apt-${suite}`);
  for (const folder of ['lists/partial', 'cache', 'parts']) mkdirSync(join(home, folder), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = osRelease('ID') === 'debian' && existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  writeFileSync(join(home, 'sources.list'), `deb ${signedBy}${mirror()} ${suite} main\n`);
  // Docker's images clean up after each update, in the system's folders: not after ours.
  writeFileSync(join(home, 'apt.conf'), '#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n');
  return {
    isUpdated: readdirSync(join(home, 'lists')).some(file => file.includes('Packages')),
    options: [
      ...['-qq', `--config-file=${join(home, 'apt.conf')}`],
      ...[`-oDir::Etc::sourcelist=${join(home, 'sources.list')}`, `-oDir::Etc::sourceparts=${join(home, 'parts')}`],
      ...[`-oDir::State::lists=${join(home, 'lists')}`, `-oDir::Cache=${join(home, 'cache')}`],
      ...['-oDebug::NoLocking=true', '-oAPT::Sandbox::User=', '-oAcquire::Languages=none', '-oAcquire::Retries=3'],
      '-oAcquire::Check-Valid-Until=false', // An archived release is no longer signed anew.
    ],
  };
}

/** The address this machine takes its own release from, so that no address stands here. */
function mirror() {
  const format = ['--format', '$(RELEASE) $(REPO_URI)', 'Created-By: Packages'];
  const targets = execFileSync('apt-get', ['indextargets', ...format], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const codename = osRelease('VERSION_CODENAME');
  const own = targets.map(line => line.split(' ')).find(([release]) => release === codename);
  if (own?.[1] === undefined) throw new Error(`apt's sources name no mirror for ${codename}`);
  return own[1];
}

function osRelease(key) {
  const line = new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(readFileSync('/etc/os-release', 'utf8'));
  return line?.[1] ?? '';
}

/** A script beside the unpacked files which lets the program find the libraries that came with it, and becomes it. */
function writeWrapper(path, { program, env = {} }) {
  const root = join(dirname(path), 'root');
  const libraries = ['usr/lib', 'lib'].flatMap(folder => foldersWithLibraries(root, folder));
  const script = [
    '#!/bin/sh',
    'root="${0%/*}/root"',
    ...(libraries.length > 0
      ? [`export LD_LIBRARY_PATH="${libraries.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`]
      : []),
    ...Object.entries(env).map(([variable, value]) => `export ${variable}="${value}"`),
    ...(existsSync(join(root, 'etc/fonts')) ? ['export FONTCONFIG_SYSROOT="$root"'] : []),
    `exec "$root/${program}" "$@"`,
  ];
  writeFileSync(path, `${script.join('\n')}\n`);
  chmodSync(path, 0o755);
}

/** Some libraries lie in folders of their own, which those that need them name by their place on an installed system. */
function foldersWithLibraries(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  const below = entries
    .filter(entry => entry.isDirectory())
    .flatMap(({ name }) => foldersWithLibraries(root, `${folder}/${name}`));
  return entries.some(({ name }) => /\.so(\.|$)/.test(name)) ? [`$root/${folder}`, ...below] : below;
}

/** Better a failure now than "no such library" in the middle of a test. */
function proveItStarts(program, probe) {
  try {
    execFileSync(program, [probe], { stdio: 'pipe', timeout: 30_000 });
  } catch (error) {
    const output = `${error.stdout ?? ''}${error.stderr ?? ''}`;
    const isMissingPart = error.status === null || error.status >= 126 || /error while loading/.test(output);
    if (isMissingPart) throw new Error(`${program} does not start: ${output || error.message}`, { cause: error });
  }
}

/** Runs to the end and says nothing, unless it fails: then it says everything. */
function quietly(command, args) {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    throw new Error(`${command} failed:\n${error.stdout ?? ''}${error.stderr ?? error.message}`, { cause: error });
  }
}

// What `ensureServer` runs under the lock.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, server] = process.argv.slice(2);
  try {
    unpackServer(name, JSON.parse(server));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
