/** What an operator sees of an instance. */
export type InstanceState =
  'in-rotation' | 'slow-start' | 'busy-unchecked' | 'ejected' | 'probation' | 'unhealthy' | 'draining';

const ELIGIBLE: ReadonlySet<InstanceState> = new Set(['in-rotation', 'slow-start', 'busy-unchecked', 'probation']);

/** True in the states in which an instance may be given work. */
export function isEligibleIn(state: InstanceState): boolean {
  return ELIGIBLE.has(state);
}

/**
 * One R process, as stages and policies see it. Read-only: its service keeps the numbers.
 *
 * What is learned of it belongs to its service and id; its permits belong to its address, so that one R behind two
 * names is still one R.
 */
export interface Instance {
  readonly id: string;
  readonly origin: string;
  readonly version: string | null;
  /** As configured, lessened while it starts slowly. */
  readonly weight: number;
  /** Calls sent and not yet settled, whether or not a caller still waits for them. */
  readonly inFlight: number;
  /** A moving average in milliseconds; undefined until one answer was seen, or when the last is long ago. */
  readonly latencyMs: number | undefined;
}

/** How busy an instance would be with one attempt more, relative to its weight. */
export function loadOf(instance: Instance): number {
  return (instance.inFlight + 1) / instance.weight;
}
