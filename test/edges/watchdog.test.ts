import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createWatchdog, type Blocked } from '../../gateway/edges/watchdog.ts';
import { until } from '../support/until.ts';

const AFTER_MS = 40;

function startWatchdog(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-watchdog-'));
  const file = join(folder, 'log');
  const fd = openSync(file, 'w');
  const over: Blocked[] = [];
  const watchdog = createWatchdog({ afterMs: AFTER_MS, fd, onOver: blocked => over.push(blocked) });
  t.after(() => {
    watchdog.close();
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const written = () => readFileSync(file, 'utf8');
  return { watchdog, over, written };
}

/** Keeps the loop until the condition holds, as an endless loop would; five seconds at most. */
function block(isEnough: () => boolean): void {
  const endsMs = performance.now() + 5_000;
  while (!isEnough() && performance.now() < endsMs);
}

describe('the watchdog', () => {
  test('names a plug-in that blocks the loop while it does, and once it is over', async t => {
    const { watchdog, over, written } = startWatchdog(t);
    const outer = watchdog.enter('Outer');
    const before = watchdog.enter('Blocks');

    block(() => written().endsWith('\n'));

    const line = JSON.parse(written()) as Record<string, unknown>;
    assert.deepEqual([line['level'], line['event'], line['plugin']], ['error', 'plugin-blocks', 'Blocks']);
    watchdog.leave(before);
    watchdog.leave(outer);
    await until(() => over.length === 1, 'it is told');
    assert.ok(over[0]?.plugin === 'Blocks' && over[0].forMs >= AFTER_MS);
  });

  test('says nothing of plug-ins that let the loop turn, nor of a loop that others block', async t => {
    const { watchdog, written } = startWatchdog(t);
    const untilMs = performance.now() + 5 * AFTER_MS;

    const waiting = watchdog.enter('Waits'); // as if it were left late: the loop turns
    await setTimeout(3 * AFTER_MS);
    watchdog.leave(waiting);
    watchdog.leave(watchdog.enter('Quick'));
    block(() => performance.now() > untilMs + 3 * AFTER_MS);

    assert.equal(written(), '');
  });
});
