import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Random } from '../../../gateway/domain/clock.ts';
import { isEligibleIn, type Permit, type Priority } from '../../../gateway/domain/service.ts';
import { PermitRegistry } from '../../../gateway/domain/service/permits.ts';
import type { RosterEntry } from '../../../gateway/domain/roster.ts';
import { manualClock } from '../../support/manual-clock.ts';
import {
  aFinding,
  anEntry,
  aService,
  seeded,
  type Acquired,
  type ServiceAtWork,
} from '../../support/service-at-work.ts';

const STEPS = 4_000;
const CONCURRENCY = 2;
const LISTED = ['a', 'b', 'c', 'd'];
const ORDERS = ['eject', 'drain', 'readmit', 'readmit'] as const;
const PRIORITIES = ['high', 'normal', 'low'] as const;

/** Two services over the same addresses, and everything that can happen to them at random. */
class Simulation {
  readonly clock = manualClock();
  readonly permits = new PermitRegistry();
  readonly random: Random;
  readonly services: readonly ServiceAtWork[];
  readonly held: Permit[] = [];
  readonly waiting = new Map<Acquired, ServiceAtWork>();
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
        permits: this.permits,
        random: seeded(seed + 1),
        policy: {
          concurrency: CONCURRENCY,
          queueDepthMax: 20,
          queueWaitMsMax: 300,
          isFair: name === 'fuel',
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

  acquire(): void {
    const at = this.any(this.services);
    if (at === undefined) return;
    const tried = this.random.below(4) === 0 ? this.held.slice(0, 1).map(permit => permit.instance) : [];
    const acquiring = at.acquire({
      ...{ tried, callerId: `caller-${this.random.below(5)}`, priority: this.any(PRIORITIES) ?? 'normal' },
      usefulUntilMs: this.clock.nowMs() + this.random.below(1_000),
      onPermit: permit => this.hold(permit),
      onRefused: () => (this.refused += 1),
    });
    if (acquiring.waits) this.waiting.set(acquiring, at);
  }

  leave(): void {
    const waiting = [...this.waiting].filter(([acquiring]) => acquiring.waits);
    const [acquiring, at] = this.any(waiting) ?? [];
    if (acquiring === undefined) return;
    at?.service.leave(acquiring);
    this.waiting.delete(acquiring);
    assert.equal(acquiring.waits, true);
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
    if (this.random.below(5) > 0) permit.begin();
    const outcome = this.any(['ok', 'ok', 'ok', 'lost', 'refused', 'timeout', 'abandoned', 'hung'] as const) ?? 'ok';
    if (outcome === 'timeout') permit.abandon();
    for (const { service } of this.services) service.report(permit.instance, aFinding({ outcome, permit }));
    permit.release();
  }

  /** What can happen, each as often as its number says. */
  readonly #acts: readonly (readonly [number, () => void])[] = [
    [45, () => this.acquire()],
    [35, () => this.finish()],
    [8, () => this.leave()],
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

  /** What is free is not wanted by any call that waits: none waits in vain. */
  assertNoneForgotten(): void {
    for (const { service } of this.services) {
      const { queue, instances } = service.view();
      const eligible = instances.filter(({ state }) => isEligibleIn(state));
      const isIdle = eligible.length > 0 && eligible.every(({ inFlight }) => inFlight === 0);
      assert.ok(queue.depth === 0 || !isIdle, `${queue.depth} wait for ${service.name}, and all are idle`);
    }
  }
}

for (const seed of [7, 42, 1_234]) {
  test(`no permit is lost or given twice, whatever happens in whatever order (seed ${seed})`, () => {
    const simulation = new Simulation(seed);
    for (let step = 0; step < STEPS; step++) {
      simulation.act();
      simulation.assertNoneForgotten();
      assert.ok(simulation.inFlightMax <= CONCURRENCY, `${simulation.inFlightMax} in flight at once`);
    }

    for (const [acquiring, { service }] of simulation.waiting) service.leave(acquiring);
    while (simulation.held.length > 0) simulation.finish();
    simulation.clock.advance(1);
    for (const { service } of simulation.services) for (const id of LISTED) service.checked(id, true, 'ping');
    for (const { service } of simulation.services) {
      const { queue, permits } = service.view();
      assert.deepEqual([queue.depth, permits.inUse, permits.abandoned], [0, 0, 0]);
      service.close();
    }

    assert.ok(simulation.served > STEPS / 5, `only ${simulation.served} were served`);
    assert.ok(simulation.refused > 0);
    assert.equal(simulation.permits.addresses, 0);
    for (const { deadlines } of simulation.services) assert.equal(deadlines.size, 0);
  });
}

/** One who waits alone for its caller and priority, and who has been served since. */
interface Lone {
  readonly caller: string;
  readonly priority: Priority;
  /** Of the same priority, when it came. */
  readonly othersAtFirst: number;
  readonly servedSince: { readonly caller: string; readonly priority: Priority }[];
}

interface One {
  readonly caller: string;
  readonly priority: Priority;
}

/** Callers of all priorities, some greedy, before one service whose instances answer in any order. */
class Crowd {
  readonly random: Random;
  readonly at: ServiceAtWork;
  readonly held: Permit[] = [];
  readonly waiting = new Map<One, Acquired>();
  readonly lone = new Map<One, Lone>();
  served = 0;
  lonesServed = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    const policy = { queueDepthMax: 60, queueWaitMsMax: 3_600_000 };
    this.at = aService({
      random: seeded(seed),
      policy,
      entries: LISTED.slice(0, 1 + (seed % 3)).map(id => anEntry(id)),
    });
  }

