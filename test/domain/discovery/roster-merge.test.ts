import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeRosters } from '../../../gateway/domain/discovery/roster-merge.ts';
import type { Roster, RosterEntry, SourceName } from '../../../gateway/domain/roster.ts';

function aRoster(source: SourceName, services: Record<string, readonly [id: string, port: number][]>): Roster {
  const toEntry = ([id, port]: readonly [string, number]): RosterEntry => ({
    ...{ id, origin: `http://127.0.0.1:${port}`, source, weight: 1, health: 'passing', healthNote: null },
    ...{ version: null, model: null, concurrency: undefined },
  });
  const entries = Object.entries(services).map(([name, listed]) => [name, listed.map(toEntry)] as const);
  return { source, services: new Map(entries), heardMs: 0 };
}

const idsOf = (entries: readonly RosterEntry[] | undefined) => entries?.map(({ id, source }) => `${source} ${id}`);

describe('the merged roster', () => {
  test('is the union of what the sources know, service by service', () => {
    const merged = mergeRosters([
      aRoster('consul', { fuel: [['a', 1]], iris: [] }),
      aRoster('static', { fuel: [['b', 2]], legacy: [['c', 3]] }),
    ]);

    assert.deepEqual([...merged.keys()], ['fuel', 'iris', 'legacy']);
    assert.deepEqual(idsOf(merged.get('fuel')), ['consul a', 'static b']);
    assert.deepEqual(merged.get('iris'), []);
  });

  test('lists an address once, as the source knows it that knows its health', () => {
    const merged = mergeRosters([aRoster('static', { fuel: [['b', 1]] }), aRoster('consul', { fuel: [['a', 1]] })]);

    assert.deepEqual(idsOf(merged.get('fuel')), ['consul a']);
  });

  test('tells one id at two addresses apart', () => {
    const merged = mergeRosters([aRoster('consul', { fuel: [['a', 1]] }), aRoster('local', { fuel: [['a', 2]] })]);

    assert.deepEqual(idsOf(merged.get('fuel')), ['consul a', 'local a@local']);
  });

  test('lets one address serve two services', () => {
    const merged = mergeRosters([aRoster('consul', { fuel: [['a', 1]], car: [['b', 1]] })]);

    assert.deepEqual([idsOf(merged.get('fuel')), idsOf(merged.get('car'))], [['consul a'], ['consul b']]);
  });
});
