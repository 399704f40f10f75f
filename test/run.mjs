import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runQuietly, runVisibly } from '../gateway/setup/command.mjs';
import { trainModels } from '../gateway/setup/models.mjs';
import { ensureNpmPackages } from '../gateway/setup/npm-packages.mjs';
import { requireProjectNode } from '../gateway/setup/project-node.mjs';
import { bold, say } from '../gateway/setup/say.mjs';
import { ensureServer } from './support/servers.mjs';
import { filesToRun } from './support/test-files.mjs';
import { ROOT, requireWritableClone } from '../gateway/setup/state.mjs';
import { ensureSystemPackages } from '../gateway/setup/system-packages.mjs';

// `npm test` and `npm run test:long`: install what tests need, check, then run every test, R's among them.
// `npm test -- FILE …` runs these test files alone.

// They wait for a part of their time: one file more than there are processors keeps those at work.
const SHORT_LIMITS = { testMsMax: 180_000, fileMsMax: 600_000, filesAtOnce: availableParallelism() + 1 };
// Each of these loads the whole machine.
const LONG_LIMITS = { testMsMax: 3_600_000, fileMsMax: 7_200_000, filesAtOnce: 1 };

async function main(args) {
  const isLong = args.includes('--long');
  const chosen = args.filter(arg => arg !== '--long');

  requireWritableClone();
  await ensureNpmPackages();
  await ensureSystemPackages({ withTests: true });
  await trainModels();
  for (const server of ['consul', 'chromium', 'promtool']) await ensureServer(server);

  const results = [];
  if (!isLong && chosen.length === 0) {
    const ofR = runR(); // beside the check, which ends with one long lint
    results.push(await runCheck(), await ofR());
  }
  const files = chosen.length > 0 ? chosen : filesToRun({ isLong });
  if (files.length === 0) throw new Error('There is no test to run.'); // Given none, Node would look for some itself.
  results.push(await runNode(files, isLong ? LONG_LIMITS : SHORT_LIMITS));

  const failed = results.filter(({ code }) => code !== 0).map(({ part }) => part);
  if (failed.length > 0) throw new Error(`\nFailed: ${failed.join(', ')}.`);
}

async function runCheck() {
  return part('npm run check', process.execPath, { args: [join(ROOT, 'test', 'check.mjs')] });
}

/** Begins; what it returns waits for the end, and shows what R said. */
function runR() {
  const name = 'tests and lint of R';
  const ended = runQuietly('Rscript', ['--vanilla', join('plumber-services', 'check.R')], { cwd: ROOT }).then(
    said => ({ said, code: 0 }),
    ({ message }) => ({ said: message, code: 1 }),
  );
  return async () => {
    const { said, code } = await ended;
    say(`\n${bold(name)}\n${said}`);
    return { part: name, code };
  };
}

/** Last, so that Node's summary is the last thing one reads. */
async function runNode(files, { testMsMax, fileMsMax, filesAtOnce }) {
  const watchdog = new URL('watchdog.mjs', import.meta.url).href;
  const limits = [`--test-timeout=${testMsMax}`, `--test-concurrency=${filesAtOnce}`];
  // As gateway/main.ts does it: each file is a process, and loads much the same.
  const compiled = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'penstock') };
  const env = { ...process.env, ...compiled, PENSTOCK_TEST_FILE_MS_MAX: String(fileMsMax) };
  const args = ['--test', '--test-reporter=spec', ...limits, '--import', watchdog, ...files];
  return part('tests', requireProjectNode(), { args, env });
}

async function part(name, program, { args, env = process.env }) {
  say(`\n${bold(name)}`);
  return { part: name, code: await runVisibly(program, args, { cwd: ROOT, env }) };
}

main(process.argv.slice(2)).catch(error => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
