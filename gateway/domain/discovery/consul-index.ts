/** What the next blocking query asks with, and whether Consul's memory went back in time. */
export interface IndexStep {
  readonly ask: bigint;
  /** Consul was wiped, or restored from a backup: what it tells now may be less than it knew. */
  readonly hasGoneBack: boolean;
}

/**
 * The step from the index last told to the one told now, by the rules of Consul's blocking queries: an index that goes
 * back is reset to 0, and none is ever asked with below 1, which would not block.
 */
export function stepIndex(last: bigint | undefined, told: bigint): IndexStep {
  const hasGoneBack = last !== undefined && told < last;
  if (hasGoneBack) return { ask: 0n, hasGoneBack };
  return { ask: told < 1n ? 1n : told, hasGoneBack };
}

/** The value of `X-Consul-Index`, or undefined where it is none. */
export function parseIndex(text: unknown): bigint | undefined {
  return typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
}
