import type { Caller } from '../../gateway/domain/caller.ts';
import { createDeadline } from '../../gateway/domain/deadline.ts';
import type { Admitted, Complete, Matched } from '../../gateway/domain/exchange.ts';
import type { Instance } from '../../gateway/domain/instance.ts';
import { blankNotes } from '../../gateway/domain/notes.ts';
import type { Auth, Filter, Limit, Route, RoutePolicy } from '../../gateway/domain/route.ts';
import { manualClock } from './manual-clock.ts';

/** A route's rules as strict as the gateway's defaults where no identity is configured, but for what a test cares about. */
export function aRoutePolicy(traits: Partial<RoutePolicy> = {}): RoutePolicy {
  return {
    auth: undefined,
    limits: [],
    bodyBytesMax: 1024 * 1024,
    answerBytesMax: 1024 * 1024,
    timeoutMs: 30_000,
    isPure: false,
    retry: { attempts: 1, attemptTimeoutMs: 30_000, repeatableTimeoutMs: 30_000, on: new Set(), budgetPercent: 20 },
    cors: undefined,
    isStream: false,
    streamIdleMs: 300_000,
    priority: 'normal',
    sharing: undefined,
    ...traits,
  };
}

/** Needs a token and nothing more, but for what a test cares about. */
export function anAuth(traits: Partial<Auth> = {}): Auth {
  return { allow: ['jwt'], scopes: [], roles: [], forwardToken: false, ...traits };
}

/** What a test may say of a request, its route and its service. */
export interface RequestTraits {
  readonly request?: Partial<Matched>;
  readonly policy?: Partial<RoutePolicy>;
  readonly filters?: readonly Filter[];
  readonly sharedSecret?: string;
  readonly routeId?: string;
}

/** A request that has found its route. */
export function aMatched({ request, policy, filters, sharedSecret, routeId }: RequestTraits = {}): Matched {
  const route = {
    id: routeId ?? 'fuel',
    order: 0,
    predicates: [],
    methods: undefined,
    paths: [],
    filters: filters ?? [],
    serviceName: 'fuel',
    policy: aRoutePolicy(policy),
    service: {
      name: 'fuel',
      versions: '',
      policy: { sharedSecret, balance: { policy: 'least-loaded' } },
      waitingOf: () => 0,
    },
  } as unknown as Route; // of the service nothing more is looked at
  return {
    id: 'request-1',
    method: 'GET',
    path: '/api/fuel/predict',
    query: '',
    rawHeaders: [],
    scheme: 'http',
    host: 'api.example.org',
    peerAddress: '192.0.2.7',
    callerAddress: '192.0.2.7',
    isPeerTrusted: false,
    isUpgrade: false,
    body: { length: 0, read: () => Promise.resolve(Buffer.alloc(0)) },
    deadline: createDeadline(manualClock()),
    notes: blankNotes(0),
    wire: {},
    route,
    variables: new Map(),
    isPreflight: false,
    ...request,
  };
}

type AdmittedTraits = RequestTraits & { readonly caller?: Partial<Caller> };
type CompleteTraits = AdmittedTraits & { readonly content?: Buffer };

/** An admitted request of this caller; by default nothing is known of them. */
export function anAdmitted(traits: AdmittedTraits = {}): Admitted {
  const stranger: Caller = { kind: 'anonymous', id: '192.0.2.7', subject: undefined, scopes: [], roles: [] };
  return { ...aMatched(traits), caller: { ...stranger, ...traits.caller } };
}

/** An admitted request whose body is in. */
export function aComplete(traits: CompleteTraits = {}): Complete {
  return { ...anAdmitted(traits), content: traits.content ?? Buffer.alloc(0) };
}

/** A limit as an operator writes it. */
export function aLimit(rate: number, perMs: number, by: Limit['by']['kind'] = 'caller'): Limit {
  return { rate, perMs, by: by === 'header' ? { kind: 'header', name: 'X-Tenant' } : { kind: by } };
}

/** An idle R process. */
export const instance: Instance = {
  id: 'fuel-9101',
  origin: 'http://127.0.0.1:9101',
  version: null,
  weight: 1,
  inFlight: 0,
  latencyMs: undefined,
};
