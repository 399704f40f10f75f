import { Pool, type Dispatcher } from 'undici';
import type { Clock, SendBounds, Settled } from '../domain/ports.ts';
import { createConnector, type Connecting } from './undici-connector.ts';
import { createSpares, type Spares } from './undici-spares.ts';

/** Connections to one address at once; what goes beyond waits for one of them. */
const CONNECTIONS_MAX = 1024;

/** httpuv's own bound for a head is 80 KiB; an answer's is never near it. */
const ANSWER_HEAD_BYTES_MAX = 64 * 1024;

/** Shorter than what common servers keep an idle connection open, so that none closes under a request of ours. */
const IDLE_CONNECTION_MS_MAX = 4_000;

/**
 * How long an address rests after a connection there broke off. An R that is killed closes one socket after the other:
 * who came at once could still be let in by the last of them, and be lost as well; a moment later they are refused, and
 * go elsewhere.
 */
const REST_AFTER_LOSS_MS = 20;

/** The connections to one address: kept, or one for each call, opened ahead where calls follow one another. */
export class Lane implements Connecting {
  connectTimeoutMs: number;
  callsInHand = 0;
  spares: Spares | undefined;
  readonly #pool: Pool;
  readonly #clock: Clock;
  #restsUntilMs = -Infinity;

  constructor(origin: string, bounds: SendBounds, clock: Clock) {
    this.#clock = clock;
    this.connectTimeoutMs = bounds.connectTimeoutMs;
    this.spares = bounds.reuse || origin.startsWith('https:') ? undefined : createSpares(clock);
    this.#pool = new Pool(origin, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: ANSWER_HEAD_BYTES_MAX,
      keepAliveTimeout: IDLE_CONNECTION_MS_MAX,
      keepAliveMaxTimeout: IDLE_CONNECTION_MS_MAX,
      headersTimeout: 0, // the exchange has a bound of its own for the whole
      bodyTimeout: 0,
      connect: createConnector(this, clock),
    });
  }

  get restMs(): number {
    return this.#restsUntilMs - this.#clock.nowMs();
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler);
  }

  begin(): void {
    this.callsInHand += 1;
  }

  /** Where one connection broke, or none came about, the others are not to be trusted either. */
  over(settled: Settled): void {
    this.callsInHand -= 1;
    if (settled !== 'answered') this.spares?.drop();
    if (settled === 'lost') this.#restsUntilMs = this.#clock.nowMs() + REST_AFTER_LOSS_MS;
  }

  /** Lets exchanges under way end by themselves; nobody waits for it. */
  retire(): void {
    this.#dropSpares();
    this.#pool.close().catch(() => {
      // A pool that was destroyed meanwhile is closed all the same.
    });
  }

  destroy(): Promise<void> {
    this.#dropSpares();
    return this.#pool.destroy();
  }

  #dropSpares(): void {
    this.spares?.drop();
    this.spares = undefined;
  }
}
