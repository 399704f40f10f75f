import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run } from '../../gateway/commands/key.ts';
import { parseApiKeys } from '../../gateway/config/api-keys-file.ts';
import { aFolder } from '../support/folder.ts';

function inFolder(t: TestContext, yaml = 'identity: { apiKeys: { file: keys/api-keys.yaml } }') {
  const cwd = aFolder(t);
  writeFileSync(join(cwd, 'gateway.yaml'), yaml);
  const file = join(cwd, 'keys/api-keys.yaml');
  const key = async (...args: string[]) => {
    const said = { stdout: '', stderr: '' };
    const status = await run([...args, '--config', 'gateway.yaml'], {
      stdout: { write: text => (said.stdout += text) },
      stderr: { write: text => (said.stderr += text) },
      env: {},
      cwd,
    });
    return { status, ...said };
  };
  return { key, file, content: () => readFileSync(file, 'utf8') };
}

describe('penstock key', () => {
  test('makes a key, shows it once, and keeps its digest alone', async t => {
    const { key, content, file } = inFolder(t);

    const made = await key('create', '--subject', 'app/a', '--id', 'one', '--scope', 'predict', '--expires', '90d');

    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stdout, /^penstock_[\w-]{43}\n$/);
    const [known] = parseApiKeys(content(), file).keys ?? [];
    assert.equal(known?.sha256, createHash('sha256').update(made.stdout.trim()).digest('hex'));
    assert.deepEqual([known.id, known.subject, known.scopes, known.roles], ['one', 'app/a', ['predict'], []]);
    assert.ok(Math.abs(known.expiresMs - Date.now() - 90 * 86_400_000) < 60_000);
    assert.ok(!content().includes(made.stdout.trim()));
  });

  test('adds to what is there, comments and all, lists it, and takes out one that is revoked', async t => {
    const { key, content, file } = inFolder(t);
    await key('create', '--subject', 'a', '--id', 'one');
    writeFileSync(file, `# ours\n${content()}`);
    await key('create', '--subject', 'b', '--id', 'two', '--role', 'r');

    assert.match(content(), /^# ours/);
    const listed = await key('list');
    assert.equal(
      listed.stdout,
      'one  a  no scopes  no roles  until revoked\ntwo  b  no scopes  roles r  until revoked\n',
    );

    assert.equal((await key('revoke', 'one')).stdout, 'revoked one\n');
    assert.deepEqual(
      (JSON.parse((await key('list', '--json')).stdout) as { id: string }[]).map(({ id }) => id),
      ['two'],
    );
    await key('revoke', 'two');
    assert.deepEqual(parseApiKeys(content(), file), { keys: [], problems: [] });
    assert.equal((await key('create', '--subject', 'c')).status, 0);
  });

  const refused: [what: string, args: string[], status: number, message: RegExp][] = [
    ['without a subject', ['create'], 2, /--subject NAME/],
    ['a key that is not there', ['revoke', 'x'], 1, /there is no key "x"/],
    ['no key in particular', ['revoke'], 2, /which key/],
    ['a lifetime that is none', ['create', '--subject', 'a', '--expires', 'soon'], 2, /--expires takes/],
    ['nothing', [], 2, /create, list or revoke/],
    ['an unknown option', ['list', '--jsn'], 2, /did you mean --json/],
  ];
  for (const [what, args, status, reported] of refused) {
    test(`refuses ${what}`, async t => {
      const said = await inFolder(t).key(...args);
      assert.equal(said.status, status);
      assert.match(said.stderr, reported);
    });
  }

  test('says of each id that stands in the file twice where it is', () => {
    const key = (id: string) => `- { id: ${id}, sha256: ${'a'.repeat(64)}, subject: s }\n`;

    const { keys, problems } = parseApiKeys(['a', 'b', 'a', 'c', 'b'].map(key).join(''), 'keys.yaml');

    assert.equal(keys, undefined);
    assert.deepEqual(
      problems.map(({ line, message }) => `${line} ${message}`),
      ['3 this id is listed already', '5 this id is listed already'],
    );
  });

  test('refuses a second key of an id, and where no file of keys is configured', async t => {
    const { key } = inFolder(t);
    await key('create', '--subject', 'a', '--id', 'one');
    assert.match((await key('create', '--subject', 'b', '--id', 'one')).stderr, /there is a key one already/);
    const jwt =
      "identity: { jwt: [{ issuer: a, audience: b, algorithms: [HS256], secret: 'a secret of thirty-two bytes or more' }] }";
    assert.match((await inFolder(t, jwt).key('list')).stderr, /has no `identity.apiKeys`/);
  });

  test('stands in the audit trail, by the command alone while no gateway writes it, and never with the key', async t => {
    const { key, file } = inFolder(
      t,
      'audit: { file: audit.jsonl }\nidentity: { apiKeys: { file: keys/api-keys.yaml } }',
    );
    const trail = join(dirname(file), '../audit.jsonl');

    const made = await key('create', '--subject', 'app/a', '--id', 'one');
    await key('revoke', 'one');

    const lines = readFileSync(trail, 'utf8').trim().split('\n');
    const changes = lines
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(({ kind }) => kind === 'change');
    assert.deepEqual(
      changes.map(({ by, what, after }) => [by, what, after]),
      [
        ['command', 'key create one', { subject: 'app/a', scopes: [], roles: [] }],
        ['command', 'key revoke one', null],
      ],
    );
    assert.ok(!lines.join().includes(made.stdout.trim()));

    writeFileSync(`${trail}.lock`, String(process.ppid)); // another process that lives
    assert.equal((await key('create', '--subject', 'app/a', '--id', 'two')).status, 0);
    assert.equal(readFileSync(trail, 'utf8').trim().split('\n').length, lines.length);
  });

  test('is refused where the trail must be written and cannot', async t => {
    const yaml =
      'audit: { file: gateway.yaml/audit.jsonl, required: true }\nidentity: { apiKeys: { file: keys/api-keys.yaml } }';
    const { key, file } = inFolder(t, yaml);

    const made = await key('create', '--subject', 'app/a');

    assert.equal(made.status, 1);
    assert.match(made.stderr, /nothing is changed/);
    assert.equal(existsSync(file), false);
  });
});
