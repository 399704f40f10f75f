import { backOffMs } from '../domain/back-off.ts';
import { createClient } from '@redis/client';
import type { Clock } from '../domain/clock.ts';
import type { Observe } from '../domain/events.ts';

/** What Redis answers to the commands that are sent here. */
export type RedisReply = string | number | readonly RedisReply[];

/** A Redis that is asked within a bounded time, or not at all while it is away. */
export interface Redis {
  /** Rejects where it does not answer in time, or did not a moment ago. */
  send(args: readonly string[]): Promise<RedisReply>;
  close(): void;
}

interface RedisOptions {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** One answer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** After it did not answer, one call so often asks it; the others do not wait for it. */
const AWAY_MS = 1_000;
const RECONNECT = { baseMs: 50, maxMs: 1_000 };

/**
 * Connects beside the calls, and again whenever the connection is lost. A call never waits for a connection: without one
 * it is told at once. Where Redis is connected and silent, the first call waits `timeoutMs`, and then one a second.
 */
export function connectRedis({ url, username, password, timeoutMs, clock, observe }: RedisOptions): Redis {
  const client = createClient({
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    socket: { connectTimeout: 2_000, reconnectStrategy: tries => backOffMs(tries + 1, RECONNECT) },
  });
  let isAway = false;
  let awayUntilMs = -Infinity;

  function lost(error: unknown): void {
    awayUntilMs = clock.nowMs() + AWAY_MS;
    if (isAway) return;
    isAway = true;
    const problem = error instanceof Error ? error.message : String(error);
    const text = 'redis does not answer: limits are counted as `onStoreFailure` says';
    observe({ kind: 'notice', level: 'warn', text, about: { problem } });
  }

  function back(): void {
    if (!isAway) return;
    isAway = false;
    observe({ kind: 'notice', level: 'info', text: 'redis answers again: limits are shared', about: {} });
  }

  client.on('error', lost); // a connection that is lost is made again by the client
  client.connect().catch(lost);

  return {
    async send(args) {
      if (!client.isReady) throw new Error('redis is not connected');
      const nowMs = clock.nowMs();
      if (isAway && nowMs < awayUntilMs) throw new Error('redis did not answer a moment ago');
      if (isAway) awayUntilMs = nowMs + AWAY_MS; // this call tries; those beside it do not
      try {
        const reply = await within(client.sendCommand<RedisReply>([...args]), timeoutMs, clock);
        back();
        return reply;
      } catch (error) {
        if (!isOfScript(error)) lost(error);
        throw error;
      }
    },
    close: () => client.destroy(),
  };
}

/** Redis has forgotten a script, since it was restarted: it answers, and is told again. */
function isOfScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

function within<T>(sent: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
    sent.then(resolve, reject).finally(cancel);
  });
}
