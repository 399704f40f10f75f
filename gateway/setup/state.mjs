import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the clone. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where what the set-up made is kept; deleting it costs no more than doing it again. */
export const STATE = join(ROOT, '.state');

/** Fails, in words, where the set-up could not write into the clone: all it makes is kept there. */
export function requireWritableClone(root = ROOT) {
  try {
    for (const folder of [root, join(root, '.state')]) if (existsSync(folder)) accessSync(folder, constants.W_OK);
  } catch {
    const owner = process.getuid() === statSync(root).uid ? 'is read-only' : 'belongs to another user';
    throw new Error(
      `${root} ${owner}, and this writes into it (node_modules, .state, the models).\n` +
        'Run it as the owner, or in a clone of your own. What is set up there already everyone may use: ' +
        `${join(root, 'gateway', 'penstock.mjs')} --help`,
    );
  }
}

/** Makes the development secret once, in a file that only its owner reads. Every command reads it from there. */
export function ensureDevSecret(folder = STATE) {
  const file = join(folder, 'dev.env');
  mkdirSync(folder, { recursive: true });
  if (existsSync(file) && /^PENSTOCK_JWT_SECRET=.{32,}$/m.test(readFileSync(file, 'utf8'))) {
    chmodSync(file, 0o600);
    return;
  }
  // 48 bytes are 64 characters: enough for HS512 too.
  const secret = randomBytes(48).toString('base64url');
  writeFileSync(
    file,
    `# Made by the set-up for this clone alone. Not for production.\nPENSTOCK_JWT_SECRET=${secret}\n`,
    {
      mode: 0o600,
    },
  );
  chmodSync(file, 0o600);
}
