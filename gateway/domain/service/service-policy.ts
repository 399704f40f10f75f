/** How an instance is chosen. */
export type BalanceSpec =
  | { readonly policy: 'least-loaded' | 'round-robin' | 'two-choices' }
  | { readonly policy: 'hash'; readonly by: AffinityKey };

/** What keeps a caller with an instance. */
export type AffinityKey =
  { readonly kind: 'caller' | 'ip' } | { readonly kind: 'header' | 'cookie'; readonly name: string };

/** When an instance's failures stand out, and what then happens. */
export interface OutlierPolicy {
  readonly failures: number;
  readonly ejectForMs: number;
  readonly ejectForMsMax: number;
  readonly percentMax: number;
  readonly keepMin: number;
  /** Statuses of R that count as failures of the instance. */
  readonly statuses: ReadonlySet<number>;
}

/** How an instance is asked whether it is well. */
export interface HealthPolicy {
  readonly path: string;
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
  readonly hangMsMax: number;
  readonly streamsMax: number;
  readonly reuse: boolean;
  readonly connectTimeoutMs: number;
  /** Sent as PLUMBER_SHARED_SECRET. */
  readonly sharedSecret: string | undefined;
  readonly health: HealthPolicy;
  readonly outlier: OutlierPolicy;
  readonly slowStartMs: number;
}
