import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';

const MAIN = fileURLToPath(new URL('../gateway/main.ts', import.meta.url));

function penstock(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('penstock', () => {
  test('lists its commands', () => {
    const { status, stdout } = penstock('--help');

    assert.equal(status, 0);
    for (const name of ['serve', 'check', 'explain', 'schema', 'token']) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    }
  });

  test('says its version', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };

    assert.deepEqual(penstock('--version'), { status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('names the nearest command to one it does not know', () => {
    const { status, stderr } = penstock('chek');

    assert.equal(status, 2);
    assert.match(stderr, /no command "chek"; did you mean check\?/);
  });

  test('takes no name that every object knows for a command', () => {
    assert.equal(penstock('constructor').status, 2);
  });

  test('asks which command when none is named', () => {
    const { status, stderr } = penstock();

    assert.equal(status, 2);
    assert.match(stderr, /which command\?/);
  });
});
