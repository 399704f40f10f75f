import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startPlumberService } from '../support/plumber/serve.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A block of code of the page, and the file it is said to be. */
interface Block {
  readonly path: string | undefined;
  readonly language: string;
  readonly code: string;
}

test('docs/adding-a-model.md, followed to the letter, makes a service that predicts', async t => {
  const clone = mkdtempSync(join(tmpdir(), 'adding-a-model-'));
  t.after(() => rmSync(clone, { recursive: true, force: true }));
  cpSync(join(root, 'plumber-services'), join(clone, 'plumber-services'), {
    recursive: true,
    filter: path => !path.endsWith('.rds'),
  });
  const blocks = readBlocks(readFileSync(join(root, 'docs/adding-a-model.md'), 'utf8'));

  for (const { path, language, code } of blocks) {
    if (language === 'r' && path !== undefined) writeFileSync(join(clone, path), code);
    // What serves, calls or needs the gateway is done below, or in the gateway's own tests.
    if (language === 'sh' && !/serve\.sh|curl|npm/.test(code)) {
      execFileSync('sh', ['-ec', code], { cwd: clone, stdio: ['ignore', 'ignore', 'inherit'] });
    }
  }

  const chicks = await startPlumberService(t, join(clone, 'plumber-services/chicks'));
  const body = /curl -d '(.*)' \S+:8004/.exec(blocks.map(block => block.code).join(''))?.[1];
  assert.ok(body);
  const answer = await fetch(`${chicks.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', connection: 'close' }, // as curl's -d has it
    body,
  });
  const { '.pred': weight } = (await answer.json()) as { '.pred': number };
  assert.equal(Math.round(weight), 115);
});

function readBlocks(page: string): Block[] {
  const pattern = /(?:`(?<path>plumber-services\/\S+\.R)`[^`]*\n\n)?```(?<language>\w+)\n(?<code>[^]*?)```/g;
  return [...page.matchAll(pattern)].map(({ groups }) => ({
    path: groups?.['path'],
    language: groups?.['language'] ?? '',
    code: groups?.['code'] ?? '',
  }));
}
