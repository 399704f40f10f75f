/** How an instance is chosen. */
export type BalanceSpec =
  | { readonly policy: 'least-loaded' | 'round-robin' | 'two-choices' }
  | {
      readonly policy: 'hash';
      readonly by: AffinityKey;
      /** A call waits for its own instance while that one is in rotation, instead of going to one that is free. */
      readonly strict: boolean;
    };

/** What keeps a caller with an instance. */
export type AffinityKey =
  { readonly kind: 'caller' | 'ip' } | { readonly kind: 'header' | 'cookie'; readonly name: string };

/** When an instance's share of R's own errors stands out beside its peers'. */
export interface OutlierShare {
  readonly callsMin: number;
  readonly windowMs: number;
  /** From 0 to 1. */
  readonly confidence: number;
}

/** When an instance's failures stand out, and what then happens. */
export interface OutlierPolicy {
  readonly failures: number;
  readonly ejectForMs: number;
  readonly ejectForMsMax: number;
  readonly percentMax: number;
  readonly keepMin: number;
  /** Statuses of R that count as failures of the instance. */
  readonly statuses: ReadonlySet<number>;
  readonly share: OutlierShare;
}

/** How an instance is asked whether it is well. */
export interface HealthPolicy {
  /** Undefined: none is written. */
  readonly path: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly passes: number;
  readonly fails: number;
}

/** How the instances behind one name are treated: `services:` in routes.yaml, compiled. */
export interface ServicePolicy {
  readonly balance: BalanceSpec;
  readonly concurrency: number;
  readonly queueDepthMax: number;
  readonly queueWaitMsMax: number;
  /** Callers take turns; false: first come, first served. */
  readonly isFair: boolean;
  /** Whether R may be handed the next call a moment before it is done with the last. */
  readonly ahead: 'auto' | 'off';
  readonly hangMsMax: number;
  readonly streamsMax: number;
  /** Whether connections are kept between calls; `auto`: where that is known to be quick. */
  readonly reuse: boolean | 'auto';
  readonly connectTimeoutMs: number;
  /** Sent as PLUMBER_SHARED_SECRET. */
  readonly sharedSecret: string | undefined;
  readonly health: HealthPolicy;
  readonly outlier: OutlierPolicy;
  readonly slowStartMs: number;
}
