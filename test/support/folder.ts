import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** An empty folder, which goes with the test; what is about to end may still be writing into it. */
export function aFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
