import { Deadlines } from '../../gateway/domain/deadlines.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { Instance, ManagedService, Permit, PermitRequest, BalanceSpec } from '../../gateway/domain/service.ts';
import { at } from '../../gateway/domain/non-empty.ts';
import type { RequestAttributes } from '../../gateway/domain/route.ts';
import { createRouteTable } from '../../gateway/domain/routing/route-table.ts';
import { createBalance } from '../../gateway/domain/service/service-core.ts';
import { PermitRegistry } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/upstream-service.ts';
import { checkInput } from '../../gateway/domain/validation/input.ts';
import { createRowCheck } from '../../gateway/domain/validation/records.ts';
import { systemClock, systemRandom } from '../../gateway/edges/clock.ts';
import { soundRoutes } from '../../test/support/configuration.ts';
import { anEntry, anInstance, aServicePolicy } from '../../test/support/service-at-work.ts';

/** What one thing costs where there are few and where there are many, in nanoseconds of processor time. */
export interface CostRow {
  readonly what: string;
  readonly small: number;
  readonly large: number;
  readonly ratio: number;
  /** How many of what `small` and `large` are for. */
  readonly of: string;
  readonly few: number;
  readonly many: number;
}

/** Something that is done over and over. */
interface Work {
  run(times: number): void;
  end?(): void;
}

interface Comparison {
  readonly what: string;
  readonly of: string;
  readonly few: number;
  readonly many: number;
  readonly prepare: (count: number) => Work;
}

const ROUNDS = 25;
const WARM_UP_TIMES = 30_000;
const TIMES = 10_000;

const INSTANCES = { of: 'instances', few: 10, many: 1_000 };
const RECORDS = { of: 'records', few: 1, many: 1_000 };
const ROUTES = { of: 'routes', few: 10, many: 10_000 };

/** So many different requests, spread over all routes; as many where routes are few. */
const REQUESTS = 1_000;

/** For the policy that keeps each with an instance. */
const CALLERS = Array.from({ length: 1_024 }, (_, i) => `caller-${i}`);

const POLICIES: readonly BalanceSpec[] = [
  { policy: 'least-loaded' },
  { policy: 'round-robin' },
  { policy: 'two-choices' },
  { policy: 'hash', by: { kind: 'caller' }, strict: false },
];

/** What a pick costs among 10 instances and among 1,000, under each policy. */
export function measurePicks(): CostRow[] {
  return POLICIES.map(balance =>
    compareCost({ ...INSTANCES, what: `a pick, ${balance.policy}`, prepare: count => picking(count, balance) }),
  );
}

/** The same for all that goes with it: a permit is asked for and given, the answer is reported, the permit released. */
export function measurePermits(): CostRow[] {
  return POLICIES.map(balance =>
    compareCost({
      ...{ ...INSTANCES, what: `a permit acquired and released, ${balance.policy}` },
      prepare: count => acquiring(serviceOf(count, balance)),
    }),
  );
}

/** What it costs to find a request's route among 10 and among 10,000. */
export function measureLookups(): CostRow[] {
  return [
    compareCost({ ...ROUTES, what: 'a route found', prepare: count => finding(count, 'found') }),
    compareCost({ ...ROUTES, what: 'no route found', prepare: count => finding(count, 'missed') }),
  ];
}

/** What a record costs that is held against a prototype of four columns, alone and among many in one body. */
export function measureInput(): CostRow[] {
  return [compareCost({ ...RECORDS, what: 'a record validated', prepare: validating })];
}

