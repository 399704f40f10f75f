import { stepIndex, type ConsulClient } from './consul-client.ts';
import { halfJitterDelayMs, type DelayBounds } from '../domain/back-off.ts';
import { pause, type Clock, type Random } from '../domain/clock.ts';

/** How patiently Consul is asked. */
export interface ConsulPace {
  /** How long a query may wait for a change. */
  readonly waitMs: number;
  /** How long an answer that is due may take. */
  readonly answerMsMax: number;
  /** Between the starts of two queries for one service, so that a storm of changes is not a storm of queries. */
  readonly betweenMsMin: number;
  readonly backOff: DelayBounds;
}

/** The pace for production. */
export const CONSUL_PACE: ConsulPace = {
  waitMs: 30_000,
  answerMsMax: 5_000,
  betweenMsMin: 200,
  backOff: { baseMs: 250, maxMs: 8_000 },
};

interface ConsulWatchOptions {
  readonly client: ConsulClient;
  readonly service: string;
  readonly tag: string | undefined;
  readonly pace: ConsulPace;
  readonly clock: Clock;
  readonly random: Random;
  /** Consul listed the service's registrations; they need not have changed. */
  readonly onList: (list: readonly unknown[], hasGoneBack: boolean) => void;
  /** A query failed, or hung. It is repeated until it succeeds. */
  readonly onTrouble: (problem: string) => void;
}

/** Follows one service by blocking queries until it is stopped. */
export function watchConsul(options: ConsulWatchOptions): { stop(): void } {
  const { clock, random, pace, onList, onTrouble } = options;
  const stopping = new AbortController();
  let failures = 0;
  let nextIndex = 0n;
  let last: bigint | undefined;

  void follow();
  return { stop: () => stopping.abort() };

  async function follow(): Promise<void> {
    while (!hasStopped()) {
      const startedMs = clock.nowMs();
      const problem = await queryOnce();
      if (hasStopped()) return;
      if (problem === undefined) {
        failures = 0;
        await pause(clock, startedMs + pace.betweenMsMin - clock.nowMs(), stopping.signal);
      } else {
        failures += 1;
        nextIndex = 0n; // Whatever comes after an outage is wanted at once, not at the next change.
        onTrouble(problem);
        await pause(clock, halfJitterDelayMs(failures, pace.backOff, random), stopping.signal);
      }
    }
  }

  function hasStopped(): boolean {
    return stopping.signal.aborted;
  }

  /** Undefined, or what went wrong. */
  async function queryOnce(): Promise<string | undefined> {
    const { client, service, tag } = options;
    // Consul adds up to a sixteenth to the wait, lest all that wait come back at once.
    const patienceMs = pace.answerMsMax + (nextIndex === 0n ? 0 : pace.waitMs * (17 / 16));
    const bounded = boundSignal(patienceMs);
    try {
      const { index, list } = await client.queryHealth(
        { service, tag, index: nextIndex, waitMs: pace.waitMs },
        bounded.signal,
      );
      const { next, hasGoneBack } = stepIndex(last, index);
      [nextIndex, last] = [next, index];
      onList(list, hasGoneBack);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      bounded.release();
    }
  }

  function boundSignal(patienceMs: number): { signal: AbortSignal; release: () => void } {
    const hung = new AbortController();
    const cancel = clock.after(patienceMs, () =>
      hung.abort(new Error(`no answer within ${Math.round(patienceMs)} ms`)),
    );
    return { signal: AbortSignal.any([hung.signal, stopping.signal]), release: cancel };
  }
}
