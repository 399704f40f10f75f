import {
  Call,
  type Admitted,
  type Complete,
  type Matched,
  type Received,
  type WayBack,
} from '../../gateway/domain/call.ts';
import { anonymousCaller, type Caller } from '../../gateway/domain/caller.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { Instance } from '../../gateway/domain/service.ts';
import type { Auth, Filter, Limit, Route, RoutePolicy } from '../../gateway/domain/route.ts';
import type { Answer } from '../../gateway/domain/upstream.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

/** A route's rules as strict as the gateway's defaults where no identity is configured, but for what a test cares about. */
export function aRoutePolicy(traits: Partial<RoutePolicy> = {}): RoutePolicy {
  return {
    auth: undefined,
    limits: [],
    countsRows: false,
    bodyBytesMax: 1024 * 1024,
    streamBodyBytesMax: Infinity,
    answerBytesMax: 1024 * 1024,
    isAudited: false,
    async: 'allow',
    showsErrorMessages: false,
    timeoutMs: 30_000,
    isPure: false,
    retry: { attempts: 1, attemptTimeoutMs: 30_000, repeatableTimeoutMs: 30_000, on: new Set(), budgetPercent: 20 },
    cors: undefined,
    isStream: false,
    compress: false,
    csv: false,
    streamIdleMs: 300_000,
    priority: 'normal',
    sharing: undefined,
    validate: undefined,
    ...traits,
  };
}

/** Needs a token and nothing more, but for what a test cares about. */
export function anAuth(traits: Partial<Auth> = {}): Auth {
  return { allow: ['jwt'], scopes: [], roles: [], forwardToken: false, ...traits };
}

/** What a test may say of a call, its route and its service. */
export interface RequestTraits {
  readonly request?: Partial<Received> & Partial<Pick<Call, 'variables' | 'isPreflight' | 'wallMs'>>;
  readonly policy?: Partial<RoutePolicy>;
  readonly filters?: readonly Filter[];
  readonly sharedSecret?: string;
  readonly routeId?: string;
  readonly route?: Route;
  readonly clock?: ManualClock;
  /** Its way back; by default what it brings stands in `endOf(call)`. */
  readonly back?: Partial<WayBack>;
}

/** How a call of a test ended. */
export interface CallEnd {
  answer?: Answer;
  failure?: GatewayError;
}

const ends = new WeakMap<Call, CallEnd>();

/** What the call's way back brought so far. */
export function endOf(call: Call): CallEnd {
  return ends.get(call) ?? {};
}

/** A plain request, as it was received. */
export const PLAIN: Received = {
  id: 'request-1',
  method: 'GET',
  path: '/api/fuel/predict',
  query: '',
  hasQuery: false,
  fields: [],
  scheme: 'http',
  host: 'api.example.org',
  peerAddress: '192.0.2.7',
  callerAddress: '192.0.2.7',
  isPeerTrusted: false,
  isUpgrade: false,
  httpVersion: '1.1',
  body: { length: 0, read: (_bytesMax, reader) => reader.onBody(Buffer.alloc(0)), leave: () => undefined },
  wire: { send: () => undefined, interim: () => undefined, destroy: () => undefined },
  refusal: undefined,
};

/** A call that has just come in. */
export function aCall({ request, clock = manualClock(), back }: RequestTraits = {}): Call {
  const { variables, isPreflight, wallMs, ...received } = request ?? {};
  const call: Call = new Call(
    { ...PLAIN, ...received },
    {
      arrivedMs: clock.nowMs(),
      deadlines: new Deadlines(clock),
      back: {
        answered: (_, answer) => end(call, { answer }),
        failed: (_, failure) => end(call, { failure }),
        over: () => undefined,
        ...back,
      },
    },
  );
  if (variables !== undefined) call.variables = variables;
  call.isPreflight = isPreflight ?? false;
  call.wallMs = wallMs ?? 0;
  return call;
}

function end(call: Call, how: CallEnd): void {
  if (call.isReplied) throw new Error('it was replied to twice');
  call.isReplied = true;
  ends.set(call, how);
}

/** A call that has found its route. */
export function aMatched(traits: RequestTraits = {}): Matched {
  const call = aCall(traits);
  return call.matched(traits.route ?? aRoute(traits), call.variables);
}

/** A route to a service of which nothing is asked but its name and policy. */
export function aRoute({ policy, filters, sharedSecret, routeId }: RequestTraits = {}): Route {
  return {
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
  } as unknown as Route;
}

type AdmittedTraits = RequestTraits & { readonly caller?: Partial<Caller> };
type CompleteTraits = AdmittedTraits & { readonly content?: Buffer };

/** An admitted call of this caller; by default nothing is known of them. */
export function anAdmitted(traits: AdmittedTraits = {}): Admitted {
  return aMatched(traits).admitted({ ...anonymousCaller('192.0.2.7'), ...traits.caller });
}

/** An admitted call whose body is in. */
export function aComplete(traits: CompleteTraits = {}): Complete {
  const call = anAdmitted(traits);
  call.content = traits.content ?? Buffer.alloc(0);
  return call as unknown as Complete;
}

/** A limit as an operator writes it. */
export function aLimit(
  rate: number,
  perMs: number,
  traits: Limit['by']['kind'] | (Partial<Omit<Limit, 'by'>> & { readonly by?: Limit['by']['kind'] }) = {},
): Limit {
  const { by = 'caller', ...more } = typeof traits === 'string' ? { by: traits } : traits;
  const plain = { pace: undefined, cost: 'calls', isEnforced: true, onStoreFailure: 'allow' } as const;
  return { rate, perMs, by: by === 'header' ? { kind: 'header', name: 'X-Tenant' } : { kind: by }, ...plain, ...more };
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
