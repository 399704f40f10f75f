import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { Complete, Permit, Question } from '../../gateway/domain/exchange.ts';
import type { Instance, InstanceState } from '../../gateway/domain/instance.ts';
import { createService } from '../../gateway/domain/service/living-service.ts';
import { questionOf } from '../../gateway/domain/question.ts';
import type { NonEmpty } from '../../gateway/domain/non-empty.ts';
import { createPlaces, type Places } from '../../gateway/domain/service/permits.ts';
import type { Random } from '../../gateway/domain/ports.ts';
import type { RosterEntry } from '../../gateway/domain/roster.ts';
import type { OutlierPolicy, ServicePolicy } from '../../gateway/domain/service/service-policy.ts';
import type { Finding, LivingService, PlaceWanted, Service } from '../../gateway/domain/service.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';
import { aComplete, type RequestTraits } from './requests.ts';

/** An idle instance of weight 1, but for what the test cares about. */
export function anInstance(traits: Partial<Instance> = {}): Instance {
  return {
    id: 'r-1',
    origin: 'http://127.0.0.1:9101',
    version: null,
    weight: 1,
    inFlight: 0,
    latencyMs: undefined,
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
    id,
    origin: `http://${id}.test:8000`,
    source: 'static',
    weight: 1,
    health: 'passing',
    healthNote: null,
    version: null,
    model: null,
    concurrency: undefined,
    ...traits,
  };
}

/** What a test may say of a service's policy. */
export type PolicyTraits = Partial<Omit<ServicePolicy, 'outlier'>> & { readonly outlier?: Partial<OutlierPolicy> };

/** The contract's defaults, but for what the test cares about. */
export function aServicePolicy({ outlier, ...traits }: PolicyTraits = {}): ServicePolicy {
  return {
    balance: { policy: 'least-loaded' },
    concurrency: 1,
    queueDepthMax: 256,
    queueWaitMsMax: 5_000,
    isFair: true,
    ahead: 'auto',
    hangMsMax: 120_000,
    streamsMax: 64,
    reuse: 'auto',
    connectTimeoutMs: 1_000,
    sharedSecret: undefined,
    health: { path: '/ping', intervalMs: 5_000, timeoutMs: 2_000, passes: 1, fails: 3 },
    slowStartMs: 0,
    outlier: {
      failures: 5,
      ejectForMs: 30_000,
      ejectForMsMax: 300_000,
      percentMax: 50,
      keepMin: 1,
      statuses: new Set([502, 503, 504]),
      share: { callsMin: 30, windowMs: 30_000, confidence: 0.99 },
      ...outlier,
    },
    ...traits,
  };
}

interface ServiceTraits {
  readonly name?: string;
  readonly policy?: PolicyTraits;
  readonly places?: Places;
  readonly clock?: ManualClock;
  readonly random?: Random;
  readonly entries?: readonly RosterEntry[];
}

/** A service at work, and everything around it. */
export interface ServiceAtWork {
  readonly service: LivingService;
  readonly clock: ManualClock;
  readonly places: Places;
  readonly events: GatewayEvent[];
  /** The events of one kind. */
  readonly told: <K extends GatewayEvent['kind']>(kind: K) => Extract<GatewayEvent, { kind: K }>[];
  readonly state: (instanceId: string) => InstanceState | undefined;
  /** Takes a place without waiting longer than what is due now. */
  readonly take: (traits?: Partial<PlaceWanted>) => Promise<Permit>;
  /** One request that ends so: takes a place, reports and releases. */
  readonly call: (finding?: Partial<Finding>) => Promise<string>;
  /** Reports of an instance without having asked for a place: what was sent before. */
  readonly find: (instanceId: string, finding: Partial<Finding>) => void;
}

/** A service of two instances, `a` and `b`, but for what the test cares about. */
export function aService(traits: ServiceTraits = {}): ServiceAtWork {
  const clock = traits.clock ?? manualClock();
  const places = traits.places ?? createPlaces();
  const events: GatewayEvent[] = [];
  const service = createService({
    name: traits.name ?? 'fuel',
    policy: aServicePolicy(traits.policy),
    clock,
    random: traits.random ?? seeded(1),
    places,
    observe: event => events.push(event),
  });
  service.reconcile(traits.entries ?? [anEntry('a'), anEntry('b')]);
  const seen = new Map<string, Instance>();

  const take = async (wanted: Partial<PlaceWanted> = {}) => {
    const permit = await service.acquire(wantedBy(wanted));
    seen.set(permit.instance.id, permit.instance);
    return permit;
  };

  return {
    service,
    clock,
    places,
    events,
    told: <K extends GatewayEvent['kind']>(kind: K) =>
      events.filter((event): event is Extract<GatewayEvent, { kind: K }> => event.kind === kind),
    state: id => service.view().instances.find(view => view.id === id)?.state,
    take,
    async call(finding = {}) {
      const permit = await take({ callerId: finding.callerId ?? 'alice' });
      service.report(permit.instance, aFinding(finding));
      permit.release();
      return permit.instance.id;
    },
    find(instanceId, finding) {
      const instance = seen.get(instanceId);
      if (instance === undefined) throw new Error(`nobody was sent to ${instanceId} yet`);
      service.report(instance, aFinding(finding));
    },
  };
}

/** A patient request of alice's. */
export function wantedBy(traits: Partial<PlaceWanted> = {}): PlaceWanted {
  return {
    signal: new AbortController().signal,
    tried: [],
    affinity: '',
    callerId: 'alice',
    priority: 'normal',
    remainingMs: 30_000,
    ...traits,
  };
}

/** Alice's request was answered well, but for what the test cares about; each is another request. */
export function aFinding(traits: Partial<Finding> = {}): Finding {
  return { request: {}, callerId: 'alice', outcome: 'ok', durationMs: 2, ...traits };
}

/** A request for this service whose body is in. */
export function aCompleteFor(service: Service, traits: RequestTraits & { readonly content?: Buffer } = {}): Complete {
  const complete = aComplete(traits);
  return { ...complete, route: { ...complete.route, service } };
}

/** The same as it is put to the service; the test holds its deadline. */
export function aQuestionFor(
  service: Service,
  traits: RequestTraits & { readonly content?: Buffer } = {},
): Question & Pick<Complete, 'deadline'> {
  const complete = aCompleteFor(service, traits);
  return { ...questionOf(complete), deadline: complete.deadline };
}