function validating(count: number): Work {
  const numeric = { type: 'numeric', levels: [] };
  const Month = { name: 'Month', type: 'factor', levels: ['May', 'Jun', 'Jul', 'Aug', 'Sep'] };
  const columns = ['Solar.R', 'Wind', 'Temp'].map(name => ({ name, ...numeric }));
  const check = createRowCheck([...columns, Month]);
  const record = { 'Solar.R': 190, Wind: 7.4, Temp: 67, Month: 'May' };
  const content = Buffer.from(JSON.stringify(Array(count).fill(record)));
  const request = { method: 'POST', path: '/predict', query: '', fields: [], content };
  const bounds = { unknown: 'allow', rowsMax: count, depthMax: 32 } as const;
  return {
    run(times) {
      for (let i = 0; i < times; i += count) {
        if (checkInput({ kind: 'rows', check, columns: [] }, request, { bounds, form: 'array' }).length > 0)
          throw new Error('refused');
      }
    },
  };
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
    if (picked === undefined) throw new Error('no instance is free');
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

function serviceOf(count: number, balance: BalanceSpec): ManagedService {
  const service = createService({
    ...{ name: 'measured', policy: aServicePolicy({ balance }), clock: systemClock, random: systemRandom },
    ...{ deadlines: new Deadlines(systemClock), permits: new PermitRegistry(), observe: () => undefined },
  });
  service.reconcile(Array.from({ length: count }, (_, i) => anEntry(`r-${i}`)));
  return service;
}

/** One call's request; a permit is always free for it. */
class Unhindered implements PermitRequest {
  readonly tried: readonly Instance[] = [];
  readonly priority = 'normal';
  readonly routeId = 'measured';
  readonly usefulUntilMs = Infinity;
  queued: object | undefined = undefined;
  readonly callerId: string;
  readonly affinity: string;

  constructor(callerId: string) {
    this.callerId = callerId;
    this.affinity = callerId;
  }

  onPermit(): void {
    throw new Error('it had to wait');
  }

  onRefused(failure: GatewayError): void {
    throw failure;
  }
}

function acquiring(service: ManagedService): Work {
  const half = Math.floor(service.view().instances.length / 2);
  const held: Permit[] = [];
  let turn = 0;
  const take = () => {
    const permit = service.acquire(new Unhindered(at(CALLERS, (turn += 1) % CALLERS.length)));
    if (permit === undefined) throw new Error('no permit is free');
    permit.begin();
    return permit;
  };
  for (let i = 0; i < half; i++) held.push(take());
  const ok = { callerId: 'a', routeId: 'measured', outcome: 'ok', status: 200 } as const;
  return {
    run(times) {
      for (let i = 0; i < times; i++) {
        const oldest = at(held, i % half);
        held[i % half] = take();
        service.report(oldest.instance, { ...ok, request: oldest, durationMs: 5 + (i % 7) });
        oldest.release();
      }
    },
    end: () => service.close(),
  };
}

function finding(count: number, end: 'found' | 'missed'): Work {
  const listed = Array.from({ length: count }, (_, i) => ({
    id: `model-${i}`,
    uri: 'lb://fuel',
    predicates: [`Path=/api/team-${i % 100}/model-${i}/**`, 'Method=GET,POST'],
  }));
  const table = createRouteTable(soundRoutes(JSON.stringify({ routes: listed })).specs);
  const requests = Array.from({ length: REQUESTS }, (_, i): RequestAttributes => {
    const number = Math.floor((i * count) / REQUESTS);
    const path = `/api/team-${number % 100}/model-${number}${end === 'found' ? '' : 'x'}/predict-${i}`;
    return {
      method: 'POST',
      path,
      query: '',
      fields: [],
      host: 'localhost',
      peerAddress: '127.0.0.1',
      callerAddress: '127.0.0.1',
      wallMs: 0,
    };
  });
  for (const one of requests) {
    if ((table.find(one)?.kind === 'route') !== (end === 'found')) throw new Error(`${one.path} is not ${end}`);
  }
  return {
    run(times) {
      for (let i = 0; i < times; i++) table.find(at(requests, i % requests.length));
    },
  };
}

/** Does both in turns, so that no hour of the machine favours one, and takes the median of each. */
function compareCost({ what, of, few, many, prepare }: Comparison): CostRow {
  const [small, large] = [prepare(few), prepare(many)];
  for (const work of [small, large]) work.run(WARM_UP_TIMES);
  const took: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    took[0].push(nsOf(small));
    took[1].push(nsOf(large));
  }
  small.end?.();
  large.end?.();
  const [smallNs, largeNs] = [median(took[0]), median(took[1])];
  return { what, of, few, many, small: smallNs, large: largeNs, ratio: largeNs / smallNs };
}

function nsOf(work: Work): number {
  const before = process.cpuUsage(); // others on this machine take time, but not ours
  work.run(TIMES);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / TIMES;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
