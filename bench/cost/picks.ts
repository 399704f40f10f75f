import type { Permit } from '../../gateway/domain/exchange.ts';
import { at } from '../../gateway/domain/non-empty.ts';
import { createPlaces } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/living-service.ts';
import type { BalanceSpec } from '../../gateway/domain/service/service-policy.ts';
import type { LivingService, PlaceWanted } from '../../gateway/domain/service.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { systemRandom } from '../../gateway/edges/random.ts';
import { anEntry, aServicePolicy } from '../../test/support/builders.ts';
import { compareCost, type CostRow, type Work } from './compare.ts';

const FEW = 10;
const MANY = 1_000;

/** So many distinct callers ask, for the policy that keeps each with an instance. */
const CALLERS = 1_024;

const POLICIES: readonly BalanceSpec[] = [
  { policy: 'least-loaded' },
  { policy: 'round-robin' },
  { policy: 'two-choices' },
  { policy: 'hash', by: { kind: 'caller' } },
];

/** What one call's place costs, taken and given back, among 10 instances and among 1,000, under each policy. */
export async function measurePicks(rounds?: number): Promise<CostRow[]> {
  const rows: CostRow[] = [];
  for (const balance of POLICIES) {
    rows.push(
      await compareCost({
        ...{ what: `a pick, ${balance.policy}`, of: 'instances', few: FEW, many: MANY, rounds },
        prepare: count => picking(serviceOf(count, balance)),
      }),
    );
  }
  return rows;
}

function serviceOf(count: number, balance: BalanceSpec): LivingService {
  const service = createService({
    name: 'measured',
    policy: aServicePolicy({ balance }),
    ...{ clock: systemClock, random: systemRandom, places: createPlaces(), observe: () => undefined },
  });
  service.reconcile(Array.from({ length: count }, (_, i) => anEntry(`r-${i}`)));
  return service;
}

/** As under way: half of the instances are taken; each turn takes one more, and gives back the one taken longest ago. */
async function picking(service: LivingService): Promise<Work> {
  const half = Math.floor(service.view().instances.length / 2);
  const signal = new AbortController().signal;
  const wanted: PlaceWanted[] = Array.from({ length: CALLERS }, (_, i) => ({
    ...{
      signal,
      tried: [],
      affinity: `caller-${i}`,
      callerId: `caller-${i}`,
      priority: 'normal' as const,
      remainingMs: 60_000,
    },
  }));
  const held: Permit[] = [];
  let turn = 0;
  const next = () => at(wanted, (turn += 1) % CALLERS);
  for (let i = 0; i < half; i++) held.push(await service.acquire(next()));
  return {
    async run(times) {
      for (let i = 0; i < times; i++) {
        const permit = await service.acquire(next());
        const oldest = at(held, i % half);
        service.report(oldest.instance, { request: oldest, callerId: 'a', outcome: 'ok', durationMs: 5 + (i % 7) });
        oldest.release();
        held[i % half] = permit;
      }
    },
    end: () => service.close(),
  };
}
