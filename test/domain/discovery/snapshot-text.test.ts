import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RosterEntry } from '../../../gateway/domain/roster.ts';
import { formatSnapshot, parseSnapshot } from '../../../gateway/domain/discovery/snapshot-text.ts';

const from = { address: 'http://127.0.0.1:8500', datacenter: '', tag: '' };
const entry: RosterEntry = {
  ...{ id: 'fuel-1', origin: 'http://127.0.0.1:9101', source: 'consul', weight: 2, health: 'warning' },
  ...{ healthNote: 'ping: slow', version: '1.2.0', model: null, concurrency: undefined },
};
const snapshot = { services: new Map([['fuel', [entry]]]), updatedMs: Date.UTC(2026, 0, 2) };

describe('a roster snapshot', () => {
  test('is read as it was written', () => {
    assert.deepEqual(parseSnapshot(formatSnapshot(snapshot, from), from), snapshot);
  });

  test('of another Consul is none', () => {
    const read = parseSnapshot(formatSnapshot(snapshot, from), { ...from, datacenter: 'east' });

    assert.match('problem' in read ? read.problem : '', /another address, datacenter or tag/);
  });

  const whole = JSON.parse(formatSnapshot(snapshot, from)) as Record<string, unknown>;
  for (const [what, broken] of [
    ['is no JSON', '{"version":1'],
    ['is empty', ''],
    ['is no object', '[]'],
    ['is of another version', JSON.stringify({ ...whole, version: 2 })],
    ['has no time', JSON.stringify({ ...whole, heardAt: 'yesterday' })],
    ['has no services', JSON.stringify({ ...whole, services: [] })],
    ['has a service without a list', JSON.stringify({ ...whole, services: { fuel: {} } })],
    ['has an entry without id', JSON.stringify({ ...whole, services: { fuel: [{ ...entry, id: '' }] } })],
    ['has an entry elsewhere', JSON.stringify({ ...whole, services: { fuel: [{ ...entry, origin: 'file:///x' }] } })],
    ['has an entry of no weight', JSON.stringify({ ...whole, services: { fuel: [{ ...entry, weight: 0 }] } })],
    ['has an entry of unknown health', JSON.stringify({ ...whole, services: { fuel: [{ ...entry, health: 'x' }] } })],
  ] as const) {
    test(`that ${what} is not used at all`, () => {
      assert.ok('problem' in parseSnapshot(broken, from));
    });
  }
});
