import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { argumentProblem, type CommandIo, type Run } from '../../gateway/commands/io.ts';
import { run as check } from '../../gateway/commands/check.ts';
import { run as explain } from '../../gateway/commands/explain.ts';
import { run as generate } from '../../gateway/commands/generate.ts';
import { run as schema } from '../../gateway/commands/schema.ts';
import { createServe } from '../../gateway/commands/serve.ts';
import { run as token } from '../../gateway/commands/token.ts';

const serve = createServe({
  host: { onSignal: () => undefined, onMistake: () => undefined, exit: () => undefined },
  open: () => assert.fail('nothing was to be started'),
});

describe('an option that does not exist', () => {
  for (const [name, command, written, meant] of [
    ['serve', serve, '--confg', 'config'],
    ['check', check, '--onlin', 'online'],
    ['explain', explain, '--heder', 'header'],
    ['token', token, '--scop', 'scope'],
    ['schema', schema, '--jsn', 'json'],
    ['generate', generate, '--chek', 'check'],
  ] as const satisfies readonly (readonly [string, Run, string, string])[]) {
    test(`of ${name} is refused with the nearest that does`, async () => {
      let said = '';
      const io: CommandIo = {
        stdout: { write: () => true },
        stderr: { write: text => (said += text) },
        env: {},
        cwd: '/',
      };

      assert.equal(await command([written], io), 2);
      assert.match(said, new RegExp(`there is no option ${written}; did you mean --${meant}\\?`));
    });
  }

  test('that is near none is refused without a guess', () => {
    assert.equal(argumentProblem(new Error("Unknown option '--xyzzy'"), ['config']), 'there is no option --xyzzy');
  });
});
