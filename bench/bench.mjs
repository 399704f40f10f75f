import { fileURLToPath } from 'node:url';
import { becomeNode } from '../gateway/setup/become-node.mjs';
import { trainModels } from '../gateway/setup/models.mjs';
import { ensureNpmPackages } from '../gateway/setup/npm-packages.mjs';
import { ensureSystemPackages } from '../gateway/setup/system-packages.mjs';

// `npm run bench`: installs what is missing, then hands over to main.ts, which the project's own Node runs.

async function main(args) {
  await ensureNpmPackages();
  await ensureSystemPackages({ withTests: false });
  await trainModels();
  becomeNode([fileURLToPath(new URL('main.ts', import.meta.url)), ...args]);
}

main(process.argv.slice(2)).catch(error => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
