import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  believe,
  type Belief,
  type Listing,
  type RosterEntry,
  mergeRosters,
  type Roster,
  type SourceName,
} from '../../gateway/domain/roster.ts';

const holdMs = 60_000;

function anEntry(id: string, more: Partial<RosterEntry> = {}): RosterEntry {
  return {
    ...{ id, origin: `http://127.0.0.1:90${id}`, source: 'consul', weight: 1, health: 'passing', healthNote: null },
    ...{ version: null, model: null, concurrency: undefined },
    ...more,
  };
}

const reported = (entries: readonly RosterEntry[], more: Partial<Listing> = {}): Listing => ({
  ...{ entries, unproven: new Set<string>(), isSuspect: false },
  ...more,
});

const ids = (belief: Belief) => belief.entries.map(({ id }) => id).sort();

const known: Belief = { entries: [anEntry('01'), anEntry('02')], doubt: null };
const suspectEmpty = reported([], { isSuspect: true });

describe('the belief in what a source tells', () => {
  test('is given at once, an empty list included', () => {
    assert.deepEqual(believe(known, reported([]), { nowMs: 0, holdMs }), { entries: [], doubt: null });
  });

  test('is given at once after an outage, where the list names an instance', () => {
    const belief = believe(known, reported([anEntry('01')], { isSuspect: true }), { nowMs: 0, holdMs });

    assert.deepEqual([ids(belief), belief.doubt], [['01'], null]);
  });

  test('is withheld from an empty list after an outage, for as long as the hold', () => {
    const doubting = believe(known, suspectEmpty, { nowMs: 1_000, holdMs });
    assert.deepEqual([ids(doubting), doubting.doubt?.untilMs], [['01', '02'], 61_000]);

    const stillDoubting = believe(doubting, reported([]), { nowMs: 60_999, holdMs });
    assert.deepEqual(ids(stillDoubting), ['01', '02']);

    const convinced = believe(stillDoubting, reported([]), { nowMs: 61_000, holdMs });
    assert.deepEqual(convinced, { entries: [], doubt: null });
  });

  test('is given to an empty list where no instance was known', () => {
    assert.deepEqual(believe(undefined, suspectEmpty, { nowMs: 0, holdMs }), { entries: [], doubt: null });
  });

  test('keeps the instances that have not come back while others do, and ends when all are back', () => {
    const doubting = believe(known, suspectEmpty, { nowMs: 0, holdMs });

    const half = believe(doubting, reported([anEntry('01', { weight: 9 })]), { nowMs: 1, holdMs });
    assert.deepEqual(ids(half), ['01', '02']);
    assert.equal(half.entries.find(({ id }) => id === '01')?.weight, 9);

    const whole = believe(half, reported([anEntry('01'), anEntry('02')]), { nowMs: 2, holdMs });
    assert.equal(whole.doubt, null);
  });

  test('lets go one who came back and then left', () => {
    const doubting = believe(known, suspectEmpty, { nowMs: 0, holdMs });
    const half = believe(doubting, reported([anEntry('01')]), { nowMs: 1, holdMs });

    assert.deepEqual(ids(believe(half, reported([]), { nowMs: 2, holdMs })), ['02']);
  });

  test('leaves one who came back unproven in the health it had', () => {
    const back = anEntry('01', { health: 'critical', healthNote: 'has not run yet' });
    const listed = reported([back], { isSuspect: true, unproven: new Set(['01']) });

    const doubting = believe(known, listed, { nowMs: 0, holdMs });

    assert.deepEqual(ids(doubting), ['01', '02']);
    assert.equal(doubting.entries.find(({ id }) => id === '01')?.health, 'passing');
  });

  test('does not lend a health to one who came back elsewhere', () => {
    const moved = anEntry('01', { origin: 'http://127.0.0.1:7777', health: 'critical' });

    const doubting = believe(known, reported([moved], { isSuspect: true, unproven: new Set(['01']) }), {
      nowMs: 0,
      holdMs,
    });

    assert.equal(doubting.entries.find(({ id }) => id === '01')?.health, 'critical');
  });

  test('drops one whose address has come back under another id', () => {
    const doubting = believe(known, suspectEmpty, { nowMs: 0, holdMs });

    const renamed = believe(doubting, reported([anEntry('03', { origin: anEntry('01').origin })]), {
      nowMs: 1,
      holdMs,
    });

    assert.deepEqual(ids(renamed), ['02', '03']);
  });

  test('is withheld anew after another outage', () => {
    const first = believe(known, suspectEmpty, { nowMs: 0, holdMs });

    const second = believe(first, suspectEmpty, { nowMs: 100_000, holdMs });

    assert.deepEqual([ids(second), second.doubt?.untilMs], [['01', '02'], 160_000]);
  });
});

function aRoster(source: SourceName, services: Record<string, readonly [id: string, port: number][]>): Roster {
  const toEntry = ([id, port]: readonly [string, number]): RosterEntry => ({
    ...{ id, origin: `http://127.0.0.1:${port}`, source, weight: 1, health: 'passing', healthNote: null },
    ...{ version: null, model: null, concurrency: undefined },
  });
  const entries = Object.entries(services).map(([name, listed]) => [name, listed.map(toEntry)] as const);
  return { source, services: new Map(entries), updatedMs: 0 };
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
