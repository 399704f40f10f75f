import { Call, type Complete, type Received, type WayBack } from '../../gateway/domain/call.ts';
import { anonymousCaller, type Caller } from '../../gateway/domain/caller.ts';
import type { Clock } from '../../gateway/domain/clock.ts';
import { Deadlines } from '../../gateway/domain/deadlines.ts';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import type { BatchPolicy, CachePolicy, Filter, Route, Sharing } from '../../gateway/domain/route.ts';
import type { Answer } from '../../gateway/domain/upstream.ts';
import { manualClock } from './manual-clock.ts';
import { aRoutePolicy, PLAIN } from './requests.ts';

/** The contract's defaults, but for what the test cares about. */
export function aCachePolicy(traits: Partial<CachePolicy> = {}): CachePolicy {
  return {
    ttlMs: 60_000,
    entriesMax: 1_024,
    bytesMax: 64 * 1024 * 1024,
    staleIfErrorMs: 0,
    methods: new Set(['GET', 'HEAD', 'POST']),
    ...traits,
  };
}

/** A route that shares nothing but what the test says. */
export function aSharing(traits: Partial<Sharing> = {}): Sharing {
  return {
    coalesce: false,
    cache: undefined,
    batch: undefined,
    varyBy: [],
    methods: new Set(['GET', 'HEAD', 'POST']),
    ...traits,
  };
}

/** The contract's defaults for `batch`, but for what the test cares about. */
export function aBatchPolicy(traits: Partial<BatchPolicy> = {}): BatchPolicy {
  return { sizeMax: 64, waitMsMax: 0, rows: 'array', recheckShare: 0.01, rowsIndependent: false, ...traits };
}

/** A route that shares, of a service of which nothing more is looked at. */
export function aSharingRoute(
  sharing: Sharing,
  traits: {
    readonly id?: string;
    readonly versions?: string;
    readonly filters?: readonly Filter[];
    readonly sharedSecret?: string;
  } = {},
): Route {
  const { id = 'fuel', versions = '', filters = [], sharedSecret } = traits;
  const policy = { sharedSecret, balance: { policy: 'least-loaded' }, queueWaitMsMax: 500 };
  return {
    ...{ id, order: 0, predicates: [], methods: undefined, paths: [], filters, serviceName: 'fuel' },
    policy: aRoutePolicy({ sharing }),
    service: { name: 'fuel', versions, policy },
  } as unknown as Route;
}

/** What a test may say of a call. */
export interface CallTraits {
  readonly request?: Partial<Received>;
  readonly caller?: Partial<Caller>;
  readonly content?: Buffer;
  readonly back?: WayBack;
  readonly clock?: Clock;
  readonly deadlines?: Deadlines;
}

/** A call of this route, its body in. */
export function aCompleteCall(route: Route, traits: CallTraits = {}): Complete {
  const clock = traits.clock ?? manualClock();
  const call = new Call(
    { ...PLAIN, path: '/predict', ...traits.request },
    {
      arrivedMs: clock.nowMs(),
      back: traits.back ?? new Outcomes(),
      deadlines: traits.deadlines ?? new Deadlines(clock),
    },
  );
  call.matched(route, new Map());
  call.admitted({ ...anonymousCaller('192.0.2.7'), ...traits.caller });
  call.content = traits.content ?? Buffer.alloc(0);
  return call as unknown as Complete;
}

/** The end of every call's way back: what became of each. */
export class Outcomes implements WayBack {
  readonly #of = new Map<Call, Answer | GatewayError>();

  answered(call: Call, answer: Answer): void {
    this.#end(call, answer);
  }

  failed(call: Call, failure: GatewayError): void {
    this.#end(call, failure);
  }

  over(): void {
    // Nothing is written here.
  }

  /** Undefined: it still waits. */
  of(call: Call): Answer | GatewayError | undefined {
    return this.#of.get(call);
  }

  #end(call: Call, outcome: Answer | GatewayError): void {
    if (call.isReplied) throw new Error('told twice');
    call.isReplied = true;
    call.over();
    this.#of.set(call, outcome);
  }
}
