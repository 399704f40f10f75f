import { parseArgs } from 'node:util';
import type { Clock } from '../../gateway/domain/clock.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { Instance, ManagedService, Permit, PermitRequest } from '../../gateway/domain/service.ts';
import { SortedList } from '../../gateway/domain/service/balance/round-robin.ts';
import { PermitRegistry } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/upstream-service.ts';
import { anEntry, aServicePolicy, seeded } from '../../test/support/service-at-work.ts';
import { COMPUTE_MS, makeCalls, toTable, TRAFFICS, waitsOf } from './traffic.ts';
import type { Call, Case, Traffic, WaitRow, Waits } from './traffic.ts';

const INSTANCES = ['r-1', 'r-2', 'r-3', 'r-4'];
const GATEWAYS = ['penstock-10.0.0.1-8080', 'penstock-10.0.0.2-8080'];
const LOADS = [0.3, 0.6, 0.9];
const CASES: readonly Case[] = ['one gateway', 'two, with the rule', 'two, without', 'two, own alone'];

/** Before this share of the calls came, the queues were not yet as they are. */
const WARM_UP_SHARE = 0.05;

interface Setting {
  readonly traffic: Traffic;
  readonly load: number;
  readonly calls: number;
  readonly seed: number;
}

/**
 * How long calls wait before R begins with them, in the gateway's queue and within R: the gateways are the real ones,
 * as far as they decide (their services, queues, policies and the rule); R, which does one thing after the other, and
 * time are simulated. All cases get the same calls.
 */
export function simulate(kind: Case, { traffic, load, calls, seed }: Setting): Waits {
  const clock = new EventClock();
  const made = makeCalls(traffic, { calls, load, instances: INSTANCES.length }, seeded(seed));
  const gateways = gatewaysOf(kind, clock);
  const freeAtMs = new Map<string, number>();
  const waits: number[] = [];

  const serve = (gateway: ManagedService, { atMs, computeMs }: Call, permit: Permit) => {
    const { instance } = permit;
    const sentMs = clock.nowMs();
    const beginsMs = Math.max(sentMs, freeAtMs.get(instance.origin) ?? 0);
    freeAtMs.set(instance.origin, beginsMs + computeMs);
    waits.push(beginsMs - atMs);
    permit.begin();
    clock.after(beginsMs + computeMs - sentMs, () => {
      const ok = { callerId: 'alice', routeId: 'simulated', outcome: 'ok', status: 200 } as const;
      gateway.report(instance, { ...ok, request: permit, durationMs: clock.nowMs() - sentMs });
      permit.release();
    });
  };

  const arrive = (index: number) => {
    const call = made[index];
    if (call === undefined) return;
    clock.after(call.atMs - clock.nowMs(), () => {
      arrive(index + 1);
      const gateway = gateways[gateways.length === 1 || call.toward < traffic.firstShare ? 0 : 1];
      if (gateway === undefined) throw new Error('no gateway');
      const request = new Patient(permit => serve(gateway, call, permit));
      const permit = gateway.acquire(request);
      if (permit !== undefined) request.onPermit(permit);
    });
  };
  arrive(0);
  while (waits.length < calls && clock.step());
  for (const gateway of gateways) gateway.close();
  return waitsOf(waits.slice(Math.floor(calls * WARM_UP_SHARE)));
}

/** Waits as long as it takes. */
class Patient implements PermitRequest {
  readonly tried: readonly Instance[] = [];
  readonly affinity = '';
  readonly callerId = 'alice';
  readonly priority = 'normal';
  readonly routeId = 'simulated';
  readonly usefulUntilMs = Infinity;
  queued: object | undefined = undefined;
  readonly onPermit: (permit: Permit) => void;

  constructor(onPermit: (permit: Permit) => void) {
    this.onPermit = onPermit;
  }

  onRefused(failure: GatewayError): void {
    throw failure;
  }
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** A clock of simulated time, at zero: what is due next happens next, however long it takes until then. */
class EventClock implements Clock {
  readonly #due = new SortedList<Due>((a, b) => (a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs));
  #nowMs = 0;
  #order = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, happen: () => void): () => void {
    const event: Due = { atMs: this.#nowMs + Math.max(0, delayMs), order: (this.#order += 1), happen };
    this.#due.add(event);
    return () => this.#due.remove(event); // nothing where it has happened
  }

  /** Does what is due next, and all that follows from it at once; false: nothing is due any more. */
  step(): boolean {
    const { first } = this.#due;
    if (first === undefined) return false;
    this.#due.shift();
    this.#nowMs = first.atMs;
    first.happen();
    return true;
  }
}

function gatewaysOf(kind: Case, clock: EventClock): ManagedService[] {
  const make = (seed: number) => {
    const service = createService({
      name: 'simulated',
      policy: aServicePolicy({ queueDepthMax: 1e9, queueWaitMsMax: 1e9, hangMsMax: 1e9 }),
      ...{ clock, random: seeded(seed), deadlines: new Deadlines(clock), permits: new PermitRegistry() },
      observe: () => undefined,
    });
    service.reconcile(INSTANCES.map(id => anEntry(id, { source: 'consul' })));
    return service;
  };
  if (kind === 'one gateway') return [make(1)];
  return GATEWAYS.map((self, index) => {
    const service = make(index + 1);
    if (kind !== 'two, without') service.meet({ self, gateways: GATEWAYS });
    if (kind === 'two, own alone') {
      const own = service.view().instances.filter(({ preferredBy }) => preferredBy === self);
      service.reconcile(own.map(({ id }) => anEntry(id, { source: 'consul' })));
      service.meet({ self, gateways: [self] });
    }
    return service;
  });
}

function main(): void {
  const { values } = parseArgs({ options: { calls: { type: 'string', default: '100000' } } });
  const calls = Number(values.calls);
  for (const [index, traffic] of TRAFFICS.entries()) {
    const rows: WaitRow[] = [];
    for (const load of LOADS) {
      for (const kind of CASES) {
        rows.push({ kind, load, ...simulate(kind, { traffic, load, calls, seed: 7 + index }) });
      }
    }
    process.stdout.write(`${traffic.title} (mean ${COMPUTE_MS} ms), ${calls} calls each\n\n${toTable(rows)}\n`);
  }
}

if (import.meta.main) main();
