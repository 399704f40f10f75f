import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { aFolder } from '../support/folder.ts';

interface CloneTraits {
  /** What stands in main.ts, in place of the gateway. */
  readonly main?: string;
  readonly hasPackages?: boolean;
}

/** A folder with this clone's launcher and set-up, and little else; gone when the test ends. */
export function aClone(t: TestContext, { main = '', hasPackages = true }: CloneTraits = {}): string {
  const root = aFolder(t);
  mkdirSync(join(root, 'gateway'));
  for (const part of ['penstock.mjs', 'setup']) {
    cpSync(join('gateway', part), join(root, 'gateway', part), { recursive: true });
  }
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(root, 'gateway', 'main.ts'), main);
  if (hasPackages) symlinkSync(join(process.cwd(), 'node_modules'), join(root, 'node_modules'));
  return root;
}
