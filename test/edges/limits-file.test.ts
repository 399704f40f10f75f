import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import { createLimitCounter } from '../../gateway/edges/express-rate-limit.ts';
import { CounterTable } from '../../gateway/edges/express-rate-limit.ts';
import { openLastingCounters } from '../../gateway/edges/limits-file.ts';
import { manualClock, type ManualClock } from '../support/manual-clock.ts';
import { aLimit } from '../support/requests.ts';
import { until } from '../support/until.ts';

const DAY_MS = 86_400_000;

function aFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-limits-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A gateway's counters, as long as it runs. */
function open(path: string, clock: ManualClock = manualClock()) {
  const events: GatewayEvent[] = [];
  const kept = openLastingCounters({ path, clock, observe: event => void events.push(event) });
  const counter = createLimitCounter({ table: new CounterTable({ clock, keysMax: 64 }), lasting: () => kept.table });
  const count = (key: string, limit = aLimit(100, 30 * DAY_MS)) =>
    counter.count({ limit, routeId: 'fuel', prefix: `fuel ${limit.perMs} ` }, key, 1);
  return { clock, kept, count, events };
}

describe('limits that last', () => {
  test('go on counting where a process left off, and end when they would have', async t => {
    const path = join(aFolder(t), 'state', 'limits');
    const before = open(path);
    for (let i = 0; i < 5; i++) before.count('alice');
    before.count('bob');
    await before.kept.close();
    assert.equal(before.clock.alarms, 0);

    const clock = manualClock(before.clock.wallMs() + 10 * DAY_MS);
    const after = open(path, clock);
    const { remaining, resetsInMs } = after.count('alice');
    assert.deepEqual([remaining, resetsInMs], [94, 20 * DAY_MS]);
    assert.equal(after.count('bob').remaining, 98);
    clock.setWallMs(clock.wallMs() + 20 * DAY_MS);
    assert.equal(after.count('alice').remaining, 99);
    await after.kept.close();

    assert.deepEqual([...before.events, ...after.events], []);
  });

  test('keep a pace as well, and nothing of short windows', async t => {
    const path = join(aFolder(t), 'limits');
    const hourly = aLimit(10, 3_600_000, { pace: { burst: 2, waitMsMax: 0, depthMax: 0 } });
    const before = open(path);
    assert.deepEqual([before.count('a', hourly).isExceeded, before.count('a', hourly).isExceeded], [false, false]);
    before.count('a', aLimit(5, 60_000));
    await before.kept.close();

    const after = open(path, manualClock(before.clock.wallMs()));

    assert.equal(after.count('a', hourly).isExceeded, true);
    assert.equal(after.count('a', aLimit(5, 60_000)).remaining, 4);
    await after.kept.close();
  });

  test('are written a second after they were counted: a process that is killed loses no more', async t => {
    const path = join(aFolder(t), 'limits');
    const killed = open(path);
    killed.count('alice');
    killed.clock.advance(1_000);
    await until(() => statSync(path).size === 51 + 24, 'it is written');
    killed.count('alice');
    killed.clock.advance(1_000);
    await until(() => statSync(path).size === 51 + 48, 'it is added to');

    const after = open(path, manualClock(killed.clock.wallMs()));

    assert.equal(after.count('alice').remaining, 97);
    await after.kept.close();
    await killed.kept.close();
  });

  test('pass over what was cut off or damaged, and say where a file is none', async t => {
    const path = join(aFolder(t), 'limits');
    const before = open(path);
    before.count('alice');
    await before.kept.close();
    const whole = readFileSync(path);
    const damaged = Buffer.from(whole.subarray(51));
    damaged[8] = 0xff;
    appendFileSync(path, damaged);
    appendFileSync(path, whole.subarray(51, 60));

    const after = open(path, manualClock(before.clock.wallMs()));
    assert.equal(after.count('alice').remaining, 98);
    await after.kept.close();
    writeFileSync(path, 'nonsense');
    const anew = open(path);
    assert.equal(anew.count('alice').remaining, 99);
    await anew.kept.close();

    assert.deepEqual(after.events, []);
    assert.match(JSON.stringify(anew.events), /begun anew/);
  });

  test('count on in memory where nothing can be written, and say so once', async t => {
    const folder = aFolder(t);
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { clock, kept, count, events } = open(join(file, 'limits'));
    for (let i = 0; i < 3; i++) {
      count('alice');
      clock.advance(1_000);
      await kept.close();
    }

    assert.equal(count('alice').remaining, 96);
    await kept.close();
    assert.ok(events.length >= 1 && events.length <= 3, JSON.stringify(events));
  });

  test('are for their owner’s eyes alone, and name no caller', async t => {
    const path = join(aFolder(t), 'limits');
    const { kept, count } = open(path);
    count('penstock-dev/alice');
    await kept.close();

    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(path, 'latin1'), /alice/);
    chmodSync(path, 0o600);
  });
});