  acquire(): void {
    const isGreedy = this.random.below(10) < 7;
    const caller = isGreedy ? 'greedy' : `caller-${this.random.below(20)}`;
    const priority = PRIORITIES[this.random.below(3)] ?? 'normal';
    const same = [...this.waiting.keys()].filter(other => other.priority === priority);
    const one = { caller, priority };
    if (!same.some(other => other.caller === caller)) {
      const othersAtFirst = new Set(same.map(other => other.caller)).size;
      this.lone.set(one, { caller, priority, othersAtFirst, servedSince: [] });
    }
    const acquiring = this.at.acquire({
      ...{ callerId: caller, priority },
      onPermit: permit => {
        this.serve(permit, one);
        this.lone.delete(one);
        this.waiting.delete(one);
      },
      onRefused: () => {
        this.lone.delete(one);
        this.waiting.delete(one);
      },
    });
    if (acquiring.waits) this.waiting.set(one, acquiring);
  }

  leave(): void {
    const [one, acquiring] = [...this.waiting][this.random.below(this.waiting.size)] ?? [];
    if (acquiring === undefined || one === undefined) return;
    this.at.service.leave(acquiring);
    this.waiting.delete(one);
    this.lone.delete(one);
  }

  serve(permit: Permit, one: One): void {
    this.held.push(permit);
    this.served += 1;
    const lone = this.lone.get(one);
    if (lone !== undefined) this.assertOneTurn(lone);
    for (const other of this.lone.values()) other.servedSince.push(one);
  }

  /** No caller of its priority was served twice before it, and of the others not more than their share. */
  assertOneTurn({ caller, priority, othersAtFirst, servedSince }: Lone): void {
    this.lonesServed += 1;
    const same = servedSince.filter(served => served.priority === priority).map(served => served.caller);
    assert.equal(new Set(same).size, same.length, `twice before ${caller}: ${same.join(' ')}`);
    assert.ok(same.length <= othersAtFirst, `${same.length} turns before ${caller}'s, ${othersAtFirst} others waited`);
    const most = { high: 2, normal: 6, low: 21 }[priority] * (othersAtFirst + 1);
    assert.ok(servedSince.length <= most, `${servedSince.length} were served before ${caller}, ${priority}`);
  }

  step(): void {
    const dice = this.random.below(100);
    if (dice < 52) this.acquire();
    else if (dice < 96) this.held.splice(this.random.below(this.held.length), 1)[0]?.release();
    else this.leave();
  }
}

for (const seed of [1, 3, 11, 2_024]) {
  test(`a caller with one call is delayed by one turn of each other caller, and none starves (seed ${seed})`, () => {
    const crowd = new Crowd(seed);
    for (let step = 0; step < STEPS; step++) {
      crowd.step();
    }

    assert.ok(crowd.served > STEPS / 4, `only ${crowd.served} were served`);
    assert.ok(crowd.lonesServed > STEPS / 20, `only ${crowd.lonesServed} of those who waited alone`);
    assert.ok(crowd.at.service.view().queue.depth > 20, 'no call had to wait');
    while (crowd.held.length > 0) {
      crowd.held.pop()?.release();
    }
    assert.deepEqual([crowd.waiting.size, crowd.lone.size], [0, 0]);
    assert.equal(crowd.at.deadlines.size, 0);
  });
}
