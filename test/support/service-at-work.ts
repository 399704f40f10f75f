import type { Random } from '../../gateway/domain/clock.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type {
  Instance,
  InstanceState,
  Finding,
  ManagedService,
  Permit,
  PermitRequest,
  Priority,
  OutlierPolicy,
  ServicePolicy,
} from '../../gateway/domain/service.ts';
import type { NonEmpty } from '../../gateway/domain/non-empty.ts';
import type { RosterEntry } from '../../gateway/domain/roster.ts';
import { PermitRegistry } from '../../gateway/domain/service/permits.ts';
import { createService } from '../../gateway/domain/service/upstream-service.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

/** An idle instance of weight 1, but for what the test cares about. */
export function anInstance(traits: Partial<Instance> = {}): Instance {
  return {
    ...{ id: 'r-1', origin: 'http://127.0.0.1:9101', version: null },
    ...{ weight: 1, inFlight: 0, latencyMs: undefined },
    ...traits,
  };
}

/** `count` idle instances, r-1 to r-count. */
export function instances(count: number): NonEmpty<Instance> {
  return Array.from({ length: count }, (_, i) => anInstance({ id: `r-${i + 1}` })) as unknown as NonEmpty<Instance>;
}

/** Chance that says what it is told to, in order, and then starts over. */
export function scripted(...draws: number[]): Random {
  let turn = 0;
  return { below: limit => (limit === 0 ? 0 : (draws[turn++ % draws.length] ?? 0) % limit) };
}

/** Chance with a seed (Park and Miller's generator): varied, yet the same on every run. */
export function seeded(seed: number): Random {
  let state = seed;
  return {
    below(limit) {
      state = (state * 48_271) % 2_147_483_647;
      return limit === 0 ? 0 : state % limit;
    },
  };
}

/** An instance that the roster lists as passing, at an address that follows from its id. */
export function anEntry(id: string, traits: Partial<RosterEntry> = {}): RosterEntry {
  return {
    ...{ id, origin: `http://${id}.test:8000`, source: 'static', weight: 1, health: 'passing', healthNote: null },
    ...{ version: null, model: null, concurrency: undefined },
    ...traits,
  };
}

/** What a test may say of a service's policy. */
export type PolicyTraits = Partial<Omit<ServicePolicy, 'outlier'>> & { readonly outlier?: Partial<OutlierPolicy> };

/** The contract's defaults, but for what the test cares about; nothing is sent ahead unless the test says so. */
export function aServicePolicy({ outlier, ...traits }: PolicyTraits = {}): ServicePolicy {
  return {
    balance: { policy: 'least-loaded' },
    ...{ concurrency: 1, queueDepthMax: 256, queueWaitMsMax: 5_000, isFair: true, ahead: 'off', hangMsMax: 120_000 },
    ...{
      streamsMax: 64,
      reuse: 'auto',
      connectTimeoutMs: 1_000,
      tls: undefined,
      sharedSecret: undefined,
      slowStartMs: 0,
    },
    rserve: { account: undefined, callsMax: 1_000, memoryBytesMax: 2 ** 30 },
    health: { path: '/ping', intervalMs: 5_000, timeoutMs: 2_000, passes: 1, fails: 3 },
    outlier: {
      ...{ failures: 5, ejectForMs: 30_000, ejectForMsMax: 300_000, percentMax: 50, keepMin: 1 },
      statuses: new Set([502, 503, 504]),
      share: { callsMin: 30, windowMs: 30_000, confidence: 0.99 },
      ...outlier,
    },
    ...traits,
  };
}

/** What a test may say of a request. */
export interface RequestTraits extends Partial<
  Pick<PermitRequest, 'tried' | 'affinity' | 'callerId' | 'priority' | 'routeId' | 'usefulUntilMs'>
> {
  readonly onPermit?: (permit: Permit) => void;
  readonly onRefused?: (failure: GatewayError) => void;
}

/** A request for a permit, and what became of it. */
export class Acquired implements PermitRequest {
  readonly tried: readonly Instance[];
  readonly affinity: string;
  readonly callerId: string;
  readonly priority: Priority;
  readonly routeId: string;
  readonly usefulUntilMs: number;
  queued: object | undefined = undefined;
  permit: Permit | undefined = undefined;
  failure: GatewayError | undefined = undefined;
  readonly #traits: RequestTraits;

  /** A patient one of alice's. */
  constructor(traits: RequestTraits = {}) {
    this.tried = traits.tried ?? [];
    this.affinity = traits.affinity ?? '';
    this.callerId = traits.callerId ?? 'alice';
    this.priority = traits.priority ?? 'normal';
    this.routeId = traits.routeId ?? 'predict';
    this.usefulUntilMs = traits.usefulUntilMs ?? Infinity;
    this.#traits = traits;
  }

