import { createBalance } from '../../gateway/domain/balance/create-balance.ts';
import type { Permit } from '../../gateway/domain/exchange.ts';
import { at } from '../../gateway/domain/non-empty.ts';
import { createPlaces } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/living-service.ts';
import type { BalanceSpec } from '../../gateway/domain/service/service-policy.ts';
import type { LivingService } from '../../gateway/domain/service.ts';
import { systemClock } from '../../gateway/edges/clock.ts';
import { systemRandom } from '../../gateway/edges/random.ts';
import { anEntry, anInstance, aServicePolicy, wantedBy } from '../../test/support/builders.ts';
import { compareCost, type CostRow, type Work } from './compare.ts';

const FEW = 10;
const MANY = 1_000;

/** For the policy that keeps each with an instance. */
const CALLERS = Array.from({ length: 1_024 }, (_, i) => `caller-${i}`);

const POLICIES: readonly BalanceSpec[] = [
  { policy: 'least-loaded' },
  { policy: 'round-robin' },
  { policy: 'two-choices' },
  { policy: 'hash', by: { kind: 'caller' }, strict: false },
];

/** What a pick costs among 10 instances and among 1,000, under each policy. */
export function measurePicks(rounds?: number): Promise<CostRow[]> {
  return measureEach('a pick', (count, balance) => picking(count, balance), rounds);
}

/** The same for all that goes with it: a place is asked for and granted, the answer is reported, the place given back. */
export function measurePlaces(rounds?: number): Promise<CostRow[]> {
  return measureEach('a place taken and given back', (count, balance) => calling(serviceOf(count, balance)), rounds);
}

type Prepare = (count: number, balance: BalanceSpec) => Work | Promise<Work>;

async function measureEach(what: string, prepare: Prepare, rounds: number | undefined): Promise<CostRow[]> {
  const rows: CostRow[] = [];
  for (const balance of POLICIES) {
    rows.push(
      await compareCost({
        ...{ what: `${what}, ${balance.policy}`, of: 'instances', few: FEW, many: MANY, rounds },
        prepare: count => prepare(count, balance),
      }),
    );
  }
  return rows;
}

/** As under way: half of the instances are taken; each turn takes one more, and gives back the one taken longest ago. */
function picking(count: number, balance: BalanceSpec): Work {
  const policy = createBalance(balance, systemRandom);
  const all = Array.from({ length: count }, (_, i) => ({ ...anInstance({ id: `r-${i}` }) }));
  policy.adopt?.(all);
  const choice = policy.choice<(typeof all)[number]>();
  for (const instance of all) choice.add(instance);
  const held: typeof all = [];
  let turn = 0;

  const take = () => {
    const picked = choice.pick(at(CALLERS, (turn += 1) % CALLERS.length));
    if (picked === undefined) throw new Error('nobody is free');
    choice.remove(picked);
    picked.inFlight = 1;
    return picked;
  };
  const half = Math.floor(count / 2);
  for (let i = 0; i < half; i++) held.push(take());
  return {
    run(times) {
      for (let i = 0; i < times; i++) {
        const oldest = at(held, i % half);
        held[i % half] = take();
        oldest.inFlight = 0;
        oldest.latencyMs = 5 + (i % 7);
        choice.add(oldest);
      }
    },
  };
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

async function calling(service: LivingService): Promise<Work> {
  const wanted = CALLERS.map(caller => wantedBy({ affinity: caller, callerId: caller, remainingMs: 60_000 }));
  const half = Math.floor(service.view().instances.length / 2);
  const held: Permit[] = [];
  let turn = 0;
  const take = () => service.acquire(at(wanted, (turn += 1) % wanted.length));
  for (let i = 0; i < half; i++) held.push(await take());
  return {
    async run(times) {
      for (let i = 0; i < times; i++) {
        const permit = await take();
        const oldest = at(held, i % half);
        oldest.begin();
        service.report(oldest.instance, { request: oldest, callerId: 'a', outcome: 'ok', durationMs: 5 + (i % 7) });
        oldest.release();
        held[i % half] = permit;
      }
    },
    end: () => service.close(),
  };
}
