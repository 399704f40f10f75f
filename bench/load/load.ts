import type { Front } from '../contestants/contestant.ts';

/** One turn of one contestant. */
export interface Turn {
  readonly front: Front;
  /** The path at the instances. */
  readonly path: string;
  /** Each call is made on a connection of its own. */
  readonly isClosedByCallers: boolean;
  readonly connections: number;
  readonly seconds: number;
  /** A token of this subject; every contestant is sent one, and Penstock asks for it. */
  readonly tokenOf: (subject: string) => string;
  /** Differs from turn to turn, so that no two ask the same. */
  readonly seed: number;
  /** The one processor that callers may use; undefined: any. */
  readonly core: number | undefined;
  /** The instances themselves, for what only they can tell. */
  readonly instances: readonly string[];
}

/** What callers saw in one turn. */
export interface Figures {
  readonly requests: number;
  readonly durationMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  /** Requests without an answer. */
  readonly broken: number;
  /** The middle of the calls that are slow on purpose; the other times are those of the fast ones then. */
  readonly slowP50Ms?: number;
  /** So many calls got as far as R. */
  readonly reached?: number;
}

/** Calls one contestant for one turn. */
export type Load = (turn: Turn) => Promise<Figures>;

/** The value below which the share lies; of numbers in ascending order. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
