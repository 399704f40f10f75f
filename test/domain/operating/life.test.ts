import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GatewayEvent } from '../../../gateway/domain/events.ts';
import { createLife } from '../../../gateway/domain/operating/life.ts';
import type { RosterAge } from '../../../gateway/domain/roster.ts';
import { manualClock } from '../../support/manual-clock.ts';

const known: RosterAge = { source: 'consul', ageSeconds: 3, isStale: false, isKnown: true };
const unknown: RosterAge = { source: 'local', ageSeconds: 0, isStale: true, isKnown: false };
const config = { generation: 7, loadedMs: Date.UTC(2026, 0, 1), error: null };

function startLife(...rosters: RosterAge[]) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const life = createLife({ clock, rosterAges: () => rosters, observe: event => events.push(event) });
  return { clock, events, life, rosters };
}

describe('life', () => {
  test('is ready once the listeners are open and every source has reported its services', () => {
    const { life, rosters } = startLife(unknown);

    life.reconsider();
    assert.equal(life.phase, 'starting');
    life.opened();
    assert.deepEqual(life.readiness(config).reasons, ['no roster from local yet']);

    rosters[0] = { ...unknown, isKnown: true, isStale: false };
    life.reconsider();
    assert.equal(life.phase, 'ready');
  });

  test('is not ready before its listeners are open, whatever is known', () => {
    const { life } = startLife(known);

    const { ready, reasons } = life.readiness(config);

    assert.deepEqual({ ready, reasons }, { ready: false, reasons: ['starting'] });
  });

  test('waits ten seconds for a silent source where another is known, and for ever where none is', () => {
    const one = startLife(known, unknown);
    const none = startLife(unknown);
    for (const { life } of [one, none]) life.opened();

    for (const { clock } of [one, none]) clock.advance(10_000);
    assert.equal(one.life.readiness(config).ready, false);

    for (const { clock } of [one, none]) clock.advance(1);
    assert.equal(one.life.readiness(config).ready, true);
    assert.equal(none.life.readiness(config).ready, false);
  });

  test('stays ready when a source is lost later', () => {
    const { life, rosters } = startLife(known);
    life.opened();

    rosters[0] = { ...known, isStale: true, ageSeconds: 900 };

    const { ready, roster } = life.readiness(config);
    assert.deepEqual({ ready, roster }, { ready: true, roster: { consul: { ageSeconds: 900, stale: true } } });
  });

  test('needs no roster where no source is configured', () => {
    const { life } = startLife();
    life.opened();

    assert.equal(life.phase, 'ready');
  });

  test('never goes back, and reports each step once', () => {
    const { life, events } = startLife(known);
    life.opened();
    life.advance('refusing', 'SIGTERM');
    life.advance('draining', 'too late');
    life.reconsider();
    life.advance('refusing', 'again');

    assert.deepEqual(
      events.map(event => event.kind === 'process' && event.phase),
      ['ready', 'refusing'],
    );
    assert.deepEqual(life.readiness(config).reasons, ['refusing']);
  });

  test('shows readiness as the contract does', () => {
    const { life } = startLife(known);
    life.opened();

    assert.deepEqual(life.readiness({ ...config, error: 'routes.yaml:3:1: error: unknown key' }), {
      ready: true,
      config: { generation: 7, loadedAt: '2026-01-01T00:00:00.000Z', error: 'routes.yaml:3:1: error: unknown key' },
      roster: { consul: { ageSeconds: 3, stale: false } },
      reasons: [],
    });
  });

  test('shows no age of a source that was never heard', () => {
    const { life } = startLife(unknown);

    assert.deepEqual(life.readiness(config).roster, { local: { ageSeconds: null, stale: true } });
  });
});
