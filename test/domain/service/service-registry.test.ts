import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadlines } from '../../../gateway/domain/deadlines.ts';
import { PermitRegistry } from '../../../gateway/domain/service/permits.ts';
import type { RosterEntry, SourceName } from '../../../gateway/domain/roster.ts';
import type { ManagedService, ServicePolicy } from '../../../gateway/domain/service.ts';
import { createServiceRegistry } from '../../../gateway/domain/service/service-registry.ts';
import { createService } from '../../../gateway/domain/service/upstream-service.ts';
import { aServicePolicy, anEntry } from '../../support/service-at-work.ts';
import { manualClock } from '../../support/manual-clock.ts';

function aRegistry() {
  const clock = manualClock();
  const permits = new PermitRegistry();
  const registry = createServiceRegistry({
    create: (name, policy) =>
      createService({
        name,
        policy,
        clock,
        random: { below: () => 0 },
        permits,
        deadlines: new Deadlines(clock),
        observe: () => undefined,
      }),
    retireAfterMs: () => 30_000,
    clock,
  });
  const received = (source: SourceName, services: Record<string, RosterEntry[]>) =>
    registry.onRoster({ source, services: new Map(Object.entries(services)), updatedMs: 0 });
  const idsOf = (name: string) =>
    registry
      .find(name)
      ?.view()
      .instances.map(({ id }) => id);
  return { registry, clock, received, idsOf };
}

const policies = (...names: string[]) => new Map(names.map(name => [name, aServicePolicy()]));

describe('the registry of services', () => {
  test('tells every service which gateways there are, those that come later too', () => {
    const { registry, received } = aRegistry();
    const ownersOf = (name: string) =>
      registry
        .find(name)
        ?.view()
        .instances.map(({ preferredBy }) => preferredBy);
    received('consul', { fuel: [anEntry('fuel-1'), anEntry('fuel-2')], iris: [anEntry('iris-1'), anEntry('iris-2')] });
    registry.adopt(policies('fuel'));

    registry.meet({ self: 'g-1', gateways: ['g-1', 'g-2'] });
    registry.adopt(policies('fuel', 'iris'));

    assert.deepEqual(ownersOf('fuel')?.toSorted(), ['g-1', 'g-2']);
    assert.deepEqual(ownersOf('iris')?.toSorted(), ['g-1', 'g-2']);
    assert.deepEqual(registry.peers.gateways, ['g-1', 'g-2']);
  });

  test('disturbs no service whose policy is the one in force', () => {
    const seen: string[] = [];
    const create = (name: string, policy: ServicePolicy) =>
      ({
        ...{ name, policy },
        adopt: () => seen.push(`${name} adopts`),
        reconcile: () => seen.push(`${name} reconciles`),
        meet: () => seen.push(`${name} meets`),
      }) as unknown as ManagedService;
    const registry = createServiceRegistry({ create, retireAfterMs: () => 30_000, clock: manualClock() });
    const fuel = aServicePolicy();
    registry.adopt(new Map([['fuel', fuel]]));
    seen.length = 0;

    registry.adopt(new Map([...policies('iris'), ['fuel', fuel]]));

    assert.deepEqual(seen, ['iris meets', 'iris reconciles']);
  });

  test('gives a new service the instances that its sources listed before', () => {
    const { registry, received, idsOf } = aRegistry();
    received('consul', { fuel: [anEntry('fuel-1')] });

    registry.adopt(policies('fuel'));

    assert.deepEqual(idsOf('fuel'), ['fuel-1']);
  });

  test('unites what several sources list', () => {
    const { registry, received, idsOf } = aRegistry();
    registry.adopt(policies('fuel'));

    received('static', { fuel: [anEntry('s', { origin: 'http://127.0.0.1:1', source: 'static' })] });
    received('consul', { fuel: [anEntry('c', { origin: 'http://127.0.0.1:2', source: 'consul' })] });

    assert.deepEqual(idsOf('fuel')?.sort(), ['c', 's']);
  });

  test('keeps a service through a reload, under its new policy', () => {
    const { registry } = aRegistry();
    registry.adopt(policies('fuel'));
    const before = registry.find('fuel');

    registry.adopt(new Map([['fuel', aServicePolicy({ queueDepthMax: 7 })]]));

    assert.equal(registry.find('fuel'), before);
    assert.equal(before?.view().queue.depthMax, 7);
  });

  test('takes a service back as it was when it returns before it has retired', () => {
    const { registry, clock } = aRegistry();
    registry.adopt(policies('fuel'));
    const before = registry.find('fuel');

    registry.adopt(policies());
    clock.advance(29_999);
    registry.adopt(policies('fuel'));

    assert.equal(registry.find('fuel'), before);
    clock.advance(60_000);
    assert.equal(registry.find('fuel'), before);
  });

  test('closes a service that left once no request can need it, and starts anew after that', () => {
    const { registry, clock } = aRegistry();
    registry.adopt(policies('fuel'));
    const before = registry.find('fuel');

    registry.adopt(policies());
    clock.advance(30_000);
    registry.adopt(policies('fuel'));

    assert.notEqual(registry.find('fuel'), before);
  });

  test('leaves no alarm behind when it closes', () => {
    const { registry, clock, received } = aRegistry();
    registry.adopt(policies('fuel', 'iris'));
    received('consul', { fuel: [anEntry('fuel-1')] });
    registry.adopt(policies('fuel'));

    registry.close();

    assert.equal(clock.alarms, 0);
  });
});
