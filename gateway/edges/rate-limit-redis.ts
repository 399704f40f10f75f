import { RedisStore } from 'rate-limit-redis';
import type { Options } from 'express-rate-limit';
import {
  limitName,
  type LimitCounter,
  type RouteLimit,
  type SharedCounter,
  type SharedTally,
} from '../domain/admission/limits.ts';
import { paceRoomMs, paceStand, paceStepMs } from '../domain/admission/pace.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Limit, Pace } from '../domain/route.ts';
import { hexDigest } from './audit-file.ts';
import type { Redis, RedisReply } from './redis.ts';

/** Refused calls may come back after so long. */
const AWAY_MS = 1_000;

/** The next place of a pace, by Redis' own clock: one for all gateways. ARGV: step, burst, room, cost, in milliseconds. */
const PACE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local busy = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local used = busy - now
local wait = math.max(0, used - tonumber(ARGV[2]))
if used > tonumber(ARGV[3]) + 0.001 then return { 1, tostring(wait), tostring(used), '' } end
local after = string.format('%.3f', busy + tonumber(ARGV[4]) * tonumber(ARGV[1]))
redis.call('SET', KEYS[1], after, 'PX', math.ceil(tonumber(after) - now) + 1)
return { 0, tostring(wait), tostring(tonumber(after) - now), after }`;

/** Gives a place back, where it is still the last. ARGV: what it was, and what it is without. */
const GIVE_BACK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL') end
return 0`;

/** A window that counts more than one at once, or takes back. ARGV: its length, how many, how many at most. */
const WINDOW = `
local left = redis.call('PTTL', KEYS[1])
local hits = left > 0 and tonumber(redis.call('GET', KEYS[1])) or 0
local cost = tonumber(ARGV[2])
if left <= 0 then left = tonumber(ARGV[1]) end
if cost > 0 and hits + cost > tonumber(ARGV[3]) then return { hits, left, 1 } end
if hits == 0 then
  if cost > 0 then redis.call('SET', KEYS[1], cost, 'PX', left) end
else redis.call('INCRBY', KEYS[1], cost) end
return { hits + cost, left, 0 }`;

interface SharedOptions {
  readonly redis: Pick<Redis, 'send'>;
  /** Counts where Redis is away and the limit says `local`. */
  readonly local: LimitCounter;
}

/**
 * Counts in Redis, so that limits hold across gateways: windows by rate-limit-redis, paces and windows of rows by scripts,
 * each of which is one step to Redis.
 */
export function createSharedCounter({ redis, local }: SharedOptions): SharedCounter {
  const stores = new WeakMap<Limit, RedisStore>();
  const send = (...args: string[]) => redis.send(args);
  const run = (script: string, key: string, ...args: readonly (string | number)[]) =>
    send('EVAL', script, '1', key, ...args.map(String)) as Promise<readonly RedisReply[]>;

  function storeOf(limit: Limit): RedisStore {
    const known = stores.get(limit);
    if (known !== undefined) return known;
    const store = new RedisStore({ sendCommand: send as never, prefix: '' });
    stores.set(limit, store);
    store.init({ windowMs: limit.perMs } as Options).catch(() => stores.delete(limit)); // its scripts are loaded by the next one
    return store;
  }

  async function countWindow({ limit }: RouteLimit, key: string, cost: number): Promise<SharedTally> {
    const takeBack = () => void run(WINDOW, key, limit.perMs, -cost, limit.rate).catch(() => undefined);
    if (limit.cost === 'calls') {
      const { totalHits, resetTime } = await storeOf(limit).increment(key);
      const resetsInMs = Math.max(0, (resetTime?.getTime() ?? 0) - Date.now());
      const remaining = Math.max(0, limit.rate - totalHits);
      const isExceeded = totalHits > limit.rate;
      if (isExceeded) takeBack();
      return { limit, remaining, resetsInMs, isExceeded, waitMs: 0, giveBack: takeBack };
    }
    const [hits, leftMs, isOver] = await run(WINDOW, key, limit.perMs, cost, limit.rate);
    const remaining = Math.max(0, limit.rate - Number(hits));
    return { limit, remaining, resetsInMs: Number(leftMs), isExceeded: isOver === 1, waitMs: 0, giveBack: takeBack };
  }

  async function countPace({ limit }: RouteLimit, { key, cost, pace }: PaceCount): Promise<SharedTally> {
    const stepMs = paceStepMs(limit);
    const burstMs = (pace.burst - 1) * stepMs;
    const roomMs = burstMs + paceRoomMs(pace, stepMs);
    const [isOver, waitMs, usedMs, doneMs] = await run(PACE, key, stepMs, burstMs, roomMs, cost);
    const giveBack = (unused: number) => {
      const without = (Number(doneMs) - unused * stepMs).toFixed(3);
      void run(GIVE_BACK, key, String(doneMs), without).catch(() => undefined);
    };
    const left = paceStand(Number(usedMs), roomMs, stepMs);
    return { limit, ...left, isExceeded: isOver === 1, waitMs: Number(waitMs), giveBack };
  }

  return {
    async count(of, key, cost) {
      const { limit } = of;
      const name = `penstock:limit:${of.routeId}:${limitName(limit)}:${hexDigest(key)}`;
      try {
        if (limit.pace === undefined) return await countWindow(of, name, cost);
        return await countPace(of, { key: name, cost, pace: limit.pace });
      } catch (error) {
        stores.delete(limit);
        if (limit.onStoreFailure === 'allow') return undefined;
        if (limit.onStoreFailure === 'refuse') {
          if (limit.isEnforced) throw unavailable(of, error);
          return undefined; // one that only counts refuses nothing
        }
        return { ...local.count(of, key, cost), giveBack: unused => local.giveBack(of, key, unused) };
      }
    },
  };
}

interface PaceCount {
  readonly key: string;
  readonly cost: number;
  readonly pace: Pace;
}

function unavailable({ limit, routeId }: RouteLimit, cause: unknown): GatewayError {
  const message = `${limitName(limit)} of route ${routeId} cannot be counted`;
  return new GatewayError('LIMITS_UNAVAILABLE', message, { cause, retryAfterMs: AWAY_MS });
}
