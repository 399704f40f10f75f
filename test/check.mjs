import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runQuietly } from '../gateway/setup/command.mjs';
import { ensureNpmPackages } from '../gateway/setup/npm-packages.mjs';
import { requireProjectNode } from '../gateway/setup/project-node.mjs';
import { step } from '../gateway/setup/say.mjs';
import { ROOT } from '../gateway/setup/state.mjs';

// `npm run check`: what can be said of the code without running it. Everything is tried, so that one run tells all.

const TOOLS = join(ROOT, 'node_modules');

const CHECKS = [
  [
    'Format (npm run format mends it)',
    [join(TOOLS, 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'],
  ],
  ['Types', [join(TOOLS, 'typescript', 'bin', 'tsc'), '--noEmit', '--pretty', '-p', '.']],
  [
    'Lint',
    [join(TOOLS, 'eslint', 'bin', 'eslint.js'), '--max-warnings=0', `--concurrency=${availableParallelism()}`, '.'],
  ],
  ['Architecture: each layer imports what it may', ['--test', '--test-reporter=dot', 'test/architecture.test.ts']],
  ['Generated files are up to date (npm run generate mends it)', [...generator(), '--check']],
];

async function main() {
  await ensureNpmPackages();
  const node = requireProjectNode();
  const failures = [];
  // Side by side: each takes one processor; lint, as long as all others together, takes what there are.
  await step('Format, types, lint, architecture, generated files', async report => {
    const left = new Set(CHECKS.keys());
    const checked = CHECKS.map(async ([title, args], i) => {
      await runQuietly(node, args, { cwd: ROOT }).catch(({ message }) => failures.push(`${title}\n${message}`));
      left.delete(i);
      report(`${left.size} to go`);
    });
    await Promise.all(checked);
    if (failures.length > 0) throw new Error(failures.join('\n\n'));
  });
}

/** What `npm run generate` runs, so that it is named once. */
function generator() {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return scripts.generate.split(' ').slice(2);
}

main().catch(error => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
