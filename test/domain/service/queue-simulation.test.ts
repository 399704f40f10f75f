import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Permit } from '../../../gateway/domain/exchange.ts';
import { createPlaces } from '../../../gateway/domain/service/permits.ts';
import type { Random } from '../../../gateway/domain/ports.ts';
import type { RosterEntry } from '../../../gateway/domain/roster.ts';
import { aFinding, anEntry, aService, seeded, type ServiceAtWork } from '../../support/builders.ts';
import { manualClock } from '../../support/manual-clock.ts';

const STEPS = 4_000;
const CONCURRENCY = 2;
const LISTED = ['a', 'b', 'c', 'd'];
const IN_ROTATION = new Set(['in-rotation', 'slow-start', 'busy-unchecked', 'probation']);
const ORDERS = ['eject', 'drain', 'readmit', 'readmit'] as const;

/** Two services over the same addresses, and everything that can happen to them at random. */
class Simulation {
  readonly clock = manualClock();
  readonly places = createPlaces();
  readonly random: Random;
  readonly services: readonly ServiceAtWork[];
  readonly held: Permit[] = [];
  readonly callers = new Set<AbortController>();
  readonly inFlight = new Map<string, number>();
  inFlightMax = 0;
  served = 0;
  refused = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.services = ['fuel', 'iris'].map(name =>
      aService({
        name,
        clock: this.clock,
        places: this.places,
        random: seeded(seed + 1),
        policy: {
          concurrency: CONCURRENCY,
          queueDepthMax: 20,
          queueWaitMsMax: 300,
          slowStartMs: 100,
          outlier: { failures: 2 },
        },
        entries: this.someEntries(),
      }),
    );
  }

  someEntries(): RosterEntry[] {
    return LISTED.filter(() => this.random.below(4) > 0).map(id =>
      anEntry(id, { health: this.random.below(8) === 0 ? 'critical' : 'passing' }),
    );
  }

  any<T>(items: readonly T[]): T | undefined {
    return items[this.random.below(items.length)];
  }

  ask(): void {
    const service = this.any(this.services);
    const caller = new AbortController();
    const tried = this.random.below(4) === 0 ? this.held.slice(0, 1).map(permit => permit.instance) : [];
    this.callers.add(caller);
    void service
      ?.take({ signal: caller.signal, tried, callerId: `caller-${this.random.below(5)}` })
      .then(
        permit => this.hold(permit),
        () => (this.refused += 1),
      )
      .finally(() => this.callers.delete(caller));
  }

  hold(permit: Permit): void {
    const { origin } = permit.instance;
    const count = (this.inFlight.get(origin) ?? 0) + 1;
    this.inFlightMax = Math.max(this.inFlightMax, count);
    this.inFlight.set(origin, count);
    this.held.push(permit);
    this.served += 1;
  }

  finish(): void {
    const index = this.random.below(this.held.length);
    const [permit] = this.held.splice(index, 1);
    if (permit === undefined) return;
    const { origin } = permit.instance;
    this.inFlight.set(origin, (this.inFlight.get(origin) ?? 0) - 1);
    const outcome = this.any(['ok', 'ok', 'ok', 'lost', 'refused', 'timeout', 'abandoned', 'hung'] as const) ?? 'ok';
    if (outcome === 'timeout') permit.abandon();
    for (const { service } of this.services) service.report(permit.instance, aFinding({ outcome }));
    permit.release();
  }

  /** What can happen, each as often as its number says. */
  readonly #acts: readonly (readonly [number, () => void])[] = [
    [45, () => this.ask()],
    [35, () => this.finish()],
    [8, () => this.any([...this.callers])?.abort(new Error('gone'))],
    [6, () => this.clock.advance(this.random.below(200))],
    [3, () => this.any(this.services)?.service.reconcile(this.someEntries())],
    [1, () => this.any(this.services)?.service.checked(this.any(LISTED) ?? '', this.random.below(2) === 0, 'ping')],
    [2, () => this.any(this.services)?.service.command(this.any(LISTED) ?? '', this.any(ORDERS) ?? 'readmit')],
  ];

  act(): void {
    let dice = this.random.below(100);
    for (const [weight, act] of this.#acts) {
      if (dice < weight) {
        act();
        return;
      }
      dice -= weight;
    }
  }

  /** What is free is not wanted by anyone who waits: nobody waits in vain. */
  assertNobodyForgotten(): void {
    for (const { service } of this.services) {
      const { queue, instances } = service.view();
      const eligible = instances.filter(({ state }) => IN_ROTATION.has(state));
      const isIdle = eligible.length > 0 && eligible.every(({ inFlight }) => inFlight === 0);
      assert.ok(queue.depth === 0 || !isIdle, `${queue.depth} wait for ${service.name}, and all are idle`);
    }
  }
}

for (const seed of [7, 42, 1_234]) {
  test(`no permit is lost or given twice, whatever happens in whatever order (seed ${seed})`, async () => {
    const simulation = new Simulation(seed);
    for (let step = 0; step < STEPS; step++) {
      simulation.act();
      await setImmediate();
      simulation.assertNobodyForgotten();
      assert.ok(simulation.inFlightMax <= CONCURRENCY, `${simulation.inFlightMax} in flight at once`);
    }

    for (const caller of simulation.callers) caller.abort(new Error('the end'));
    await setImmediate();
    while (simulation.held.length > 0) simulation.finish();
    for (const { service } of simulation.services) {
      const { queue, permits } = service.view();
      assert.deepEqual([queue.depth, permits.inUse, permits.abandoned], [0, 0, 0]);
      service.close();
    }

    assert.ok(simulation.served > STEPS / 5, `only ${simulation.served} were served`);
    assert.ok(simulation.refused > 0);
    assert.equal(simulation.places.addresses, 0);
    assert.equal(simulation.clock.alarms, 0);
  });
}
