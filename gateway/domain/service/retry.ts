import type { Clock } from '../clock.ts';
import type { FailureCode, GatewayError } from '../errors.ts';
import type { RetryReason } from '../route.ts';

/** RFC 9110 §9.2.2: calling twice has the effect of calling once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** A request that broke so many instances is not sent to another: it may be what breaks them. */
export const LOSSES_MAX = 2;

/** True when repeating a request does no harm, by its method or because the operator says so. */
export function isRepeatable(method: string, isPure: boolean): boolean {
  return isPure || IDEMPOTENT.has(method);
}

/** By what name `retry.on` asks for a failure. What stands here is all that is ever repeated. */
const REASONS: Partial<Record<FailureCode, RetryReason>> = {
  CONNECT_FAILED: 'connect-failure',
  CONNECTION_LOST: 'connection-lost',
  ATTEMPT_TIMEOUT: 'attempt-timeout',
  UPSTREAM_FAULT: 502, // an answer that is none is one more bad gateway
};

/** Why a failure may be repeated, in the words of `retry.on`; undefined: it never is. */
export function retryReasonOf(error: GatewayError): RetryReason | undefined {
  return REASONS[error.code];
}

/** True when the service could not even take the request: what happened before says more. */
export function isUnplaced(error: GatewayError): boolean {
  return error.code === 'QUEUE_FULL' || error.code === 'QUEUE_TIMEOUT' || error.code === 'SERVICE_UNAVAILABLE';
}

/** What is counted together. */
const WINDOW_MS = 10_000;
/** Retries that are always allowed: a service with few requests must be able to retry at all. */
const RETRIES_PER_SECOND_MIN = 10;

const SLOT_MS = 1_000;
const SLOTS = WINDOW_MS / SLOT_MS;

/**
 * The share of requests that may be retries, over a window that slides second by second, so that retries do not finish
 * off a service that is failing.
 */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #requests = new Array<number>(SLOTS).fill(0);
  readonly #retries = new Array<number>(SLOTS).fill(0);
  #current: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#current = Math.floor(clock.nowMs() / SLOT_MS);
  }

  request(): void {
    const slot = this.#slot();
    this.#requests[slot] = (this.#requests[slot] ?? 0) + 1;
  }

  /** Takes one retry out of the budget; false when there is none left. */
  tryRetry(percent: number): boolean {
    const slot = this.#slot();
    const retriesMax = Math.max((RETRIES_PER_SECOND_MIN * WINDOW_MS) / 1_000, (sum(this.#requests) * percent) / 100);
    if (sum(this.#retries) + 1 > retriesMax) return false;
    this.#retries[slot] = (this.#retries[slot] ?? 0) + 1;
    return true;
  }

  #slot(): number {
    const now = Math.floor(this.#clock.nowMs() / SLOT_MS);
    for (let passed = Math.max(this.#current + 1, now - SLOTS + 1); passed <= now; passed++) {
      this.#requests[passed % SLOTS] = 0;
      this.#retries[passed % SLOTS] = 0;
    }
    this.#current = now;
    return now % SLOTS;
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
