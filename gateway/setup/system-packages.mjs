import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findOnPath, runQuietly } from './command.mjs';
import { requireProjectNode } from './project-node.mjs';
import { say, step, warn } from './say.mjs';

/**
 * What the R services need beside R itself, each by its name in R: Debian's package is `r-cran-` and the name in
 * lower case. This is the one list: the set-up, its messages and the images' build read it.
 */
const R_PACKAGES = ['plumber', 'httpuv', 'jsonlite', 'digest', 'curl', 'later', 'randomForest', 'MASS'];

/** What their tests need besides. */
const R_TEST_PACKAGES = ['testthat', 'lintr'];

/** Programs, and the Debian package each comes from. The screen at the end of the set-up shows curl commands. */
const PROGRAMS = { Rscript: 'r-base-core', curl: 'curl' };

/** A library that Node 26 needs and a bare Debian lacks. */
const NODE_LIBRARY = 'libatomic1';

/** Debian's packages for R and its services, for those who install them by hand or in an image. */
function debianPackages({ withTests }) {
  return [...Object.values(PROGRAMS), ...rPackages(withTests).map(toDebian)];
}

/** Makes sure of R, Plumber and the rest: installs what is missing as root on Debian, else says how and fails. */
export async function ensureSystemPackages({ withTests }) {
  const missing = missingPackages(withTests);
  if (missing.debian.length === 0) return;
  if (!isDebian()) throw new Error(elsewhere(missing));
  if (process.getuid() !== 0) throw new Error(asRoot(missing.debian));
  await install(missing.debian);
  const still = missingPackages(withTests);
  if (still.debian.length > 0) throw new Error(`still missing after installing them: ${still.debian.join(', ')}`);
}

const rPackages = withTests => (withTests ? [...R_PACKAGES, ...R_TEST_PACKAGES] : R_PACKAGES);

const toDebian = name => `r-cran-${name.toLowerCase()}`;

function missingPackages(withTests) {
  const programs = Object.keys(PROGRAMS).filter(name => findOnPath(name) === undefined);
  const r = programs.includes('Rscript') ? rPackages(withTests) : missingInR(rPackages(withTests));
  const node = doesNodeStart() ? [] : [NODE_LIBRARY];
  return { programs, r, node, debian: [...node, ...programs.map(name => PROGRAMS[name]), ...r.map(toDebian)] };
}

function doesNodeStart() {
  const node = requireProjectNode();
  try {
    execFileSync(node, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // What is missing becomes plain when installing the library did not help.
  }
}

/** Asks R itself, which also knows packages that did not come from Debian; `options` may say as which user. */
export function missingInR(names = R_PACKAGES, options = {}) {
  const code = 'for (p in commandArgs(TRUE)) if (length(find.package(p, quiet = TRUE)) == 0L) cat(p, "")';
  return execFileSync('Rscript', ['--vanilla', '-e', code, ...names], { ...options, encoding: 'utf8' })
    .split(' ')
    .filter(name => name !== '');
}

function isDebian() {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID(_LIKE)?=.*\bdebian\b/m.test(release) && findOnPath('apt-get') !== undefined;
}

async function install(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  let updateFailure;
  await step("Reading Debian's package lists", async () => {
    // A source that has nothing to do with R may be broken; what matters is whether the packages are found.
    updateFailure = await runQuietly('apt-get', ['update', '-q', '-oDPkg::Lock::Timeout=120'], { env }).catch(
      error => error,
    );
  });
  if (updateFailure instanceof Error) warn('apt-get update had trouble with some source; going on with the rest.');
  try {
    await step(`Installing R and Plumber (${packages.length} of Debian's packages, and what they need)`, report =>
      runQuietly('apt-get', [...INSTALL, ...packages], { env, onLine: line => reportProgress(line, report) }),
    );
  } catch (error) {
    const before = updateFailure instanceof Error ? `\n\nBefore that, ${updateFailure.message}` : '';
    throw new Error(`${error.message}${before}`, { cause: error });
  }
}

const INSTALL = ['install', '-y', '-q', '--no-install-recommends', '-oDPkg::Lock::Timeout=120', '-oAPT::Status-Fd=3'];

/** apt's status lines: `dlstatus:3:41.5:…` while downloading, `pmstatus:r-base-core:52.1:…` while installing. */
function reportProgress(line, report) {
  const [, phase, percent] = /^(dl|pm)status:[^:]*:([\d.]+):/.exec(line) ?? [];
  if (percent !== undefined)
    report(`${phase === 'dl' ? 'downloading' : 'installing'} ${Math.round(Number(percent))} %`);
}

function asRoot(packages) {
  const command = `apt-get update; apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const asRootDo = findOnPath('sudo') === undefined ? `su -c '${command}'` : `sudo sh -c '${command}'`;
  return `The models need R with some packages, and installing them takes root. Run this, then start again:\n\n  ${asRootDo}\n`;
}

function elsewhere({ programs, r, node }) {
  const list = r.map(name => `"${name}"`).join(', ');
  const inR = `Rscript -e 'chooseCRANmirror(ind = 1); install.packages(c(${list}))'`;
  const lines = [
    ...(node.length > 0 ? ['Node 26 does not start: it needs the library libatomic.'] : []),
    ...(programs.length > 0
      ? [`Install ${programs.map(name => (name === 'Rscript' ? 'R' : name)).join(' and ')}.`]
      : []),
    ...(r.length > 0 ? [`Then run:\n\n  ${inR}\n`] : []),
  ];
  return `The models need R with some packages. ${lines.join(' ')}`;
}

// Run by itself it prints the list, for the image of the Plumber services.
if (process.argv[1] === fileURLToPath(import.meta.url)) say(debianPackages({ withTests: false }).join('\n'));
