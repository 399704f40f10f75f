import type { FailureCode } from './errors.ts';

/**
 * What the stages note about one request for the access line and the metrics.
 *
 * The only thing in the flow that is written to in place: it is nobody's input, and `observe` alone reads it.
 */
export interface Notes {
  readonly startedMs: number;
  code: FailureCode | null;
  attempts: number;
  instance: string | null;
  version: string | null;
  queueMs: number;
  connectMs: number | null;
  firstByteMs: number | null;
  bytesIn: number;
  bytesOut: number;
  /** Fields the reply owes its caller, whatever it turns out to be: name, value, name, value, … `respond` adds them. */
  readonly owedFields: string[];
}

/** Notes of a request that has just come in. */
export function blankNotes(startedMs: number): Notes {
  return {
    startedMs,
    code: null,
    attempts: 0,
    instance: null,
    version: null,
    queueMs: 0,
    connectMs: null,
    firstByteMs: null,
    bytesIn: 0,
    bytesOut: 0,
    owedFields: [],
  };
}
