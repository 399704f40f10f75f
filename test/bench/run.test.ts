import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createPlace } from '../../bench/place.ts';
import { cpuTimeOf, startNode } from '../../bench/process-figures.ts';
import { isRehearsed } from '../../bench/run.ts';
import { until } from '../support/until.ts';
import { aContestant, aSample } from './samples.ts';

/** Turns of 100 calls each, which cost so many µs. */
function turnsOf(...costsUs: readonly number[]) {
  return costsUs.map(cpuUsPerRequest => aSample(aContestant('own', 'own'), { cpuUsPerRequest }).measurement);
}

describe('a rehearsal', () => {
  const effort = { callsMin: 300, turnsMax: 6 };

  test('goes on while a call costs less than before', () => {
    assert.equal(isRehearsed([], effort), false);
    assert.equal(isRehearsed(turnsOf(200, 150, 130), effort), false);
    assert.equal(isRehearsed(turnsOf(200, 150, 130, 127), effort), true);
  });

  test('compares with the best turn, not with the last', () => {
    assert.equal(isRehearsed(turnsOf(200, 130, 180, 140), effort), true);
  });

  test('has at least so many calls, and no more turns than it may', () => {
    assert.equal(isRehearsed(turnsOf(100, 100), effort), false);
    assert.equal(isRehearsed(turnsOf(600, 500, 400, 300, 200, 100), effort), true);
  });

  test('needs no processor time where none can be seen', () => {
    const turn = aSample(aContestant('own', 'own')).measurement;

    assert.deepEqual([isRehearsed([turn], effort), isRehearsed([turn, turn, turn], effort)], [false, true]);
  });
});

describe('a process of Node’s that is measured', () => {
  const GREEDY = `
    const kept = [];
    process.on('SIGUSR2', () => {
      for (let i = 0; i < 100_000; i += 1) kept.push({ i });
      process.stdout.write('done\\n');
    });
    setInterval(() => undefined, 1_000);
    process.stdout.write('ready\\n');
  `;

  test('tells what V8 has allocated, and the system what its threads have used', async t => {
    const place = createPlace();
    t.after(() => place.close());
    const started = startNode(place, 'greedy', { args: ['-e', GREEDY] });
    await place.until(started, () => started.log().includes('ready'));
    const [before, usedBefore] = [await started.memory(), cpuTimeOf(started.pid)];

    process.kill(started.pid, 'SIGUSR2');
    await until(() => started.log().includes('done'), 'it has allocated');

    const [after, usedAfter] = [await started.memory(), cpuTimeOf(started.pid)];
    const allocatedBytes = after.allocatedBytes - before.allocatedBytes;
    assert.ok(allocatedBytes > 1_000_000 && allocatedBytes < 20_000_000, `${allocatedBytes}`);
    if (!existsSync('/proc/self/schedstat')) return; // the system keeps no such record
    assert.ok(usedBefore !== undefined && usedAfter !== undefined);
    assert.ok(usedAfter.totalUs > usedBefore.totalUs && usedAfter.v8Us < usedAfter.totalUs);
  });
});
