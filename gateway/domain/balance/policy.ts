import type { Instance } from '../instance.ts';
import type { NonEmpty } from '../non-empty.ts';

/**
 * Chooses the instance that receives the next attempt.
 *
 * The candidates are already eligible: healthy, not draining, with a free permit. A policy states a preference among
 * them and nothing else, so no policy can forget a health check, and `pick` always has an answer.
 */
export interface BalancePolicy {
  readonly name: string;
  /**
   * `affinity` is equal for requests that should meet the same instance. Candidates stand in the order in which they
   * became free or were last chosen: of equals the first has waited longest.
   */
  pick<I extends Instance>(candidates: NonEmpty<I>, affinity: string): I;
  /** The service lists these now, in whatever state; or their weights have changed. */
  adopt?(instances: readonly Instance[]): void;
}
