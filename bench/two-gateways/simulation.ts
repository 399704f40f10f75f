import { parseArgs } from 'node:util';
import { createPlaces } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/living-service.ts';
import type { LivingService } from '../../gateway/domain/service.ts';
import { anEntry, aServicePolicy, seeded, wantedBy } from '../../test/support/builders.ts';
import { createEventClock, type EventClock } from './event-clock.ts';
import { toTable, waitsOf, type Case, type Waits, type WaitRow } from './wait-table.ts';
import { COMPUTE_MS, makeCalls, TRAFFICS, type Call, type Traffic } from './traffic.ts';

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
export async function simulate(kind: Case, { traffic, load, calls, seed }: Setting): Promise<Waits> {
  const clock = createEventClock();
  const made = makeCalls(traffic, { calls, load, instances: INSTANCES.length }, seeded(seed));
  const gateways = gatewaysOf(kind, clock);
  const freeAtMs = new Map<string, number>();
  const waits: number[] = [];

  const serve = async ({ atMs, toward, computeMs }: Call) => {
    const gateway = gateways[gateways.length === 1 || toward < traffic.firstShare ? 0 : 1];
    if (gateway === undefined) return;
    const permit = await gateway.acquire(wantedBy({ remainingMs: Infinity }));
    const { instance } = permit;
    const beginsMs = Math.max(clock.nowMs(), freeAtMs.get(instance.origin) ?? 0);
    const sentMs = clock.nowMs();
    freeAtMs.set(instance.origin, beginsMs + computeMs);
    waits.push(beginsMs - atMs);
    permit.begin();
    clock.after(beginsMs + computeMs - sentMs, () => {
      const durationMs = clock.nowMs() - sentMs;
      gateway.report(instance, { request: permit, callerId: 'alice', outcome: 'ok', durationMs });
      permit.release();
    });
  };

  for (const call of made) clock.after(call.atMs, () => void serve(call));
  while (waits.length < calls && (await clock.step()));
  for (const gateway of gateways) gateway.close();
  return waitsOf(waits.slice(Math.floor(calls * WARM_UP_SHARE)));
}

function gatewaysOf(kind: Case, clock: EventClock): LivingService[] {
  const make = (seed: number) => {
    const service = createService({
      name: 'simulated',
      policy: aServicePolicy({ queueDepthMax: 1e9, queueWaitMsMax: 1e9, hangMsMax: 1e9 }),
      ...{ clock, random: seeded(seed), places: createPlaces(), observe: () => undefined },
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

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { calls: { type: 'string', default: '100000' } } });
  const calls = Number(values.calls);
  for (const [index, traffic] of TRAFFICS.entries()) {
    const rows: WaitRow[] = [];
    for (const load of LOADS) {
      for (const kind of CASES) {
        rows.push({ kind, load, ...(await simulate(kind, { traffic, load, calls, seed: 7 + index })) });
      }
    }
    process.stdout.write(`${traffic.title} (mean ${COMPUTE_MS} ms), ${calls} calls each\n\n${toTable(rows)}\n`);
  }
}

if (import.meta.main) await main();
