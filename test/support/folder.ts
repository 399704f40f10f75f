import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** An empty folder, which goes with the test. */
export function aFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
