import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { run as check } from '../../gateway/commands/check.ts';
import { run as diff } from '../../gateway/commands/diff.ts';
import { run as importRun } from '../../gateway/commands/import.ts';
import type { Run } from '../../gateway/commands/io.ts';
import { aFolder } from '../support/folder.ts';

/** Runs commands in a folder with these files, and gathers what they say. */
function inFolder(t: TestContext, files: Readonly<Record<string, string>>) {
  const cwd = aFolder(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  return async (command: Run, ...args: readonly string[]) => {
    const said = { out: '', err: '' };
    const code = await command(args, {
      stdout: { write: text => (said.out += text) },
      stderr: { write: text => (said.err += text) },
      env: {},
      cwd,
    });
    return { code, ...said, cwd };
  };
}

const OLD = `
defaults: { timeout: 30s }
services: { fuel: { concurrency: 1, sharedSecret: old-secret } }
routes:
- { id: fuel, uri: lb://fuel, predicates: [Path=/api/fuel/**], filters: [StripPrefix=2], limits: [{ rate: 10, per: 1s }] }
- { id: iris, uri: lb://iris, predicates: [Path=/api/iris/**] }
- { id: ozone, uri: lb://ozone, predicates: [Path=/api/ozone/**] }
- { id: gone, uri: lb://iris, predicates: [Path=/gone/**] }
`;
const NEW = `
x-limits: &limits [{ rate: 20, per: 1000ms }]
defaults: { timeout: 10s, cors: { origins: ['https://a.example'] } }
services: { fuel: { concurrency: 4, sharedSecret: new-secret } }
default-filters: ['AddResponseHeader=X-By, us']
routes:
- { id: iris, uri: lb://iris, timeout: 3s, predicates: [{ name: Path, args: { patterns: [/api/iris/**] } }] }
- { id: fuel, uri: lb://fuel, predicates: [Path=/api/fuel/**], filters: [StripPrefix=1], limits: *limits }
- { id: ozone, uri: lb://ozone, enabled: false, predicates: [Path=/api/ozone/**] }
- { id: new, uri: lb://fuel, predicates: [Path=/api/fuel/x] }
`;

describe('diff', () => {
  test('says what a change means, and no secret', async t => {
    const { code, out } = await inFolder(t, { 'a.yaml': OLD, 'b.yaml': NEW })(diff, 'a.yaml', 'b.yaml');

    assert.equal(code, 0);
    assert.deepEqual(out.split('\n'), [
      '+ new  lb://fuel · Path=/api/fuel/x',
      '- gone  lb://iris · Path=/gone/**',
      '~ iris',
      '    timeout: 30s → 3s',
      '~ fuel',
      '    filters: - StripPrefix=2',
      '    filters: + StripPrefix=1',
      '    limits: [ { rate: 10, per: 1s } ] → [ { rate: 20, per: 1000ms } ]',
      '~ ozone',
      '    enabled: true → false',
      '> iris is tried first',
      '! new can never be reached: fuel before it',
      '~ defaults',
      '    timeout: 30s → 10s  (fuel, ozone)',
      '    cors: not written → { origins: [ https://a.example ] }  (iris, fuel, ozone)',
      '~ every route',
      '    default-filters: + AddResponseHeader=X-By, us',
      '~ service fuel',
      '    concurrency: 1 → 4',
      '    sharedSecret: [redacted] → [redacted]',
      '',
    ]);
  });

  test('says nothing of what is only written otherwise', async t => {
    const files = {
      'a.yaml': 'routes: [{ id: a, uri: lb://a, predicates: [Path=/a], filters: [SetStatus=404], timeout: 60s }]',
      'b.yaml':
        'routes: [{ timeout: 1m, id: a, uri: lb://a, predicates: [{ name: Path, args: { x: /a } }], filters: [{ name: SetStatus, args: { status: 404 } }] }]',
    };

    const { code, out } = await inFolder(t, files)(diff, 'a.yaml', 'b.yaml');

    assert.deepEqual([code, out], [0, 'Nothing changes.\n']);
  });

  test('compares what a file for Spring Cloud Gateway becomes with the file itself', async t => {
    const run = inFolder(t, {
      'a.yml': 'spring.cloud.gateway.routes: [{ id: a, uri: lb://a, predicates: [Path=/a], filters: [StripPrefix=1] }]',
    });
    await run(importRun, 'a.yml', '--to', '.');

    const { code, out } = await run(diff, 'a.yml', 'routes.yaml');

    assert.deepEqual([code, out], [0, 'Nothing changes.\n']);
  });

  test('tells the problems of a file that cannot be used, and of arguments', async t => {
    const run = inFolder(t, { 'a.yaml': 'routes: []', 'b.yaml': 'routes: [{ uri: fuel }]' });

    const wrong = await run(diff, 'a.yaml', 'b.yaml');
    const alone = await run(diff, 'a.yaml');
    const json = await run(diff, 'a.yaml', 'a.yaml', '--json');

    assert.deepEqual([wrong.code, wrong.out], [1, '']);
    assert.match(wrong.err, /b\.yaml:1:17: error: routes\[0\]\.uri/);
    assert.deepEqual([alone.code, alone.err.split('\n')[0]], [2, 'penstock diff: OLD and NEW are wanted']);
    assert.deepEqual((JSON.parse(json.out) as { added: unknown }).added, []);
  });
});

describe('import', () => {
  const SPRING =
    'spring.cloud.gateway.routes: [{ id: a, uri: http://a:1, predicates: [Path=/a], filters: [SaveSession] }]';

  test('prints two files, and how many things mean less', async t => {
    const { code, out, err } = await inFolder(t, { 'application.yml': SPRING })(importRun, 'application.yml');

    assert.equal(code, 0);
    assert.match(out, /^# gateway\.yaml: [^]*^---\n# routes\.yaml: [^]*# Less: SaveSession is left out/m);
    assert.equal(err, 'Means less than it did: 1, each at a comment that begins with `Less:`.\n');
  });

  test('writes two files that check passes, and none over another', async t => {
    const run = inFolder(t, { 'application.yml': SPRING });

    const first = await run(importRun, 'application.yml', '--to', 'made');
    const checked = await run(check, '--config', 'made/gateway.yaml');
    const kept = readFileSync(join(first.cwd, 'made/routes.yaml'), 'utf8');
    const second = await run(importRun, 'application.yml', '--to', 'made');

    assert.deepEqual([first.code, first.out, checked.code], [0, '', 0], checked.out);
    assert.equal(second.code, 1);
    assert.match(second.err, /EEXIST/);
    assert.equal(readFileSync(join(first.cwd, 'made/routes.yaml'), 'utf8'), kept);
  });

  test('tells what cannot be read, and arguments that make no sense', async t => {
    const run = inFolder(t, { 'routes.yaml': 'routes: []' });

    const [none, ours, two] = [
      await run(importRun, 'nowhere.yml'),
      await run(importRun, 'routes.yaml'),
      await run(importRun),
    ];

    assert.match(none.err, /cannot be read/);
    assert.match(ours.err, /not written for Spring Cloud Gateway/);
    assert.deepEqual([none.code, ours.code, two.code], [1, 1, 2]);
    assert.equal(existsSync(join(none.cwd, 'gateway.yaml')), false);
  });
});