  get waits(): boolean {
    return this.permit === undefined && this.failure === undefined;
  }

  /** Where it was sent. */
  get at(): string | undefined {
    return this.permit?.instance.id;
  }

  onPermit(permit: Permit): void {
    this.permit = permit;
    this.#traits.onPermit?.(permit);
  }

  onRefused(failure: GatewayError): void {
    this.failure = failure;
    this.#traits.onRefused?.(failure);
  }
}

interface ServiceTraits {
  readonly name?: string;
  readonly policy?: PolicyTraits;
  readonly permits?: PermitRegistry;
  readonly clock?: ManualClock;
  readonly random?: Random;
  readonly entries?: readonly RosterEntry[];
}

/** A service at work, and everything around it. */
export type ServiceAtWork = Pick<AtWork, keyof AtWork>;

class AtWork {
  readonly clock: ManualClock;
  readonly deadlines: Deadlines;
  readonly permits: PermitRegistry;
  readonly events: GatewayEvent[] = [];
  readonly service: ManagedService;
  readonly #seen = new Map<string, Instance>();

  constructor(traits: ServiceTraits) {
    this.clock = traits.clock ?? manualClock();
    this.deadlines = new Deadlines(this.clock);
    this.permits = traits.permits ?? new PermitRegistry();
    this.service = createService({
      ...{ name: traits.name ?? 'fuel', policy: aServicePolicy(traits.policy), random: traits.random ?? seeded(1) },
      ...{ clock: this.clock, deadlines: this.deadlines, permits: this.permits },
      observe: event => this.events.push(event),
    });
    this.service.reconcile(traits.entries ?? [anEntry('a'), anEntry('b')]);
  }

  /** The events of one kind. */
  readonly reported = <K extends GatewayEvent['kind']>(kind: K): Extract<GatewayEvent, { kind: K }>[] =>
    this.events.filter((event): event is Extract<GatewayEvent, { kind: K }> => event.kind === kind);

  readonly state = (instanceId: string): InstanceState | undefined => {
    return this.view(instanceId)?.state;
  };

  readonly view = (instanceId: string): ReturnType<ManagedService['view']>['instances'][number] | undefined => {
    return this.service.view().instances.find(({ id }) => id === instanceId);
  };

  /** Asks for a permit, which may have to wait, or be refused. */
  readonly acquire = (traits: RequestTraits = {}): Acquired => {
    const request = new Acquired(traits);
    try {
      const permit = this.service.acquire(request);
      if (permit !== undefined) request.onPermit(permit);
    } catch (error) {
      request.onRefused(error as GatewayError);
    }
    if (request.permit !== undefined) this.#seen.set(request.permit.instance.id, request.permit.instance);
    return request;
  };

  /** A permit at once; throws its refusal. */
  readonly take = (traits: RequestTraits = {}): Permit => {
    const { permit, failure } = this.acquire(traits);
    if (permit !== undefined) return permit;
    throw failure ?? new Error('no permit is free');
  };

  /** One request that ends so: takes a permit, reports and releases. */
  readonly call = (finding: Partial<Finding> = {}): string => {
    const permit = this.take({ callerId: finding.callerId ?? 'alice' });
    permit.begin();
    this.service.report(permit.instance, aFinding(finding));
    permit.release();
    return permit.instance.id;
  };

  /** Reports of an instance without having asked for a permit: what was sent before. */
  readonly find = (instanceId: string, finding: Partial<Finding>): void => {
    const instance = this.#seen.get(instanceId);
    if (instance === undefined) throw new Error(`nothing was sent to ${instanceId} yet`);
    this.service.report(instance, aFinding(finding));
  };

  /** Lets it see, one after the other, calls that take so long. */
  readonly warmUp = (durationsMs: readonly number[], traits: RequestTraits = {}): void => {
    for (const durationMs of durationsMs) {
      const permit = this.take(traits);
      permit.begin();
      this.clock.advance(durationMs);
      permit.release();
    }
  };
}

/** A service of two instances, `a` and `b`, but for what the test cares about. */
export function aService(traits: ServiceTraits = {}): ServiceAtWork {
  return new AtWork(traits);
}

/** Alice's request was answered well, but for what the test cares about; each is another request. */
export function aFinding(traits: Partial<Finding> = {}): Finding {
  return { request: {}, callerId: 'alice', routeId: 'predict', outcome: 'ok', status: 200, durationMs: 2, ...traits };
}
