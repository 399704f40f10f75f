import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  watch,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readText, surroundingsOf, watchFiles } from '../../gateway/edges/config-file.ts';
import { aFolder } from '../support/folder.ts';

function folder(t: TestContext): string {
  const path = aFolder(t);
  return path;
}

/** Watches a file that holds `old`; polling is too rare to help, unless a test asks for it. */
function watched(t: TestContext, file: string, options: Partial<Parameters<typeof watchFiles>[0]> = {}) {
  const changes = new EventEmitter<{ change: [string | undefined] }>();
  const seen: (string | undefined)[] = [];
  const watcher = watchFiles({
    files: new Map([[file, readText(file)]]),
    onChange: (_file, text) => {
      seen.push(text);
      changes.emit('change', text);
    },
    settleMs: 30,
    pollMs: 3_600_000,
    ...options,
  });
  t.after(() => watcher.close());
  // The watcher's own timers keep no process alive; while a test waits, something must.
  const awake = setInterval(() => undefined, 1_000);
  t.after(() => clearInterval(awake));
  return { seen, next: async () => ((await once(changes, 'change')) as [string | undefined])[0], watcher };
}

describe('a watched file', () => {
  test('is seen when it is written in place', async t => {
    const file = join(folder(t), 'routes.yaml');
    writeFileSync(file, 'old');
    const { next } = watched(t, file);

    const change = next();
    writeFileSync(file, 'new');

    assert.equal(await change, 'new');
  });

  test('is seen when another is renamed over it, and again the next time', async t => {
    const path = folder(t);
    const file = join(path, 'routes.yaml');
    writeFileSync(file, 'old');
    const { next } = watched(t, file);

    for (const text of ['first', 'second']) {
      const change = next();
      writeFileSync(join(path, '.routes.yaml.swp'), text);
      renameSync(join(path, '.routes.yaml.swp'), file);
      assert.equal(await change, text);
    }
  });

  test('is seen though something else in its folder is written all the time', async t => {
    const path = folder(t);
    const file = join(path, 'routes.yaml');
    writeFileSync(file, 'old');
    const { next } = watched(t, file, { settleMs: 100 });
    const writing = setInterval(() => writeFileSync(join(path, 'gateway.log'), 'a line'), 3);
    t.after(() => clearInterval(writing));

    const change = next();
    writeFileSync(file, 'new');

    assert.equal(await Promise.race([change, setTimeout(30_000, 'never', { ref: false })]), 'new');
  });

  test('is not read again because a log beside it grows', async t => {
    const path = folder(t);
    const [file, log] = [join(path, 'routes.yaml'), join(path, 'gateway.log')];
    for (const each of [file, log]) writeFileSync(each, 'old');
    let reads = 0;
    const inForce: ReadonlyMap<string, string> = new Map();
    const counted = Object.assign(new Map<string, string>(), { [Symbol.iterator]: () => (reads++, inForce.entries()) });
    watched(t, file, { settleMs: 1, more: () => counted });
    const events = watch(path);
    t.after(() => events.close());
    appendFileSync(file, 'er');
    while (reads === 0) await setTimeout(1);
    const before = reads;

    for (let line = 0; line < 5; line++) {
      appendFileSync(log, 'a line');
      await once(events, 'change');
      await setTimeout(10); // for a read that must not come
    }

    assert.equal(reads, before);
  });

  test('is seen at once where its folder was put in the place of another', async t => {
    const path = join(folder(t), 'config');
    const file = join(path, 'routes.yaml');
    const put = (text: string) => {
      rmSync(path, { recursive: true, force: true });
      mkdirSync(path);
      writeFileSync(file, text);
    };
    put('old');
    const { next } = watched(t, file);
    const other = next();
    put('other');
    assert.equal(await other, 'other');

    const change = next();
    writeFileSync(file, 'new');

    assert.equal(await change, 'new');
  });

  test('is read only when it is left alone: truncated first and written then, it changes once', async t => {
    const file = join(folder(t), 'routes.yaml');
    writeFileSync(file, 'old');
    const { seen, next } = watched(t, file, { settleMs: 150 });

    const change = next();
    const handle = openSync(file, 'w');
    writeSync(handle, 'ne');
    writeSync(handle, 'w');
    closeSync(handle);

    assert.equal(await change, 'new');
    assert.deepEqual(seen, ['new']);
  });

  test('is read once it is whole, however long it takes to be written', async t => {
    const file = join(folder(t), 'routes.yaml');
    writeFileSync(file, 'old');
    const settleMs = 20;
    const { seen } = watched(t, file, { settleMs });
    let [written, pauses, beforeMs] = ['', 0, performance.now()];

    for (let piece = 0; piece < 100; piece++) {
      written += 'x';
      writeFileSync(file, written);
      if (performance.now() - beforeMs >= settleMs) pauses += 1; // of the machine: what was written before it may be read
      beforeMs = performance.now();
      await setTimeout(3);
    }
    while (seen.at(-1) !== written) await setTimeout(5);

    assert.ok(seen.length <= 1 + pauses, `read ${seen.length} times, with ${pauses} pauses`);
  });

  test('is seen when a symbolic link above it is swapped, as Kubernetes mounts do', async t => {
    const path = folder(t);
    for (const [version, text] of [
      ['..1', 'old'],
      ['..2', 'new'],
    ] as const) {
      mkdirSync(join(path, version));
      writeFileSync(join(path, version, 'routes.yaml'), text);
    }
    symlinkSync('..1', join(path, '..data'));
    symlinkSync('..data/routes.yaml', join(path, 'routes.yaml'));
    const { next } = watched(t, join(path, 'routes.yaml'));

    const change = next();
    symlinkSync('..2', join(path, '..data_tmp'));
    renameSync(join(path, '..data_tmp'), join(path, '..data'));

    assert.equal(await change, 'new');
  });

  test('is seen when it is a link and what it leads to changes', async t => {
    const path = folder(t);
    mkdirSync(join(path, 'elsewhere'));
    writeFileSync(join(path, 'elsewhere', 'real.yaml'), 'old');
    symlinkSync('elsewhere/real.yaml', join(path, 'routes.yaml'));
    const { next } = watched(t, join(path, 'routes.yaml'));

    const change = next();
    writeFileSync(join(path, 'elsewhere', 'real.yaml'), 'new');

    assert.equal(await change, 'new');
  });

  test('is told as gone when it is removed, and as there when it returns', async t => {
    const file = join(folder(t), 'routes.yaml');
    writeFileSync(file, 'old');
    const { next } = watched(t, file);

    const gone = next();
    rmSync(file);
    assert.equal(await gone, undefined);
    const back = next();
    writeFileSync(file, 'new');
    assert.equal(await back, 'new');
  });

  test('does not change when it is saved as it was', async t => {
    const path = folder(t);
    const [file, other] = [join(path, 'routes.yaml'), join(path, 'other')];
    writeFileSync(file, 'old');
    writeFileSync(other, '1');
    const { seen, next } = watched(t, file);

    writeFileSync(file, 'old');
    const change = next();
    writeFileSync(file, 'new');

    assert.equal(await change, 'new');
    assert.deepEqual(seen, ['new']);
  });

  test('is found by polling where nothing reports a change', async t => {
    const file = join(folder(t), 'not-there-yet', 'routes.yaml');
    const { next } = watched(t, file, { pollMs: 20 });

    const change = next();
    mkdirSync(join(file, '..'));
    writeFileSync(file, 'new');

    assert.equal(await change, 'new');
  });
});

describe('a file’s surroundings', () => {
  test('take paths as relative to the folder the file stands in', t => {
    const path = folder(t);
    const { absolute } = surroundingsOf(join(path, 'gateway.yaml'), {});

    assert.deepEqual([absolute('keys/a.pem'), absolute('/x')], [join(path, 'keys/a.pem'), '/x']);
  });

  test('read text without the mark that some editors put before it, and nothing where there is nothing', t => {
    const path = folder(t);
    writeFileSync(join(path, 'a'), '\uFEFFtext');

    assert.deepEqual(
      [readText(join(path, 'a')), readText(join(path, 'b')), readText(path)],
      ['text', undefined, undefined],
    );
  });
});
