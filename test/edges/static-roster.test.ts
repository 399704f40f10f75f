import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Roster } from '../../gateway/domain/roster.ts';
import { advertisedAddress } from '../../gateway/edges/consul-registration.ts';
import { createStaticSource } from '../../gateway/edges/static-roster.ts';
import { manualClock } from '../support/manual-clock.ts';

function listen(...services: { service: string; instances: string[] }[]) {
  const rosters: Roster[] = [];
  const source = createStaticSource({ services, clock: manualClock(), onRoster: roster => rosters.push(roster) });
  const listed = () =>
    [...(rosters.at(-1)?.services ?? [])].map(([name, entries]) => [
      name,
      entries.map(({ id, origin }) => [id, origin]),
    ]);
  return { source, rosters, listed };
}

describe('a static source', () => {
  test('lists what is written down of the services that are wanted', () => {
    const { source, listed } = listen(
      { service: 'legacy', instances: ['http://10.0.0.5:8000', 'http://10.0.0.6'] },
      { service: 'unused', instances: ['http://10.0.0.7:8000'] },
    );

    source.follow(new Set(['legacy', 'fuel']));

    assert.deepEqual(listed(), [
      [
        'legacy',
        [
          ['10.0.0.5:8000', 'http://10.0.0.5:8000'],
          ['10.0.0.6:80', 'http://10.0.0.6:80'],
        ],
      ],
    ]);
    assert.deepEqual(source.age(), { source: 'static', ageSeconds: 0, isStale: false, isKnown: true });
  });

  test('joins two lists of one service, and takes an address once', () => {
    const { source, listed } = listen(
      { service: 'legacy', instances: ['http://10.0.0.5:8000', 'http://10.0.0.5:8000/'] },
      { service: 'legacy', instances: ['http://10.0.0.5:8000', 'https://[fd00::7]'] },
    );

    source.follow(new Set(['legacy']));

    assert.deepEqual(listed(), [
      [
        'legacy',
        [
          ['10.0.0.5:8000', 'http://10.0.0.5:8000'],
          ['[fd00::7]:443', 'https://[fd00::7]:443'],
        ],
      ],
    ]);
  });

  test('tells what a reload has written down instead', () => {
    const { source, listed } = listen({ service: 'legacy', instances: ['http://10.0.0.5:8000'] });
    source.follow(new Set(['legacy']));

    source.replace([{ service: 'legacy', instances: ['http://10.0.0.9:8000'] }]);
    source.follow(new Set(['legacy']));

    assert.deepEqual(listed(), [['legacy', [['10.0.0.9:8000', 'http://10.0.0.9:8000']]]]);
  });

  test('tells nothing where a reload changed nothing', () => {
    const legacy = { service: 'legacy', instances: ['http://10.0.0.5:8000'] };
    const { source, rosters } = listen(legacy);
    source.follow(new Set(['legacy', 'fuel']));

    source.replace([{ ...legacy }]);
    source.follow(new Set(['fuel', 'legacy']));

    assert.equal(rosters.length, 1);
  });
});

describe('the address that is advertised', () => {
  for (const [listen, advertise, advertised] of [
    [{ host: '10.0.0.7', port: 8080 }, undefined, { host: '10.0.0.7', port: 8080 }],
    [{ host: '0.0.0.0', port: 8080 }, '10.0.0.8:80', { host: '10.0.0.8', port: 80 }],
    [{ host: '0.0.0.0', port: 8080 }, 'gateway.internal', { host: 'gateway.internal', port: 8080 }],
    [{ host: '0.0.0.0', port: 8080 }, '[fd00::7]:81', { host: 'fd00::7', port: 81 }],
    [{ host: '0.0.0.0', port: 8080 }, 'fd00::7', { host: 'fd00::7', port: 8080 }],
  ] as const) {
    test(`of ${listen.host}, told ${advertise ?? 'nothing'}, is ${advertised.host}`, () => {
      assert.deepEqual(advertisedAddress(listen, advertise), advertised);
    });
  }

  for (const host of ['0.0.0.0', '::', '']) {
    test(`of a listener on '${host}' is one of this machine`, () => {
      const advertised = advertisedAddress({ host, port: 8080 }, undefined);

      assert.match(advertised.host, /^[0-9a-f.:]+$/);
      assert.notEqual(advertised.host, host);
    });
  }
});
