import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the clone. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where what the set-up made is kept; deleting it costs no more than doing it again. */
export const STATE = join(ROOT, '.state');

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
