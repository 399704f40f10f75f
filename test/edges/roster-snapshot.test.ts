import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { createRosterSnapshot } from '../../gateway/edges/roster-snapshot.ts';
import { anEntry } from '../support/service-at-work.ts';
import { manualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

const from = { address: 'http://127.0.0.1:8500', datacenter: '', tag: '' };
const roster = (...ids: string[]) => ({ services: new Map([['fuel', ids.map(id => anEntry(id))]]), updatedMs: 1_000 });

async function openIn(t: TestContext, ...parts: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, ...parts);
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const snapshot = createRosterSnapshot({ path, from, clock, observe: event => events.push(event) });
  return { folder, path, clock, events, snapshot };
}

const exists = (path: string) => stat(path).then(Boolean, () => false);

describe('the roster snapshot file', () => {
  test('is written a moment after a change, in a folder made for it, for its owner alone', async t => {
    const { folder, path, clock, snapshot } = await openIn(t, 'state', 'deep', 'roster.json');

    snapshot.save(roster('a'));
    clock.advance(999);
    assert.equal(await exists(path), false);
    clock.advance(1);
    await until(() => exists(path), 'the file is there');

    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await snapshot.close();
    assert.deepEqual(await readdir(join(folder, 'state', 'deep')), ['roster.json'], 'no draft stays');
    assert.deepEqual(snapshot.read(), roster('a'));
    assert.equal(clock.alarms, 0);
  });

  test('takes many changes in one write, the last one', async t => {
    const { path, clock, snapshot } = await openIn(t, 'roster.json');

    for (const id of ['a', 'b', 'c']) snapshot.save(roster(id));
    assert.equal(clock.alarms, 1);
    clock.advance(1_000);
    await until(() => exists(path), 'the file is there');

    assert.deepEqual(snapshot.read(), roster('c'));
  });

  test('is renewed once a minute where nothing changed, so that its age is true', async t => {
    const { path, clock, snapshot } = await openIn(t, 'roster.json');
    snapshot.save(roster('a'));
    await snapshot.close();
    await rm(path);

    snapshot.save({ ...roster('a'), updatedMs: 50_000 });
    clock.advance(59_999);
    assert.equal(await exists(path), false);
    clock.advance(1);
    await until(() => exists(path), 'the file is there');

    assert.equal(snapshot.read()?.updatedMs, 50_000);
  });

  test('does not let a change wait for the next renewal', async t => {
    const { path, clock, snapshot } = await openIn(t, 'roster.json');
    snapshot.save(roster('a'));
    await snapshot.close();
    snapshot.save(roster('a'));

    snapshot.save(roster('b'));
    clock.advance(1_000);

    await until(async () => (await readFile(path, 'utf8')).includes('"b"'), 'the change is written');
    assert.deepEqual(snapshot.read(), roster('b'));
  });

  test('is missing without a word, and broken with one', async t => {
    const { path, events, snapshot } = await openIn(t, 'roster.json');

    assert.equal(snapshot.read(), null);
    assert.deepEqual(events, []);
    await writeFile(path, 'nonsense');
    assert.equal(snapshot.read(), null);
    assert.equal(events.length, 1);
  });

  test('that cannot be written is said once, and tried again', async t => {
    const { path, events, snapshot } = await openIn(t, 'roster.json');
    await mkdir(path); // a folder stands where the file should be

    for (const id of ['a', 'b']) {
      snapshot.save(roster(id));
      await snapshot.close();
    }
    assert.equal(events.length, 1);

    await rm(path, { recursive: true });
    snapshot.save(roster('c'));
    await snapshot.close();
    assert.match(await readFile(path, 'utf8'), /"c"/);
  });
});
