import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '../../../gateway/domain/errors.ts';
import { isLogLevel, levelOf, toLogLine, createTimestamps } from '../../../gateway/domain/operating/log-line.ts';

const head = { time: '2026-01-01T00:00:00.000Z', level: 'error' } as const;

describe('log line', () => {
  test('of a mistake of ours has the stacks of all its causes', () => {
    const root = new TypeError('root');
    const error = new GatewayError('INTERNAL', 'unexpected error', { cause: root });

    const line = toLogLine({ kind: 'internal-error', where: 'flow', error, requestId: 'r-1' }, head);

    assert.equal(line['error'], 'unexpected error');
    assert.match(String(line['stack']), /^GatewayError: unexpected error\n.*\ncaused by TypeError: root\n/s);
  });

  test('ends with the fifth cause, even of one that causes itself', () => {
    const error = new Error('loop');
    error.cause = error;

    const line = toLogLine({ kind: 'internal-error', where: 'flow', error, requestId: null }, head);

    assert.equal(String(line['stack']).split('\ncaused by ').length, 5);
  });

  test('takes whatever was thrown', () => {
    for (const [error, said] of [
      ['text', 'text'],
      [null, '[object Null]'],
      [Object.create(null), '[object Object]'],
    ] as const) {
      const line = toLogLine({ kind: 'internal-error', where: 'flow', error, requestId: null }, head);
      assert.deepEqual([line['error'], line['stack']], [said, null]);
    }
  });

  test('keeps the members of an event under its name', () => {
    const line = toLogLine({ kind: 'ejected', service: 'fuel', instance: 'fuel-1', reason: 'refused', forMs: 5 }, head);

    assert.deepEqual(Object.entries(line), [
      ['time', head.time],
      ['level', 'error'],
      ['event', 'ejected'],
      ['service', 'fuel'],
      ['instance', 'fuel-1'],
      ['reason', 'refused'],
      ['forMs', 5],
    ]);
  });

  test('matters as much as what it reports', () => {
    assert.equal(levelOf({ kind: 'notice', level: 'debug', text: '', about: {} }), 'debug');
    const health = { kind: 'instance-health', service: 's', instance: 'i', note: '' } as const;
    assert.equal(levelOf({ ...health, isWell: true }), 'info');
    assert.equal(levelOf({ ...health, isWell: false }), 'warn');
    assert.equal(levelOf({ kind: 'config-refused', problems: [] }), 'error');
  });

  test('knows its levels by name', () => {
    assert.ok(isLogLevel('debug'));
    assert.ok(!isLogLevel('verbose'));
    assert.ok(!isLogLevel(undefined));
  });
});

describe('timestamps', () => {
  test('are what Date writes, within a second and across seconds, forwards and backwards', () => {
    const timestamp = createTimestamps();
    const moments = [0, 1, 999, 1000, 1001, 1_795_366_522_555, 1_795_366_522_009, 1_795_366_523_000, 5, -1, -1000];

    const written = moments.map(timestamp);

    assert.deepEqual(
      written,
      moments.map(wallMs => new Date(wallMs).toISOString()),
    );
  });

  test('leave out what is less than a millisecond', () => {
    assert.equal(createTimestamps()(1_500.75), '1970-01-01T00:00:01.500Z');
  });
});
