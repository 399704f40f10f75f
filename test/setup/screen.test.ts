import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shownLine } from '../../gateway/setup/screen.mjs';

const shown = (entry: object) => shownLine(JSON.stringify({ time: '2026-01-02T03:04:05.006Z', ...entry }));

describe('below the screen', () => {
  test('a save of the routes is seen to take effect', () => {
    const line = shown({ level: 'info', event: 'config-loaded', generation: 2, routes: 3, warnings: ['a', 'b'] });

    assert.match(line?.text ?? '', /in force .*generation 2.*\n {2}a\n {2}b$/);
    assert.equal(line?.isAmiss, false);
  });

  test('each problem of a save that was refused has a line of its own', () => {
    const line = shown({
      level: 'error',
      event: 'config-refused',
      problems: ['r.yaml:1:2: error: x', 'r.yaml:2:1: y'],
    });

    assert.match(line?.text ?? '', /stay in force\.\n {2}r\.yaml:1:2: error: x\n {2}r\.yaml:2:1: y$/);
    assert.equal(line?.isAmiss, true);
  });

  test('a call is one short line, without its token', () => {
    const call = { method: 'POST', path: '/api/fuel/predict', status: 200, totalMs: 2.9, instance: 'fuel-9101' };

    const line = shown({ level: 'info', event: 'request', caller: 'penstock-dev/you', ...call });

    assert.deepEqual(line, { text: '200 POST /api/fuel/predict  2.9 ms by fuel-9101', isAmiss: false });
  });

  test('what is amiss is told in words, and what is usual is not', () => {
    const lost = shown({ level: 'warn', event: 'source-lost', source: 'consul', problem: 'ECONNREFUSED' });

    assert.equal(lost?.text, '03:04:05 warn source-lost source=consul problem=ECONNREFUSED');
    assert.equal(shown({ level: 'info', event: 'instance-joined', service: 'fuel' }), undefined);
  });
});
