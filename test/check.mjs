import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runQuietly } from '../gateway/setup/command.mjs';
import { ensureNpmPackages } from '../gateway/setup/npm-packages.mjs';
import { requireProjectNode } from '../gateway/setup/project-node.mjs';
import { say, step } from '../gateway/setup/say.mjs';
import { ROOT } from '../gateway/setup/state.mjs';

// `npm run check`: what can be said of the code without running it. Everything is tried, so that one run tells all.

const TOOLS = join(ROOT, 'node_modules');

const CHECKS = [
  [
    'Format (npm run format mends it)',
    [join(TOOLS, 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'],
  ],
  ['Types', [join(TOOLS, 'typescript', 'bin', 'tsc'), '--noEmit', '--pretty', '-p', '.']],
  ['Lint', [join(TOOLS, 'eslint', 'bin', 'eslint.js'), '--max-warnings=0', '.']],
  ['Architecture: each layer imports what it may', ['--test', '--test-reporter=dot', 'test/architecture.test.ts']],
  ['Generated files are up to date (npm run generate mends it)', [...generator(), '--check']],
];

async function main() {
  await ensureNpmPackages();
  const node = requireProjectNode();
  const failures = [];
  for (const [title, args] of CHECKS) {
    await step(title, () => runQuietly(node, args, { cwd: ROOT })).catch(error => failures.push(error));
  }
  for (const { message } of failures) say(`\n${message}`);
  if (failures.length > 0) process.exitCode = 1;
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
